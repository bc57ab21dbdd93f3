"""For each alert that pages and is recorded: what makes it fire, and when it ends, as `rule_cases` has it for causes.

After an hour, the window of six hours is one hour long: slo.test.yml has longer ones, and the tickets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tests.integration.deploy.rule_cases import SERVICES, RuleCase, pair, up

UP = {up(service): "1" for service in SERVICES}
GENUINE, SEEN, SENT = "andon_intake_genuine_seconds", "andon_event_seen_seconds", "andon_problem_to_mail_seconds"
FAILED = f'{GENUINE}_count{{instance="a",result="failed"}}'
ACCEPTED = [f'{GENUINE}_count{{instance="a",result="accepted"}}', f'{GENUINE}_bucket{{result="accepted",le="1.0"}}']
READS = 'service="detector",topic="pipeline.events"'
TICKETS = 'service="tickets"'


def page(
    series: Sequence[str],
    below: str,
    above: str,
    waits: int,
    stays: int,
    after: str | None = None,
    steady: Mapping[str, str] | None = None,
    restarted: str | None = None,
) -> RuleCase:
    """All services are up, but those of `series`."""
    others = {name: value for name, value in UP.items() if name not in series} | dict(steady or {})
    labels = {"severity": "page"}
    return RuleCase(series, below, above, waits, stays, after, labels=labels, steady=others, restarted=restarted)


SYMPTOM_CASES: dict[str, list[RuleCase]] = {
    "WebhooksFailing": [
        page([up("intake")], "1", "0", 2, 35, restarted=""),
        # Of ten requests a second 1 of 200 fails, then 1 of 11, then 1 of 200.
        page([FAILED], "0+3", "180+60", 3, 38, after="3780+3", steady=dict.fromkeys(ACCEPTED, "0+600")),
        # Little traffic: the only request of each minute fails.
        page([FAILED], "0", "1+1", 2, 35, after="60", steady=dict.fromkeys(ACCEPTED, "0")),
    ],
    "EventsLate": [
        page([up("detector")], "1", "0", 2, 35, restarted=""),
        page([f"{SEEN}_count"], "0", "1+1", 2, 35, after="60", steady={f'{SEEN}_bucket{{le="60.0"}}': "0"}),
    ],
    "MailsLate": [
        page([up("tickets")], "1", "0", 3, 34, restarted=""),
        page([f"{SENT}_count"], "0", "1+1", 3, 34, after="60", steady={f'{SENT}_bucket{{le="300.0"}}': "0"}),
    ],
    "RecordsLost": [RuleCase(pair("andon_consumer_gone_records_total", READS), "0", "0+1", 1, stays=64)],
    "EventsMissing": [
        RuleCase(
            ['andon_intake_events_total{instance="a",result="accepted"}'],
            "0+10",
            "4000+11",
            26,
            stays=364,
            after="8400+10",
            part=400,
            steady={
                'andon_detector_events_total{instance="a",result="applied"}': "0+10",
                f"andon_consumer_lag_records{{{READS}}}": "0",
                'process_start_time_seconds{service="intake"}': "0",
                **UP,
            },
            restarted=None,
        )
    ],
    "CanaryFailing": [
        RuleCase(["andon_canary_last_success_timestamp_seconds"], "0+60", "3540", 15, after="7200+60", restarted="0")
    ],
}


class BlockedCase(NamedTuple):
    """Minutes of a promise are blocked while `series` have the value `above`, not while they have `below`."""

    slo: str
    series: Sequence[str]
    below: str
    above: str
    steady: Mapping[str, str] = MappingProxyType({})


BLOCKED = [
    BlockedCase("webhooks", [up("intake")], "1", "0"),
    BlockedCase("webhooks", [up("intake")], "1", "_"),
    BlockedCase("webhooks", pair("andon_intake_broker_available"), "1", "0"),
    BlockedCase("webhooks", ['andon_canary_stuck{step="webhook"}'], "0", "1"),
    BlockedCase("seen", [up("detector")], "1", "0"),
    BlockedCase("seen", [up("detector")], "1", "_"),
    BlockedCase("seen", pair("andon_consumer_lag_seconds", READS), "59", "61"),
    BlockedCase("seen", pair("andon_dependency_up", 'service="detector",to="postgres"'), "1", "0"),
    BlockedCase("seen", pair("andon_loop_ready", 'service="detector",loop="evaluator"'), "1", "0"),
    BlockedCase("seen", ['andon_canary_stuck{step="event"}'], "0", "1"),
    *[BlockedCase("mailed", [up(name)], "1", gone) for name in ("detector", "tickets", "notifier") for gone in "0_"],
    BlockedCase("mailed", pair("andon_dependency_up", f'{TICKETS},to="kafka"'), "1", "0"),
    BlockedCase("mailed", pair("andon_loop_ready", f'{TICKETS},loop="relay"'), "1", "0"),
    BlockedCase("mailed", pair("andon_consumer_lag_seconds", f'{TICKETS},topic="flow.problems"'), "299", "301"),
    BlockedCase("mailed", pair("andon_detector_judgement_delay_seconds"), "299", "301"),
    BlockedCase("mailed", pair("andon_detector_judgement_delay_seconds"), "-299", "-301"),
    BlockedCase("mailed", pair("andon_outbox_oldest_seconds", TICKETS), "299", "301"),
    BlockedCase("mailed", pair("andon_tickets_messages_oldest_seconds", TICKETS), "299", "301"),
    BlockedCase(
        "mailed",
        pair("andon_notifier_oldest_waiting_seconds"),
        "299",
        "301",
        {'andon_notifier_server_failures{instance="a"}': "1"},
    ),
    # One mailbox that is full: the server takes other mails.
    BlockedCase(
        "mailed",
        pair("andon_notifier_server_failures"),
        "0",
        "1",
        {'andon_notifier_oldest_waiting_seconds{instance="a"}': "301"},
    ),
    *[
        BlockedCase("mailed", [f'andon_canary_stuck{{step="{step}"}}'], "0", "1")
        for step in ("problem", "ticket", "mail")
    ],
]
