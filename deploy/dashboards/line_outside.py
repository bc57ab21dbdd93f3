"""The folded rows of the line for what goes out: mails, other systems, the APIs of CRMs; and the canary."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards import panels
from deploy.dashboards.layout import Shelf, evenly
from deploy.dashboards.neutral_panels import NEVER, OF_SOURCE, rate, spent
from deploy.dashboards.panels import About, LineStyle, Unit
from deploy.dashboards.queries import now, over_time, quantile
from deploy.dashboards.scales import GREY, NEUTRAL, bad_from, good_from


def mails() -> list[Shelf]:
    """What becomes of mails."""
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
    return spent("How long does a mail take?", queries)


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
        NEVER,
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


def hooks() -> list[Shelf]:
    """What becomes of messages to other systems."""
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
                About("messages by result.", NEVER, "`andon hook list` counts them."),
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


def apis() -> list[Shelf]:
    """What CRMs answer when we ask them."""
    return [evenly(8, _api_answers(), _api_seconds(), _api_refuses()), evenly(8, _quota(), _reconciled(), _wanted())]


_API_LOG = "`docker compose logs --tail 50 enricher` has the API's answers."
_NO_API = "no source has an API"


def _api_answers() -> dashboard.Panel:
    expr = f"sum by (source, result) (rate(andon_enricher_requests_total{OF_SOURCE}[$__rate_interval]))"
    about = About("requests to their APIs in a second.", NEVER, _API_LOG)
    return rate("What do CRMs answer?", about, expr, "{{source}} {{result}}")


def _api_seconds() -> dashboard.Panel:
    expr = quantile(0.95, "andon_enricher_request_seconds", ("source",), OF_SOURCE)
    return spent("How long do CRMs take?", [over_time(expr, "{{source}}")])


def _api_refuses() -> dashboard.Panel:
    about = About("CRMs that reject our credentials: requests are paused.", "there is one.", _API_LOG)
    queries = [over_time(f"max by (source) (andon_enricher_suspended{OF_SOURCE})", "{{source}}")]
    return panels.lines("Which CRM refuses us?", about, queries, Unit("none", _NO_API, 0), bad_from(1))


def _quota() -> dashboard.Panel:
    about = About(
        "requests that each CRM still allows today, where it says so.",
        "under 500 (orange), or 100 (red).",
        "`andon doctor` shows rights and quota.",
    )
    queries = [over_time(f"min by (source) (andon_crm_quota_left{OF_SOURCE})", "{{source}}")]
    scale = good_from(500, warn=100, without=GREY)
    return panels.lines("How many requests are left today?", about, queries, Unit("none", "no CRM says so", 0), scale)


def _reconciled() -> dashboard.Panel:
    about = About("how long ago.", "more than two hours (orange), or five (red).", _API_LOG)
    expr = f"time() - max by (source) (andon_enricher_reconciled_timestamp_seconds{OF_SOURCE} > 0)"
    queries = [over_time(expr, "{{source}}")]
    scale = bad_from(18_000, warn=7200)
    return panels.lines("When was each source compared with its CRM?", about, queries, Unit("s", _NO_API), scale)


def _wanted() -> dashboard.Panel:
    about = About("deals whose facts webhooks left out, and those with gaps.", NEVER, _API_LOG)
    queries = [
        over_time(f"max by (source) (andon_enricher_deals_wanted{OF_SOURCE})", "{{source}}"),
        over_time(f"max by (source) (andon_enricher_deals_with_gaps{OF_SOURCE})", "{{source}} with gaps"),
    ]
    return panels.lines("How many deals wait to be fetched?", about, queries, Unit("none", _NO_API, 0))


def canary() -> list[Shelf]:
    """The way of the canary, a made-up deal that goes through all of Andon."""
    none = "no canary runs here"
    stuck = About(
        "the step at which the last run of the canary got stuck.",
        "it is stuck there.",
        "look at that step's row; `docker compose logs --tail 20 canary`.",
    )
    took = About("how long the last run took in each step.", NEVER, "compare with *How long does each step take?*.")
    return [
        evenly(
            8,
            panels.bars(
                "Where is the canary stuck?",
                stuck,
                [now("max by (step) (andon_canary_stuck)", "{{step}}")],
                Unit("none", none, 0),
                bad_from(1, without=GREY),
            ),
            panels.lines(
                "How long does the canary take?",
                took,
                [over_time("max by (step) (andon_canary_step_seconds)", "{{step}}")],
                Unit("s", none),
            ),
        )
    ]
