"""Improvement: tickets, what is waited for, and whether changes worked."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards import frame, panels
from deploy.dashboards.layout import Fold, Shelf, evenly
from deploy.dashboards.panels import About, LineStyle, TableColumn, Unit
from deploy.dashboards.problem_sql import TICKETS
from deploy.dashboards.queries import now, sql, sql_over_time
from deploy.dashboards.scales import GREEN, GREY, LOWEST, NEUTRAL, ORANGE, Scale, bad_from

_BACK = "90d"
_NEVER = "never: it is neither good nor bad by itself."
_COUNT = Unit("none", "no tickets yet", 0)
_OPEN = 'sum(max by (kind, state) (andon_tickets{state!="closed"}))'
_COLORS = {
    "^open$": "red",
    "^acknowledged$": "orange",
    "^snoozed$": "#8e8e8e",
    "^planned$": "yellow",
    "^doing$": "blue",
    "^verifying$": "purple",
}
FRAME = frame.Frame(
    "improvement",
    "Andon: improvement",
    "What is being improved, what waits, and did it work? History shows 90 days whatever the range.",
    "6h",
    variables=[frame.address("pages", "label_values(andon_pages_info, url)")],
)


def improvement() -> dashboard.Dashboard:
    """The dashboard of tickets."""
    first = [
        evenly(4, _open(), _untouched(), _undecided(), _verified(), _cords_waiting(), _mailed()),
        Shelf(9, [(16, _tickets()), (8, _states())]),
        evenly(9, _over_time(), _verdicts(), _cords()),
    ]
    return frame.framed(FRAME, first, [Fold("Changes and charts", [evenly(8, _changes(), _failures(), _pulls())])])


def _open() -> dashboard.Panel:
    about = About("tickets that are not closed.", _NEVER, "open the tickets' pages.")
    return panels.tile("Open tickets", about, now(_OPEN), _COUNT, NEUTRAL)


def _untouched() -> dashboard.Panel:
    about = About(
        "tickets that nobody has acknowledged for more than a day.",
        "there is one (orange): somebody should say that they have seen it.",
        "open them in the table below; the owner of the pipeline gets a mail: `andon mail addresses`.",
    )
    query = now(
        'max(andon_ticket_waiting_seconds_gcount{state="open"})'
        ' - max(andon_ticket_waiting_seconds_bucket{state="open",le="86400.0"})'
    )
    scale = Scale(GREEN, (LOWEST, GREEN), (1, ORANGE))
    return panels.tile("Not seen for a day", about, query, Unit("none", "none: good", 0), scale)


def _undecided() -> dashboard.Panel:
    about = About(
        "studies that have a verdict, of which nobody has decided yet what follows.",
        "there is one (orange).",
        "open its ticket and adopt, adapt or drop the change.",
    )
    query = sql(
        "SELECT count(*) AS value FROM report.study WHERE verdict IS NOT NULL AND decision IS NULL AND ended_at IS NULL"
    )
    scale = Scale(GREEN, (LOWEST, GREEN), (1, ORANGE))
    return panels.tile("Waiting for a decision", about, query, Unit("none", "none: good", 0), scale)


def _verified() -> dashboard.Panel:
    about = About(
        "the share of predictions that came true, of all verdicts.",
        "never: a prediction that fails teaches, too.",
        "read the verdicts in the ledger of the tickets' pages.",
    )
    query = sql("""SELECT avg((verdict = 'verified')::int) AS value FROM report.study WHERE verdict IS NOT NULL""")
    return panels.tile("Predictions that hit", about, query, Unit("percentunit", "no verdict yet", 0), NEUTRAL)


def _cords_waiting() -> dashboard.Panel:
    about = About(
        "pulls of a cord that nobody has answered for four hours.",
        "there is one (orange): who pulls and hears nothing pulls no second time.",
        "open its ticket, and say that you have seen it.",
    )
    query = sql(
        """SELECT count(*) AS value FROM report.cord_pull
        WHERE waited AND answered_at IS NULL AND pulled_at < now() - interval '4 hours'"""
    )
    scale = Scale(GREEN, (LOWEST, GREEN), (1, ORANGE))
    return panels.tile("Cords without an answer", about, query, Unit("none", "none: good", 0), scale)


def _mailed() -> dashboard.Panel:
    about = About(
        "mails of the last day that a server refused for good, and tickets without an owner to mail.",
        "there is one.",
        "correct the owner's address in the policy: `andon policy check FILE`.",
    )
    query = now('sum(increase(andon_notifier_mails_total{result=~"refused|unowned"}[1d])) or vector(0)')
    return panels.tile("Mails nobody got", about, query, Unit("none", "none: good", 0), bad_from(0.5))


def _tickets() -> dashboard.Panel:
    about = About(
        "open tickets, those first that have been in their state for longest.",
        "never: how long a ticket may wait is the managers' decision.",
        "open one by its number.",
    )
    query = sql(
        f"""SELECT id AS "Ticket", name AS "About", state AS "State", opened_at AS "Opened",
        coalesce(since, opened_at) AS "In this state since", snoozed_until AS "Asleep until"
        FROM {TICKETS} AS t LEFT JOIN LATERAL (SELECT max(at) AS since FROM report.change WHERE ticket = t.id
        AND to_state = t.state AND from_state IS DISTINCT FROM to_state) AS c ON true
        WHERE state <> 'closed' ORDER BY 5 LIMIT 100"""
    )
    columns = [
        TableColumn("Ticket", unit="none", link="${pages}/tickets/${__data.fields.Ticket}", width=70),
        TableColumn("About", width=380),
        *(TableColumn(name, unit="dateTimeFromNow") for name in ("Opened", "In this state since", "Asleep until")),
    ]
    return panels.grid("Which tickets are open?", about, [query], columns, "no open ticket")


def _states() -> dashboard.Panel:
    about = About("open tickets by their state.", _NEVER, "the table beside it names them.")
    query = now('sum by (state) (max by (kind, state) (andon_tickets{state!="closed"}))', "{{state}}")
    return panels.bars("How far are tickets?", about, [query], _COUNT, NEUTRAL)


def _over_time() -> dashboard.Panel:
    about = About(
        "open tickets by state over 90 days.",
        "never by itself: a pile of open ones that grows is more than is worked on.",
        "look at *Which tickets are open?*.",
    )
    query = sql_over_time(
        """WITH steps AS (
        SELECT at, to_state AS state, 1 AS step FROM report.change WHERE from_state IS DISTINCT FROM to_state
        UNION ALL SELECT at, from_state, -1 FROM report.change WHERE from_state <> to_state),
        days AS (SELECT generate_series($__timeTo()::timestamptz, $__timeFrom()::timestamptz, interval '-1 day') AS day)
        SELECT day AS time, state AS metric, sum(step) AS value FROM days JOIN steps ON at <= day
        WHERE state <> 'closed' GROUP BY 1, 2 ORDER BY 1"""
    )
    drawn = LineStyle(stacked=True, colors=_COLORS)
    return _back(panels.lines("How did tickets move on?", about, [query], _COUNT, NEUTRAL, drawn))


def _verdicts() -> dashboard.Panel:
    about = About(
        "verdicts of studies by month.",
        "never: a change that did not work is knowledge.",
        "read them in the ledger of the tickets' pages.",
    )
    query = sql_over_time(
        """SELECT date_trunc('month', verdict_at) AS time, verdict AS metric, count(*) AS value FROM report.study
        WHERE verdict IS NOT NULL AND $__timeFilter(verdict_at) GROUP BY 1, 2 ORDER BY 1"""
    )
    drawn = LineStyle(draw_bars=True, stacked=True, colors={"^verified$": "green", "^not-shown$": "#8e8e8e"})
    unit = Unit("none", "no verdict yet", 0)
    return _back(panels.lines("Did changes work?", about, [query], unit, NEUTRAL, drawn))


def _cords() -> dashboard.Panel:
    about = About(
        "pulls of cords in 90 days that nobody was at work on, how many were answered, and half of them within.",
        _NEVER,
        "answer those that wait; their tickets are in the table above.",
    )
    query = sql(
        """SELECT coalesce(pipeline_name, p.pipeline) AS "Pipeline", coalesce(stage_name, p.stage) AS "Stage",
        count(*) AS "Pulls", count(answered_at) AS "Answered",
        extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY answered_at - pulled_at)) AS "Half within"
        FROM report.cord_pull AS p LEFT JOIN report.stage USING (pipeline, stage)
        WHERE waited AND $__timeFilter(pulled_at) GROUP BY 1, 2 ORDER BY 3 DESC"""
    )
    columns = [
        TableColumn("Pulls", unit="none"),
        TableColumn("Answered", unit="none"),
        TableColumn("Half within", unit="s"),
    ]
    return _back(panels.grid("How fast are cords answered?", about, [query], columns, "nobody pulled a cord"))


def _changes() -> dashboard.Panel:
    about = About("what happened to tickets, by week.", _NEVER, "read a ticket's history on its page.")
    query = sql_over_time(
        """SELECT date_trunc('week', at) AS time, change AS metric, count(*) AS value FROM report.change
        WHERE $__timeFilter(at) GROUP BY 1, 2 ORDER BY 1"""
    )
    drawn = LineStyle(draw_bars=True, stacked=True)
    return _back(panels.lines("What happened to tickets?", about, [query], _COUNT, NEUTRAL, drawn))


def _failures() -> dashboard.Panel:
    about = About(
        "charts and studies that failed in the last day.",
        "there is one.",
        "`docker compose logs --tail 50 tickets` says why; a restart tries again.",
    )
    queries = [
        now("sum(increase(andon_tickets_charts_failed_total[1d]))", "charts"),
        now("sum(increase(andon_tickets_studies_failed_total[1d]))", "studies"),
    ]
    return panels.bars("What failed?", about, queries, Unit("none", "tickets is down", 0), bad_from(0.5, without=GREY))


def _pulls() -> dashboard.Panel:
    about = About(
        "pulls of cords that were not taken, in the last day, by reason.",
        "five (orange), or twenty (red): somebody cannot get through.",
        "`docker compose logs --tail 50 tickets`; make a new link: `andon cord links`.",
    )
    query = now("sum by (reason) (increase(andon_cord_refused_total[1d]))", "{{reason}}")
    return panels.bars("Which pulls were refused?", about, [query], Unit("none", "none: good", 0), bad_from(20, warn=5))


def _back(panel: dashboard.Panel) -> dashboard.Panel:
    """The panel with a range of its own: tickets take weeks."""
    panel.time_from = _BACK
    return panel
