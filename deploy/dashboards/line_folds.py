"""The folded rows of the line: what each part of it does."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards import line_outside, panels
from deploy.dashboards.layout import Fold, Shelf, evenly
from deploy.dashboards.neutral_panels import LATER, NEVER, OF_SERVICE, OF_SOURCE, rate, spent
from deploy.dashboards.panels import About, Unit
from deploy.dashboards.queries import over_time, quantile
from deploy.dashboards.scales import bad_from


def folds() -> Sequence[Fold]:
    """Intake, detector and analyst, outbox, mails, hooks, the APIs of CRMs."""
    return [
        Fold("Intake", _intake()),
        Fold("Reading and judging", _judging()),
        Fold("Outbox and dead letters", _outbox()),
        Fold("Mails", line_outside.mails()),
        Fold("Other systems", line_outside.hooks()),
        Fold("APIs of CRMs", line_outside.apis()),
        Fold("Canary", line_outside.canary()),
    ]


def _intake() -> list[Shelf]:
    return [
        evenly(
            8,
            rate(
                "Which events came?",
                About("events in a second, by source and result.", NEVER, "`andon dead-letters list` has the failed."),
                f"sum by (source, result) (rate(andon_intake_events_total{OF_SOURCE}[$__rate_interval]))",
                "{{source}} {{result}}",
            ),
            rate(
                "Which requests were refused?",
                About(
                    "requests in a second that failed their check, by source and reason.",
                    "more than one in 20 s.",
                    "compare the secret in the CRM with the sources file: `andon doctor` names the source.",
                ),
                f"sum by (source, reason) (rate(andon_intake_refusals_total{OF_SOURCE}[$__rate_interval]))",
                "{{source}} {{reason}}",
                bad_from(0.05),
            ),
        ),
        evenly(8, _answers(), _untranslated()),
    ]


def _answers() -> dashboard.Panel:
    about = About(
        "how long a CRM waits for an answer, and the part that Kafka takes.",
        "more than a second, the promise.",
        "`docker compose logs --tail 50 kafka`; a disk that is slow shows here first.",
    )
    queries = [
        over_time(quantile(0.5, "andon_intake_request_seconds"), "half within"),
        over_time(quantile(0.99, "andon_intake_request_seconds"), "99 of 100 within"),
        over_time(quantile(0.99, "andon_intake_publish_seconds"), "Kafka, 99 of 100 within"),
    ]
    return panels.lines("How long does an answer take?", about, queries, Unit("s", "no requests"), bad_from(1))


def _untranslated() -> dashboard.Panel:
    about = About(
        "events and fields of the last interval that could not be read.",
        "there is one.",
        "`andon dead-letters list` says why; once mended: `andon retranslate`.",
    )
    failures = (
        f"sum by (source, reason) (increase(andon_intake_translation_failures_total{OF_SOURCE}[$__rate_interval]))"
    )
    fields = f"sum by (source, field) (increase(andon_intake_fields_left_out_total{OF_SOURCE}[$__rate_interval]))"
    queries = [over_time(failures, "{{source}} event: {{reason}}"), over_time(fields, "{{source}} field {{field}}")]
    return panels.lines("What could not be read?", about, queries, Unit("none", "none: good", 0), bad_from(1))


def _judging() -> list[Shelf]:
    return [
        evenly(
            8,
            rate(
                "What became of events?",
                About("events that the detector read in a second, by result.", NEVER, "`andon dead-letters list`."),
                "sum by (result) (rate(andon_detector_events_total[$__rate_interval]))",
                "{{result}}",
            ),
            panels.lines(
                "How late are problems found?",
                About(
                    "how far the time up to which problems are found is behind now.",
                    "more than a minute (orange) or five (red).",
                    "`docker compose logs --tail 50 detector`.",
                ),
                [over_time("max(andon_detector_judgement_delay_seconds)", "behind")],
                Unit("s", "not measured"),
                bad_from(300, warn=60),
            ),
            spent(
                "How long does an evaluation take?",
                [
                    over_time(quantile(0.99, "andon_detector_pass_seconds"), "detector, a pass"),
                    over_time(quantile(0.99, "andon_analyst_evaluation_seconds"), "analyst, an evaluation"),
                ],
            ),
        ),
        evenly(8, *_batches()),
        evenly(8, _gone(), _set_aside()),
    ]


def _batches() -> list[dashboard.Panel]:
    size = (
        f"sum by (service) (rate(andon_consumer_batch_records_sum{OF_SERVICE}[$__rate_interval]))"
        f" / sum by (service) (rate(andon_consumer_batch_records_count{OF_SERVICE}[$__rate_interval]))"
    )
    retries = f"sum by (service, topic) (increase(andon_consumer_batch_retries_total{OF_SERVICE}[$__rate_interval]))"
    return [
        spent(
            "How long does a batch take?",
            [over_time(quantile(0.99, "andon_consumer_batch_seconds", ("service",), OF_SERVICE), "{{service}}")],
        ),
        panels.lines(
            "How large are batches?",
            About("records in a batch, in the mean.", NEVER, LATER),
            [over_time(size, "{{service}}")],
            Unit("none", "no batches", 1),
        ),
        panels.lines(
            "Which batches were tried again?",
            About(
                "batches that failed because a server did not answer, and were tried again.",
                "there is one (orange), or ten (red).",
                "`docker compose logs --tail 50 postgres`.",
            ),
            [over_time(retries, "{{service}} {{topic}}")],
            Unit("none", "none: good", 0),
            bad_from(10, warn=1),
        ),
    ]


def _gone() -> dashboard.Panel:
    about = About(
        "records that were deleted from Kafka before a service read them.",
        "there is one.",
        "load what is missing again: `andon retranslate`, or `andon import`.",
    )
    expr = f"sum by (service, topic) (increase(andon_consumer_gone_records_total{OF_SERVICE}[$__rate_interval]))"
    queries = [over_time(expr, "{{service}} {{topic}}")]
    return panels.lines("Which records were lost unread?", about, queries, Unit("none", "none: good", 0), bad_from(1))


def _set_aside() -> dashboard.Panel:
    about = About(
        "events that came later than the policy's lateness, those of deleted deals, and those in unknown stages.",
        "never by itself: histories that are loaded have many.",
        "late: `andon reevaluate`; unknown stages: `andon stages list` says what to add to the policy.",
    )
    found = [
        ("late", "andon_detector_late_events_total"),
        ("of deleted deals", "andon_detector_deleted_deal_events_total"),
        ("in unknown stages", "andon_detector_unknown_stage_visits_total"),
    ]
    queries = [over_time(f"sum(increase({metric}[$__rate_interval]))", name) for name, metric in found]
    return panels.lines("Which events came late, or nowhere?", about, queries, Unit("none", "detector is down", 0))


def _outbox() -> list[Shelf]:
    restart = "`docker compose restart kafka`; what waits is sent by itself then."
    return [
        evenly(
            8,
            panels.lines(
                "How old is the oldest message that waits?",
                About("its age in the outbox of each service.", "30 s (orange), or two minutes (red).", restart),
                [over_time(f"max by (service) (andon_outbox_oldest_seconds{OF_SERVICE})", "{{service}}")],
                Unit("s", "not measured"),
                bad_from(120, warn=30),
            ),
            panels.lines(
                "How many messages wait?",
                About("messages in the outbox, and those that are too large for their topic.", NEVER, restart),
                [
                    over_time(f"max by (service) (andon_outbox_depth{OF_SERVICE})", "{{service}}"),
                    over_time(f"max by (service) (andon_outbox_refused{OF_SERVICE}) > 0", "{{service}}, too large"),
                ],
                Unit("none", "not measured", 0),
            ),
            panels.lines(
                "Which dead letters wait?",
                About(
                    "records that were neither sent again nor dismissed, by topic and reason.",
                    "there is one.",
                    "`andon dead-letters list --waiting`; then `andon dead-letters redrive` or `dismiss`.",
                ),
                [over_time("max by (topic, reason) (andon_dead_letters_waiting) > 0", "{{topic}} {{reason}}")],
                Unit("none", "none: good", 0),
                bad_from(1),
            ),
        )
    ]
