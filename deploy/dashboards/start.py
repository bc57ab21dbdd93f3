"""Start: is it well, and where to look first if not."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards import frame, panels
from deploy.dashboards.layout import Shelf, evenly
from deploy.dashboards.panels import About, TableColumn, Unit, Word
from deploy.dashboards.queries import now, rows
from deploy.dashboards.scales import GREY, NEUTRAL, ORANGE, RED, bad_from, good_from

# Where docker-compose.yml puts them into Grafana, which serves them.
RUNBOOKS = "/public/runbooks"
_BUDGET = Unit("percentunit", "not measured yet", decimals=1)
FRAME = frame.Frame(
    "start",
    "Andon: start",
    "Is it well? Promises, servers, alerts, and the first steps if not.",
    "6h",
    variables=[
        frame.address("pages", "label_values(andon_pages_info, url)"),
        frame.text("runbooks", "Runbooks at", RUNBOOKS),
    ],
)


def start() -> dashboard.Dashboard:
    """The dashboard that operators open first."""
    first = [
        evenly(4, *_promises(), _canary(), _services()),
        Shelf(9, [(12, _alerts()), (12, _servers())]),
        Shelf(8, [(12, _first_steps()), (6, _waiting()), (6, _backup())]),
    ]
    return frame.framed(FRAME, first, [])


def _promises() -> list[dashboard.Panel]:
    """A tile for each SLO."""
    told = [
        ("webhooks", "Webhooks answered in time", "Genuine webhooks answered 2xx within 1 s: 99.9 % of 28 days"),
        ("seen", "Events seen in time", "Events whose deal stands as they say within 60 s: 99.5 % of 28 days"),
        ("mailed", "Mails sent in time", "First mails about a problem within 5 min: 99 % of 28 days"),
        ("nothing-lost", "Nothing lost", "Accepted events that were applied, known before, or put aside: all"),
    ]
    return [_promise(*one) for one in told]


def _promise(slo: str, title: str, promise: str) -> dashboard.Panel:
    about = About(
        f"{promise}. The tile has what is left of the error budget of 28 days: 100 % is untouched.",
        "less than a quarter is left (orange), or nothing (red).",
        "look at the alerts below and open their runbook; `andon doctor` finds most causes.",
    )
    left = f'max(andon:slo:error_budget_remaining:ratio28d{{slo="{slo}"}})'
    query = now(left if slo == "nothing-lost" else f"1 - (1 - {left}) * {_share_of_days(slo)}")
    scale = good_from(0.25, warn=1e-9, without=GREY)
    return panels.linked(panels.tile(title, about, query, _BUDGET, scale), "Line", frame.to_dashboard("line"))


def _share_of_days(slo: str) -> str:
    """How much of 28 days is measured, a sample a minute: else a first bad minute would use up all of the budget."""
    return f'clamp_max(max(count_over_time(andon:slo:error_ratio:rate5m{{slo="{slo}"}}[28d])) / 40320, 1)'


def _canary() -> dashboard.Panel:
    about = About(
        "how long ago the last canary, a made-up deal, came through to its mail.",
        "two runs of five minutes are missing (orange), or three (red). Grey: none runs here.",
        "it says where it is stuck: `docker compose logs --tail 20 canary`.",
    )
    query = now("time() - max(andon_canary_last_success_timestamp_seconds > 0)")
    scale = bad_from(900, warn=600, without=GREY)
    return panels.tile("Last canary", about, query, Unit("s", "no canary yet", 0), scale)


def _services() -> dashboard.Panel:
    about = About(
        "services of which no replica answers.",
        "at least one is down, or Prometheus watches none.",
        "`docker compose ps`, then `docker compose logs --tail 50 SERVICE`; no event is lost meanwhile.",
    )
    query = now('sum(max by (service) (up{job="andon"}) == bool 0)')
    tile = panels.tile("Services down", about, query, Unit("none", "none is watched", 0), bad_from(1, without=RED))
    return panels.linked(tile, "Service", frame.to_dashboard("service"))


def _alerts() -> dashboard.Panel:
    about = About(
        "alerts that fire now, the newest first.",
        "a page (red) needs somebody now, a ticket (orange) within the day.",
        "open the runbook by the alert's name; silence it with `docker compose exec alertmanager amtool silence add`.",
    )
    query = rows(
        'sort_desc(1000 * (ALERTS_FOR_STATE and ignoring (alertstate) ALERTS{alertstate="firing",severity!="none"}))'
    )
    labels = ["alertname", "severity", "service", "source", "to", "topic", "Value"]
    columns = [
        TableColumn("Alert", link="${runbooks}/${__data.fields.Alert}.md"),
        TableColumn("Who", words={"page": Word("now", RED), "ticket": Word("today", ORANGE)}, width=70),
        TableColumn("Since", unit="dateTimeFromNow"),
    ]
    renamed = {"alertname": "Alert", "severity": "Who", "Value": "Since", "to": "server"}
    steps = panels.arranged(labels, renamed)
    return panels.grid("Which alerts fire?", about, [query], columns, "none fires: good", steps)


def _servers() -> dashboard.Panel:
    about = About(
        "the servers that services need, those that do not answer first, and when each last answered.",
        "a service has no answer from it.",
        "`docker compose ps`, then `docker compose restart kafka` (or `postgres`); services go on by themselves.",
    )
    up = rows("min by (service, to) (andon_dependency_up)")
    last = rows("1000 * max by (service, to) (andon_dependency_last_ok_timestamp_seconds > 0)")
    labels = ["to", "service", "Value #A", "Value #B"]
    renamed = {"to": "Server", "service": "Needed by", "Value #A": "State", "Value #B": "Last answer"}
    columns = [
        TableColumn("State", unit="none", scale=good_from(1), words={"0": Word("no answer"), "1": Word("answers")}),
        TableColumn("Last answer", unit="dateTimeFromNow"),
    ]
    steps = panels.arranged(labels, renamed)
    none = "no service is watched"
    return panels.grid("Which servers answer?", about, [up, last], columns, none, steps, ("State", False))


def _first_steps() -> dashboard.Panel:
    about = About("what to do first at night.", "never: it is a text.", "read it before you need it.")
    return panels.words("First steps at 3 a.m.", about, _STEPS)


_STEPS = """1. **Nothing is lost.** CRMs send again for hours; what was taken waits in Kafka.
2. Open the runbook of the alert at the top: its name is a link. No alert? `docker compose ps`.
3. `docker compose exec tickets andon doctor` looks at everything in 20 s, and says what to do.
4. A server does not answer: `docker compose restart kafka` (or `postgres`); a service: the same with its name.
5. It is over when the tiles are green again; lag falls to 0 within minutes.
6. Not over after half an hour: `docker compose exec tickets andon support-bundle`, and call the next person."""


def _waiting() -> dashboard.Panel:
    about = About(
        "open tickets by how long they have been in their state.",
        "never: how long a ticket may wait is the managers' decision.",
        "open the tickets' pages; *Improvement* has each of them.",
    )
    day, week, month = map(_waiting_less, ("86400.0", "604800.0", "2.4192e+06"))
    every = "sum(max by (state) (andon_ticket_waiting_seconds_gcount))"
    queries = [
        now(f"{every} - {month}", "over 28 days"),
        now(f"{month} - {week}", "7 to 28 days"),
        now(f"{week} - {day}", "1 to 7 days"),
        now(day, "under a day"),
    ]
    panel = panels.bars("How long do open tickets wait?", about, queries, Unit("none", "no tickets", 0), NEUTRAL)
    return panels.linked(panel, "Improvement", frame.to_dashboard("improvement"))


def _waiting_less(le: str) -> str:
    """Open tickets that wait no longer than a bound of the buckets."""
    return f'sum(max by (state) (andon_ticket_waiting_seconds_bucket{{le="{le}"}}))'


def _backup() -> dashboard.Panel:
    about = About(
        "how long ago the last backup was finished.",
        "more than a day and a half ago (orange), or two days (red). Grey: there was none.",
        "make one: `andon backup TARGET`.",
    )
    query = now("time() - max(andon_backup_last_success_timestamp_seconds)")
    scale = bad_from(172_800, warn=129_600, without=GREY)
    return panels.tile("Last backup", about, query, Unit("s", "none yet", 0), scale)
