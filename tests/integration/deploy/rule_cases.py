"""For each alert on a cause: a value just below its bound, one above, when it fires, and when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SERVICES = ("intake", "detector", "analyst", "enricher", "tickets", "notifier")
DAY = 1440


@dataclass(frozen=True)
class RuleCase:
    """`series` go through `below` and `above`, each of `part` minutes, and `after`; `steady` go their own way.

    A value is as promtool writes it: `5` stands, `0+1` grows by 1 a step, `_` is no sample. A step is `step` minutes.
    `waits`: minutes from the first value above until the alert fires; `stays`: minutes that it goes on after the last
    one. `labels`: of the alert. `restarted`: the value above of a process that has begun anew; None: another case of
    the alert shows that it does not flap.
    """

    series: Sequence[str]
    below: str
    above: str
    waits: int
    stays: int = 5
    after: str | None = None
    part: int = 60
    step: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    steady: Mapping[str, str] = field(default_factory=dict)
    restarted: str | None = ""

    def input_series(self) -> list[dict[str, str]]:
        """For `promtool test rules`."""
        part, last = self.part // self.step, self.stays // self.step + 10
        parts = [_values(self.below, part), _values(self.above, part), _values(self.after or self.below, last)]
        return self._with_steady(" ".join(parts), 2 * part + last)

    def hovering(self) -> list[dict[str, str]]:
        """Three steps below the bound and three above it, in turn."""
        part = self.part // self.step
        below, above = (_values(value, 3) for value in (self.below, self.above))
        return self._with_steady(" ".join([f"{below} {above}"] * (part // 3)), 2 * part)

    def restarting(self) -> list[dict[str, str]]:
        """Above the bound; in the middle two scrapes fail, then another process goes on."""
        part = self.part // self.step
        before, again = (_values(value, part) for value in (self.above, self.restarted or self.above))
        return self._with_steady(" ".join([_values(self.below, part), before, *STALE[self.step], again]), 4 * part)

    def firing(self) -> list[tuple[int, bool]]:
        """Whether it fires at these minutes."""
        begin, end = self.part, 2 * self.part
        return [
            (begin - self.step, False),
            (begin + self.waits - self.step, False),
            (begin + self.waits, True),
            (end + self.stays - self.step, True),
            (end + self.stays + self.step, False),
        ]

    def _with_steady(self, values: str, steps: int) -> list[dict[str, str]]:
        every = dict.fromkeys(self.series, values) | {n: _values(value, steps) for n, value in self.steady.items()}
        return [{"series": name, "values": one} for name, one in every.items()]


# A failed scrape ends every series of its target. By the length of a step.
STALE = {1: ["stale", "stale"], 5: ["stale"]}


def _values(value: str, minutes: int) -> str:
    if "x" in value:
        return value
    return f"_x{minutes}" if value == "_" else f"{value}x{minutes - 1}"


def pair(name: str, labels: str = "") -> list[str]:
    """The series of two replicas."""
    return [f'{name}{{instance="{one}"{"," if labels else ""}{labels}}}' for one in ("a", "b")]


def up(service: str, instance: str = "a") -> str:
    return f'up{{job="andon",service="{service}",instance="{instance}"}}'


_OTHERS = {up(service): "1" for service in SERVICES if service != "detector"}
_DETECTOR = {"service": "detector"}
_LOOP = 'service="tickets",loop="relay"'
_READS = 'service="detector",topic="pipeline.events"'
_DELAY = "andon_detector_judgement_delay_seconds"
_DISK = 'fstype="ext4",mountpoint="/data",instance="a"'
_FREE, _SIZE = f"node_filesystem_avail_bytes{{{_DISK}}}", {f"node_filesystem_size_bytes{{{_DISK}}}": "1000"}
_REFUSED = "andon_intake_third_last_refusal_timestamp_seconds"
_GENUINE = "andon_intake_last_genuine_timestamp_seconds"
_HEARD = "andon_source_last_event_timestamp_seconds"
_CRM = 'source="crm"'
# The last genuine request came before, and the next one when the alert is to end.
_REPAIRED = "7000x119 7002x9"
_MAILS = "andon_notifier_mails_total"

CAUSE_CASES: dict[str, list[RuleCase]] = {
    "ServiceDown": [
        RuleCase([up("detector"), up("detector", "b")], "1", "0", 2, labels=_DETECTOR, steady=_OTHERS),
        # Nobody runs it: it has no target. Prometheus takes the last value for five minutes.
        RuleCase([up("detector")], "1", "_", 7, labels=_DETECTOR, steady=_OTHERS),
    ],
    "ReplicaDown": [
        RuleCase([up("detector")], "1", "0", 2, labels={"instance": "a"}, steady={up("detector", "b"): "1", **_OTHERS})
    ],
    "ServiceStuck": [RuleCase(pair("andon_loop_ready", _LOOP), "1", "0", 3, labels={"loop": "relay"})],
    "ReplicaStuck": [
        RuleCase(
            [f'andon_loop_ready{{{_LOOP},instance="a"}}'],
            "1",
            "0",
            3,
            labels={"instance": "a", "loop": "relay"},
            steady={f'andon_loop_ready{{{_LOOP},instance="b"}}': "1"},
        )
    ],
    "DependencyDown": [RuleCase(pair("andon_dependency_up", 'service="tickets",to="postgres"'), "1", "0", 1)],
    "ReplicaCutOff": [
        RuleCase(
            ['andon_dependency_up{service="tickets",to="kafka",instance="a"}'],
            "1",
            "0",
            2,
            labels={"instance": "a", "to": "kafka"},
            steady={'andon_dependency_up{service="tickets",to="kafka",instance="b"}': "1"},
        )
    ],
    "IntakeWithoutKafka": [RuleCase(pair("andon_intake_broker_available", 'service="intake"'), "1", "0", 2)],
    "RequestsRefused": [
        # Ten an hour, all refused: heard a minute after the third one, and over with the next genuine one.
        RuleCase(
            pair(_REFUSED, _CRM),
            "6999",
            "7001",
            1,
            after="7001",
            steady={f"{_GENUINE}{{{_CRM}}}": _REPAIRED},
            restarted=None,
        ),
        # Or a day after the last one. A process that has begun anew knows of none.
        RuleCase(
            pair(_REFUSED, _CRM),
            "6999",
            "7001",
            1,
            stays=DAY + 4,
            after="0",
            steady={f"{_GENUINE}{{{_CRM}}}": "7000"},
            restarted="0",
        ),
        # Some genuine, 2 and 4 refused a minute: half of the quarter of an hour, and a minute.
        RuleCase(pair("andon_intake_refusals_total", _CRM), "0+1", "60+2", 9, stays=13, after="180+1"),
    ],
    "SourceSilent": [
        # Heard for an hour, then not for a day: in seconds before 1970.
        RuleCase(
            pair(_HEARD, _CRM), "0+60", "-82800", 1, stays=15, after="7200+60", steady={f"{_GENUINE}{{{_CRM}}}": "0"}
        )
    ],
    "DeadLettersWaiting": [
        RuleCase(
            pair("andon_dead_letters_waiting", 'topic="pipeline.events",reason="not-json"'),
            "0",
            "2",
            0,
            stays=5,
            labels={"topic": "pipeline.events", "reason": "not-json"},
        )
    ],
    "DeadLettersUncounted": [
        RuleCase(
            pair("andon_dead_letters_waiting", 'topic="pipeline.events",reason="handler"'),
            "0",
            "_",
            20,
            after="0",
            steady={'andon_dependency_up{service="intake",to="kafka"}': "1"},
        )
    ],
    "Lagging": [RuleCase(pair("andon_consumer_lag_seconds", _READS), "299", "301", 5, stays=5)],
    "BackupLate": [
        RuleCase(pair("andon_backup_last_success_timestamp_seconds"), "0+60", "-169200", 1, stays=15, after="7200+60")
    ],
    "JudgementLate": [RuleCase(pair(_DELAY, 'service="detector"'), "299", "301", 5, stays=5)],
    "JudgementAhead": [RuleCase(pair(_DELAY, 'service="detector"'), "-4", "-6", 1)],
    "OutboxStuck": [RuleCase(pair("andon_outbox_oldest_seconds", 'service="tickets"'), "119", "121", 2, stays=5)],
    "OutboxRefused": [RuleCase(pair("andon_outbox_refused", 'service="tickets"'), "0", "1", 0)],
    "TicketMessagesWaiting": [
        RuleCase(pair("andon_tickets_messages_oldest_seconds", 'service="tickets"'), "299", "301", 2, stays=5)
    ],
    "MailsWaiting": [RuleCase(pair("andon_notifier_oldest_waiting_seconds"), "899", "901", 0, stays=15)],
    "MailsUnanswered": [RuleCase(pair("andon_notifier_unanswered"), "0", "1", 15)],
    "MailsRefused": [RuleCase(pair(_MAILS, 'reason="opened",result="refused"'), "0", "0+1", 5, stays=DAY, step=5)],
    "TicketsWithoutOwner": [
        RuleCase(pair(_MAILS, 'reason="opened",result="unowned"'), "0", "0+1", 5, stays=DAY, step=5)
    ],
    "AddressesOff": [RuleCase(pair("andon_notifier_addresses_off", 'by="bounce"'), "0", "1", 0)],
    "PipelineUnheard": [RuleCase(pair("andon_notifier_unheard_pipelines"), "0", "1", 15)],
    "PolicyBehind": [RuleCase(pair("andon_policy_behind"), "0", "1", 5)],
    "HookLate": [
        RuleCase(pair("andon_notifier_hook_oldest_waiting_seconds", 'hook="erp"'), "3599", "3601", 0, stays=15)
    ],
    "HookDeadLetters": [RuleCase(pair("andon_notifier_hook_dead", 'hook="erp"'), "0", "1", 0, labels={"hook": "erp"})],
    "HookDisabled": [RuleCase(pair("andon_notifier_hook_disabled", 'hook="erp"'), "0", "1", 0)],
    "ApiRefused": [RuleCase(pair("andon_enricher_suspended", _CRM), "0", "1", 0, labels={"source": "crm"})],
    "ReconciliationLate": [
        RuleCase(
            pair("andon_enricher_reconciled_timestamp_seconds", _CRM),
            "0+60",
            "-12600",
            61,
            stays=15,
            after="10800+60",
            part=90,
        )
    ],
    "UnknownStages": [
        RuleCase(
            pair("andon_flow_unknown_stage_deals", 'pipeline="new",stage="trial"'),
            "_",
            "3",
            1,
            stays=15 + 5,
            labels={"pipeline": "new", "stage": "trial"},
        )
    ],
    "TargetDown": [RuleCase(['up{job="prometheus",instance="p"}'], "1", "0", 10, steady=_OTHERS)],
    "ConfigurationRejected": [RuleCase(["prometheus_config_last_reload_successful"], "1", "0", 5)],
    "AlertsUndelivered": [
        RuleCase(['prometheus_notifications_errors_total{job="prometheus"}'], "0", "0+1", 6, stays=19),
        RuleCase(['alertmanager_notifications_failed_total{job="alertmanager"}'], "0", "0+1", 6, stays=19),
    ],
    "DiskFull": [RuleCase([_FREE], "51", "49", 15, steady=_SIZE)],
}
