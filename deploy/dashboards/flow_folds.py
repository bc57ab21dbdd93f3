"""The folded rows of the flow: what weeks show, and the list of problems."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards import panels
from deploy.dashboards.layout import Fold, Shelf, evenly
from deploy.dashboards.panels import About, LineStyle, TableColumn, Unit, Word
from deploy.dashboards.problem_sql import PROBLEMS
from deploy.dashboards.queries import rows, sql, sql_over_time
from deploy.dashboards.scales import NEUTRAL, RED, bad_from

_WEEK = "Weeks begin on Monday, in the zone of the policy."
_CHANCE = "never by itself: weeks differ by chance. A lasting change opens a problem."
_OF_PIPELINE = "pipeline IN (${pipeline:sqlstring})"
_OF_STAGE = f"{_OF_PIPELINE} AND stage IN (${{stage:sqlstring}})"
_PIPELINES = "(SELECT DISTINCT pipeline, pipeline_name FROM report.stage) AS s"
_NO_WEEK = "no week is over yet"


def folds() -> Sequence[Fold]:
    """Weeks of pipelines, weeks of stages, problems."""
    return [
        Fold("Pipelines by week", _pipelines()),
        Fold("Stages by week", _stages()),
        Fold("Problems", [Shelf(10, [(16, _list()), (8, _unwatched())])]),
    ]


def _pipelines() -> list[Shelf]:
    measures = {"throughput": "closed", "won": "won", "lost": "lost"}
    bars = LineStyle(draw_bars=True)
    closed = About(f"deals that were closed, won and lost. {_WEEK}", _CHANCE, "compare with *In and out by week*.")
    rate = About(f"the share of closed deals that were won. {_WEEK}", _CHANCE, "look at problems of this pipeline.")
    share = Unit("percentunit", _NO_WEEK, 0, 0, 1)
    return [
        evenly(
            9,
            _weeks("How many deals were closed?", closed, measures, Unit("none", _NO_WEEK, 0), bars),
            _lead_time(),
            _weeks("How many of them were won?", rate, {"win_rate": "won"}, share, LineStyle()),
        )
    ]


def _weeks(title: str, about: About, measures: dict[str, str], unit: Unit, line: LineStyle) -> dashboard.Panel:
    """Weekly measures of pipelines; `measures`: what each is called."""
    called = " ".join(f"WHEN '{measure}' THEN '{name}'" for measure, name in measures.items())
    named = ", ".join(f"'{measure}'" for measure in measures)
    query = sql_over_time(
        f"""SELECT end_at AS time, pipeline_name || ', ' || CASE measure {called} END AS metric, value
        FROM report.measure JOIN {_PIPELINES} USING (pipeline)
        WHERE measure IN ({named}) AND stage = '' AND {_OF_PIPELINE} AND $__timeFilter(end_at) ORDER BY 1"""
    )
    return panels.lines(title, about, [query], unit, NEUTRAL, line)


def _lead_time() -> dashboard.Panel:
    about = About(
        f"how long deals took from their creation to won or lost: half of them, 85 and 95 of 100 within. {_WEEK}",
        _CHANCE,
        "see which stage takes the time: *Time in stage* below.",
    )
    shares = " UNION ALL ".join(
        f"""SELECT week AS time, pipeline_name || ', {name}' AS metric,
        percentile_cont({share}) WITHIN GROUP (ORDER BY seconds) AS value
        FROM closed WHERE $__timeFilter(week) GROUP BY week, pipeline_name"""
        for name, share in (("half within", 0.5), ("85 of 100 within", 0.85), ("95 of 100 within", 0.95))
    )
    # A week that began before the range is whole: its deals are looked up from its beginning on.
    query = sql_over_time(
        f"""WITH closed AS (
        SELECT (date_trunc('week', closed_at AT TIME ZONE zone) + interval '7 days') AT TIME ZONE zone AS week,
            pipeline_name, extract(epoch FROM closed_at - created_at) AS seconds
        FROM report.closing JOIN (SELECT DISTINCT pipeline, pipeline_name, zone FROM report.stage) AS s USING (pipeline)
        WHERE created_at IS NOT NULL AND {_OF_PIPELINE}
        AND closed_at >= $__timeFrom()::timestamptz - interval '8 days') {shares} ORDER BY 1"""
    )
    return panels.lines("How long do deals take?", about, [query], Unit("s", "no deal was closed"))


def _stages() -> list[Shelf]:
    fills = "a stage that more comes into than goes out of fills: look at the stage after it."
    return [
        evenly(
            9,
            _of_stages(
                "What came in and what went out by week?",
                About(f"deals that came into each stage and left it. {_WEEK}", _CHANCE, fills),
                {"arrivals": "in", "departures": "out"},
                Unit("none", _NO_WEEK, 0),
            ),
            _of_stages(
                "How long do deals stay?",
                About(f"85 of 100 that left the stage stayed no longer, on the stage's clock. {_WEEK}", _CHANCE, fills),
                {"time_in_stage_p85_s": "85 of 100 within"},
                Unit("s", _NO_WEEK),
            ),
        ),
        evenly(9, _back(), _over_age()),
    ]


def _back() -> dashboard.Panel:
    about = About(
        f"the share of deals that came back into the stage from a later one. {_WEEK}",
        _CHANCE,
        "ask what was missing when they went on.",
    )
    share = Unit("percentunit", _NO_WEEK, 0, 0)
    return _of_stages("How many deals went back?", about, {"rework_rate": "came back"}, share)


def _over_age() -> dashboard.Panel:
    about = About(
        "deals over their stage's age limit at the end of each day.",
        "there is one.",
        "open the stage's ticket; its page has the deals.",
    )
    unit = Unit("none", "no stage has an age limit", 0)
    return _of_stages("How many deals are over their age limit?", about, {"over-age": "over age"}, unit)


def _of_stages(title: str, about: About, measures: dict[str, str], unit: Unit) -> dashboard.Panel:
    called = " ".join(f"WHEN '{measure}' THEN '{name}'" for measure, name in measures.items())
    named = ", ".join(f"'{measure}'" for measure in measures)
    query = sql_over_time(
        f"""SELECT end_at AS time, value,
        pipeline_name || ': ' || stage_name || ', ' || CASE measure {called} END AS metric
        FROM report.measure JOIN report.stage USING (pipeline, stage)
        WHERE measure IN ({named}) AND {_OF_STAGE} AND $__timeFilter(end_at) ORDER BY 1"""
    )
    return panels.lines(title, about, [query], unit, bad_from(1) if "over-age" in measures else NEUTRAL)


def _list() -> dashboard.Panel:
    about = About(
        "every problem that was open at some time in the range.",
        "it is open (red), or is only watched and opens no ticket (grey).",
        "open its ticket: *Improvement* lists those that are open.",
    )
    query = sql(
        f"""SELECT name AS "Problem", pipeline_name AS "Pipeline", opened_at AS "Opened", cleared_at AS "Cleared",
        peak AS "Deals at most", CASE WHEN cleared_at IS NOT NULL THEN 'over' WHEN mode = 'active' THEN 'open'
        ELSE 'watched' END AS "State" FROM {PROBLEMS} AS p
        WHERE {_OF_PIPELINE} AND opened_at <= $__timeTo()::timestamptz
        AND (cleared_at IS NULL OR cleared_at >= $__timeFrom()::timestamptz) ORDER BY opened_at DESC LIMIT 200"""
    )
    columns = [
        TableColumn("Problem", width=420),
        TableColumn("Opened", unit="dateTimeAsLocal"),
        TableColumn("Cleared", unit="dateTimeAsLocal"),
        TableColumn("Deals at most", unit="none"),
        TableColumn(
            "State", words={"open": Word("open", RED), "watched": Word("watched", "#8e8e8e"), "over": Word("over")}
        ),
    ]
    return panels.grid("Which problems were there?", about, [query], columns, "none: good")


def _unwatched() -> dashboard.Panel:
    about = About(
        "stages with deals that the policy does not have, by the CRM's own keys: nobody watches these deals.",
        "there is one.",
        "tell who runs Andon: the stage is missing in the policy.",
    )
    query = rows("sort_desc(max by (pipeline, stage) (andon_flow_unknown_stage_deals))")
    columns = [TableColumn("Deals", unit="none", scale=bad_from(1))]
    renamed = {"pipeline": "Pipeline", "stage": "Stage", "Value": "Deals"}
    steps = panels.arranged(list(renamed), renamed)
    return panels.grid("Which stages does nobody watch?", about, [query], columns, "none: good", steps)
