"""The folded rows of the line: what each part of it does."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards import panels
from deploy.dashboards.layout import Fold, Shelf, evenly
from deploy.dashboards.panels import About, LineStyle, Unit
from deploy.dashboards.queries import Query, over_time, quantile
from deploy.dashboards.scales import GREY, NEUTRAL, Scale, bad_from, good_from

_NEVER = "never: it is neither good nor bad by itself."
_LATER = "compare it with the lag; `docker compose logs --tail 50 SERVICE`."
_FROM_SOURCE = '{source=~"$source"}'
_OF_SERVICE = '{service=~"$service"}'


def folds() -> Sequence[Fold]:
    """Intake, detector and analyst, outbox, mails, hooks, the APIs of CRMs."""
    return [
        Fold("Intake", _intake()),
        Fold("Reading and judging", _judging()),
        Fold("Outbox and dead letters", _outbox()),
        Fold("Mails", _mails()),
        Fold("Other systems", _hooks()),
        Fold("APIs of CRMs", _apis()),
    ]


def _intake() -> list[Shelf]:
    return [
        evenly(
            8,
            _rate(
                "Which events came?",
                About("events in a second, by source and result.", _NEVER, "`andon dead-letters list` has the failed."),
                f"sum by (source, result) (rate(andon_intake_events_total{_FROM_SOURCE}[$__rate_interval]))",
                "{{source}} {{result}}",
            ),
            _rate(
                "Which requests were refused?",
                About(
                    "requests in a second that failed their check, by source and reason.",
                    "more than one in 20 s.",
                    "compare the secret in the CRM with the sources file: `andon doctor` names the source.",
                ),
                f"sum by (source, reason) (rate(andon_intake_refusals_total{_FROM_SOURCE}[$__rate_interval]))",
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
        f"sum by (source, reason) (increase(andon_intake_translation_failures_total{_FROM_SOURCE}[$__rate_interval]))"
    )
    fields = f"sum by (source, field) (increase(andon_intake_fields_left_out_total{_FROM_SOURCE}[$__rate_interval]))"
    queries = [over_time(failures, "{{source}} event: {{reason}}"), over_time(fields, "{{source}} field {{field}}")]
    return panels.lines("What could not be read?", about, queries, Unit("none", "none: good", 0), bad_from(1))


def _judging() -> list[Shelf]:
    return [
        evenly(
            8,
            _rate(
                "What became of events?",
                About("events that the detector read in a second, by result.", _NEVER, "`andon dead-letters list`."),
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
            _spent(
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
        f"sum by (service) (rate(andon_consumer_batch_records_sum{_OF_SERVICE}[$__rate_interval]))"
        f" / sum by (service) (rate(andon_consumer_batch_records_count{_OF_SERVICE}[$__rate_interval]))"
    )
    retries = f"sum by (service, topic) (increase(andon_consumer_batch_retries_total{_OF_SERVICE}[$__rate_interval]))"
    return [
        _spent(
            "How long does a batch take?",
            [over_time(quantile(0.99, "andon_consumer_batch_seconds", ("service",), _OF_SERVICE), "{{service}}")],
        ),
        panels.lines(
            "How large are batches?",
            About("records in a batch, in the mean.", _NEVER, _LATER),
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
    expr = f"sum by (service, topic) (increase(andon_consumer_gone_records_total{_OF_SERVICE}[$__rate_interval]))"
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
                [over_time(f"max by (service) (andon_outbox_oldest_seconds{_OF_SERVICE})", "{{service}}")],
                Unit("s", "not measured"),
                bad_from(120, warn=30),
            ),
            panels.lines(
                "How many messages wait?",
                About("messages in the outbox, and those that are too large for their topic.", _NEVER, restart),
                [
                    over_time(f"max by (service) (andon_outbox_depth{_OF_SERVICE})", "{{service}}"),
                    over_time(f"max by (service) (andon_outbox_refused{_OF_SERVICE}) > 0", "{{service}}, too large"),
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


def _mails() -> list[Shelf]:
    return [
        evenly(8, _mail_results(), _mails_waiting(), _mails_returned()),
        evenly(8, _tickets_waiting(), _unheard(), _time_to_mail()),
    ]


def _tickets_waiting() -> dashboard.Panel:
    about = About(
        "the age of the oldest change of a ticket that waits for its chart, before it is mailed.",
        "more than a minute (orange), or five (red).",
        "`docker compose logs --tail 50 tickets` says why charts cannot be drawn.",
    )
    queries = [over_time("max(andon_tickets_messages_oldest_seconds)", "oldest")]
    unit = Unit("s", "not measured")
    return panels.lines("Do changes of tickets wait?", about, queries, unit, bad_from(300, warn=60))


def _unheard() -> dashboard.Panel:
    about = About(
        "pipelines of whose problems nobody gets mails.",
        "there is one.",
        "`andon mail addresses` links to the page that names them; add a recipient to the policy.",
    )
    queries = [over_time("max(andon_notifier_unheard_pipelines)", "pipelines")]
    return panels.lines("Who is not heard?", about, queries, Unit("none", "not measured", 0), bad_from(1))


def _time_to_mail() -> dashboard.Panel:
    queries = [
        over_time(quantile(0.99, "andon_notifier_change_to_mail_seconds"), "from when it should go out"),
        over_time(quantile(0.99, "andon_notifier_smtp_seconds"), "mail server"),
    ]
    return _spent("How long does a mail take?", queries)


def _mail_results() -> dashboard.Panel:
    about = About(
        "mails of the last interval by result: deferred ones are sent again, refused ones are not.",
        "never by itself: *Are mails late?* says whether it matters.",
        "`docker compose logs --tail 50 notifier` has the server's answers.",
    )
    expr = "sum by (result) (increase(andon_notifier_mails_total[$__rate_interval]))"
    drawn = LineStyle(draw_bars=True, stacked=True, colors={"^sent$": "green", "^refused$": "red"})
    queries = [over_time(expr, "{{result}}")]
    return panels.lines("What became of mails?", about, queries, Unit("none", "no mails", 0), NEUTRAL, drawn)


def _mails_waiting() -> dashboard.Panel:
    about = About(
        "mails not sent yet, and those of which the server's answer was lost.",
        _NEVER,
        "`docker compose logs --tail 50 notifier`.",
    )
    queries = [
        over_time("max(andon_notifier_waiting)", "waiting"),
        over_time("max(andon_notifier_unanswered)", "answer lost"),
    ]
    return panels.lines("How many mails wait?", about, queries, Unit("none", "not measured", 0))


def _mails_returned() -> dashboard.Panel:
    about = About(
        "mails that were returned, and addresses that get none since.",
        "there is one.",
        "`andon mail addresses` links to the page that names them.",
    )
    queries = [
        over_time("sum by (kind) (increase(andon_notifier_bounces_total[$__rate_interval]))", "returned, {{kind}}"),
        over_time('max by (by) (andon_notifier_addresses_off{by="bounce"})', "addresses off"),
    ]
    return panels.lines("Which mails came back?", about, queries, Unit("none", "none: good", 0), bad_from(1))


def _hooks() -> list[Shelf]:
    late = "max by (hook) (andon_notifier_hook_oldest_waiting_seconds)"
    deliveries = "sum by (hook, result) (increase(andon_notifier_hook_deliveries_total[$__rate_interval]))"
    return [
        evenly(
            8,
            panels.lines(
                "Are messages to other systems late?",
                About("how long the oldest waits.", "more than an hour.", "`andon hook dead` shows the last answers."),
                [over_time(late, "{{hook}}")],
                Unit("s", "no hooks"),
                bad_from(3600),
            ),
            panels.lines(
                "What became of messages to other systems?",
                About("messages by result.", _NEVER, "`andon hook list` counts them."),
                [over_time(deliveries, "{{hook}} {{result}}")],
                Unit("none", "no hooks", 0),
                NEUTRAL,
                LineStyle(draw_bars=True, stacked=True),
            ),
            panels.lines(
                "Which were given up?",
                About(
                    "messages that were given up, and receivers that are sent nothing.",
                    "there is one.",
                    "`andon hook resend` once the cause is mended.",
                ),
                [
                    over_time("max by (hook) (andon_notifier_hook_dead)", "{{hook}}"),
                    over_time("max by (hook) (andon_notifier_hook_disabled) > 0", "{{hook}} is off"),
                ],
                Unit("none", "no hooks", 0),
                bad_from(1),
            ),
        )
    ]


def _apis() -> list[Shelf]:
    return [evenly(8, _api_answers(), _api_seconds(), _api_refuses()), evenly(8, _quota(), _reconciled(), _wanted())]


_API_LOG = "`docker compose logs --tail 50 enricher` has the API's answers."
_NO_API = "no source has an API"


def _api_answers() -> dashboard.Panel:
    expr = f"sum by (source, result) (rate(andon_enricher_requests_total{_FROM_SOURCE}[$__rate_interval]))"
    about = About("requests to their APIs in a second.", _NEVER, _API_LOG)
    return _rate("What do CRMs answer?", about, expr, "{{source}} {{result}}")


def _api_seconds() -> dashboard.Panel:
    expr = quantile(0.95, "andon_enricher_request_seconds", ("source",), _FROM_SOURCE)
    return _spent("How long do CRMs take?", [over_time(expr, "{{source}}")])


def _api_refuses() -> dashboard.Panel:
    about = About("CRMs that reject our credentials: requests are paused.", "there is one.", _API_LOG)
    queries = [over_time(f"max by (source) (andon_enricher_suspended{_FROM_SOURCE})", "{{source}}")]
    return panels.lines("Which CRM refuses us?", about, queries, Unit("none", _NO_API, 0), bad_from(1))


def _quota() -> dashboard.Panel:
    about = About(
        "requests that each CRM still allows today, where it says so.",
        "under 500 (orange), or 100 (red).",
        "`andon doctor` shows rights and quota.",
    )
    queries = [over_time(f"min by (source) (andon_crm_quota_left{_FROM_SOURCE})", "{{source}}")]
    scale = good_from(500, warn=100, without=GREY)
    return panels.lines("How many requests are left today?", about, queries, Unit("none", "no CRM says so", 0), scale)


def _reconciled() -> dashboard.Panel:
    about = About("how long ago.", "more than two hours (orange), or five (red).", _API_LOG)
    expr = f"time() - max by (source) (andon_enricher_reconciled_timestamp_seconds{_FROM_SOURCE} > 0)"
    queries = [over_time(expr, "{{source}}")]
    scale = bad_from(18_000, warn=7200)
    return panels.lines("When was each source compared with its CRM?", about, queries, Unit("s", _NO_API), scale)


def _wanted() -> dashboard.Panel:
    about = About("deals whose facts webhooks left out, and those with gaps.", _NEVER, _API_LOG)
    queries = [
        over_time(f"max by (source) (andon_enricher_deals_wanted{_FROM_SOURCE})", "{{source}}"),
        over_time(f"max by (source) (andon_enricher_deals_with_gaps{_FROM_SOURCE})", "{{source}} with gaps"),
    ]
    return panels.lines("How many deals wait to be fetched?", about, queries, Unit("none", _NO_API, 0))


def _rate(title: str, about: About, expr: str, legend: str, scale: Scale = NEUTRAL) -> dashboard.Panel:
    return panels.lines(title, about, [over_time(expr, legend)], Unit("cps", "none"), scale)


def _spent(title: str, queries: Sequence[Query]) -> dashboard.Panel:
    """How long something takes that has no bound of its own."""
    about = About("what 99 of 100 take.", _NEVER, _LATER)
    return panels.lines(title, about, queries, Unit("s", "nothing happened"))
