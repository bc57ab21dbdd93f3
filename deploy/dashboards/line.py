"""Line: the way of an event, from the webhook to the mail."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards import frame, line_folds, panels
from deploy.dashboards.layout import Shelf, evenly
from deploy.dashboards.panels import About, LineStyle, TableColumn, Unit, Word
from deploy.dashboards.queries import annotation, now, over_time, quantile, rows
from deploy.dashboards.scales import GREEN, LOWEST, NEUTRAL, ORANGE, RED, Scale, bad_from, good_from

_SECONDS = Unit("s", "not measured", 0)
FRAME = frame.Frame(
    "line",
    "Andon: line",
    "Do events get through, and how fast?",
    "6h",
    variables=[
        frame.labels("source", "Source", "label_values(andon_intake_events_total, source)"),
        frame.labels("service", "Service", 'label_values(up{job="andon"}, service)'),
    ],
    annotations=[
        annotation(
            "Restarts",
            "orange",
            'changes(process_start_time_seconds{job="andon",service=~"$service"}[1m]) > 0',
            "{{service}} started",
        ),
        annotation(
            "Versions",
            "blue",
            "max by (service, version) (andon_build_info)"
            " unless max by (service, version) (andon_build_info offset 5m)",
            "{{service}} {{version}}",
        ),
        annotation("Alerts", "red", 'ALERTS{alertstate="firing",severity!="none"}', "{{alertname}}"),
    ],
)


def line() -> dashboard.Dashboard:
    """The dashboard of the way through."""
    first = [
        evenly(4, _kafka(), _refused(), _behind(), _judgement(), _outbox(), _dead_letters()),
        evenly(9, _steps(), _requests()),
        Shelf(9, [(12, _lag()), (6, _sources()), (6, _mails())]),
    ]
    return frame.framed(FRAME, first, line_folds.folds())


def _kafka() -> dashboard.Panel:
    about = About(
        "whether intake can write to Kafka.",
        "it cannot: intake answers 503, and CRMs send again later.",
        "`docker compose restart kafka`; `docker compose logs --tail 50 kafka` has the reason.",
    )
    query = now("min(andon_intake_broker_available)")
    words = {"0": Word("no answer"), "1": Word("answers")}
    return panels.tile("Kafka for intake", about, query, Unit("none", "intake is down"), good_from(1), words)


def _refused() -> dashboard.Panel:
    about = About(
        "requests of the last 15 minutes that failed their check, in a second.",
        "there is one (orange), or more than one in 20 s (red).",
        "compare the secret in the CRM with the sources file; `andon doctor` names the source.",
    )
    query = now('sum(rate(andon_intake_refusals_total{source=~"$source"}[15m])) or vector(0)')
    return panels.tile("Requests refused", about, query, Unit("reqps", "none: good", 3), bad_from(0.05, warn=1e-9))


def _behind() -> dashboard.Panel:
    about = About(
        "the age of the oldest record that a service has not handled.",
        "more than a minute, the promise (orange), or five (red).",
        "`docker compose logs --tail 50 SERVICE`; start another replica if it works but is too slow.",
    )
    query = now('max(andon_consumer_lag_seconds{service=~"$service"})')
    return panels.tile("Furthest behind", about, query, _SECONDS, bad_from(300, warn=60, without=RED))


def _judgement() -> dashboard.Panel:
    about = About(
        "how far the time up to which problems are found is behind now.",
        "more than a minute (orange) or five (red) behind, or more than 5 s ahead (red).",
        "`docker compose logs --tail 50 detector`; if it is ahead, the clock of Postgres was: `andon reevaluate`.",
    )
    query = now("max(andon_detector_judgement_delay_seconds)")
    scale = Scale(RED, (LOWEST, RED), (-5, GREEN), (60, ORANGE), (300, RED))
    return panels.tile("Judgement delay", about, query, _SECONDS, scale)


def _outbox() -> dashboard.Panel:
    about = About(
        "the age of the oldest message that waits for Kafka in a service's outbox.",
        "more than 30 s (orange), or two minutes (red).",
        "`docker compose restart kafka`; what waits is sent by itself then.",
    )
    query = now('max(andon_outbox_oldest_seconds{service=~"$service"})')
    return panels.tile("Oldest in an outbox", about, query, _SECONDS, bad_from(120, warn=30, without=RED))


def _dead_letters() -> dashboard.Panel:
    about = About(
        "records that could not be read or handled, and were neither sent again nor dismissed.",
        "there is one. Also where nobody counts them.",
        "see why: `andon dead-letters list --waiting`; then `andon dead-letters redrive` or `dismiss`.",
    )
    query = now("sum(max by (topic, reason) (andon_dead_letters_waiting))")
    return panels.tile("Dead letters waiting", about, query, Unit("none", "not counted", 0), bad_from(1, without=RED))


def _steps() -> dashboard.Panel:
    about = About(
        "how long 95 of 100 take in each step: intake's answer, until a deal stands as its event says, from a problem"
        " to its mail, and the mail server's part.",
        "never: each step has its own bound; *Start* has the promises.",
        "find the step that grew, and open its row below; `andon doctor` looks at all of them.",
    )
    found = [
        ("1 answer to the webhook", "andon_intake_request_seconds"),
        ("2 event seen", "andon_event_seen_seconds"),
        ("3 problem to mail", "andon_problem_to_mail_seconds"),
        ("4 of it, mail server", "andon_notifier_smtp_seconds"),
    ]
    queries = [over_time(quantile(0.95, metric), name) for name, metric in found]
    return panels.lines("How long does each step take?", about, queries, Unit("s", "nothing came in"))


def _requests() -> dashboard.Panel:
    about = About(
        "requests to intake in a second, by source and answer.",
        "never by itself: 202 is good, 401 a wrong secret, 503 that Kafka does not answer.",
        "401: compare the secret, `andon doctor` names the source; 503: `docker compose restart kafka`.",
    )
    expr = 'sum by (source, status) (rate(andon_intake_requests_total{source=~"$source"}[$__rate_interval]))'
    colors = {" 2..$": "green", " 4..$": "orange", " 5..$": "red"}
    drawn = LineStyle(colors=colors)
    queries = [over_time(expr, "{{source}} {{status}}")]
    return panels.lines(
        "Who sends, and what is answered?", about, queries, Unit("reqps", "no requests"), NEUTRAL, drawn
    )


def _lag() -> dashboard.Panel:
    about = About(
        "the age of the oldest record that each service has not handled, by topic. The first line is the promise.",
        "above a minute (orange) or five (red).",
        "`docker compose logs --tail 50 SERVICE`; start another replica if it works but is too slow.",
    )
    expr = 'max by (service, topic) (andon_consumer_lag_seconds{service=~"$service"})'
    queries = [over_time(expr, "{{service}} {{topic}}")]
    return panels.lines("How far behind?", about, queries, Unit("s", "not measured"), bad_from(300, warn=60))


def _sources() -> dashboard.Panel:
    about = About(
        "how long ago each source sent its last event, the quietest first.",
        "nothing for a day.",
        "look in the CRM whether its webhooks are on; `andon doctor` says when each source was heard.",
    )
    expr = 'sort_desc(time() - max by (source) (andon_source_last_event_timestamp_seconds{source=~"$source"}))'
    columns = [TableColumn("Silent for", unit="s", scale=bad_from(86_400))]
    steps = panels.arranged(["source", "Value"], {"source": "Source", "Value": "Silent for"})
    return panels.grid("Which sources are quiet?", about, [rows(expr)], columns, "no source has sent yet", steps)


def _mails() -> dashboard.Panel:
    about = About(
        "how late the oldest mail is.",
        "more than five minutes (orange), or a quarter of an hour (red).",
        "`docker compose logs --tail 50 notifier` has the mail server's answer; `andon doctor` tries it.",
    )
    queries = [over_time("max(andon_notifier_oldest_waiting_seconds)", "oldest")]
    return panels.lines("Are mails late?", about, queries, Unit("s", "not measured"), bad_from(900, warn=300))
