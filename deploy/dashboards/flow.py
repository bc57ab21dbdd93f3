"""Flow, for those who sell: where deals stop, in the words of sales."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards import flow_folds, frame, panels
from deploy.dashboards.layout import Shelf
from deploy.dashboards.panels import About, LineStyle, TableColumn, Unit, Word
from deploy.dashboards.problem_sql import PROBLEMS
from deploy.dashboards.queries import rows, sql, sql_annotation, sql_over_time
from deploy.dashboards.scales import GREEN, NEUTRAL, RED, Scale, bad_from

# The names of a stage, for any sample with its ids. One of them where two versions of the policy are in use at once.
_NAMED = (
    "* on (pipeline, stage) group_left (pipeline_name, stage_name, position) topk by (pipeline, stage) (1, max by"
    " (pipeline, stage, pipeline_name, stage_name, position) (andon_stage_info))"
)
CHOSEN = "pipeline IN (${pipeline:sqlstring}) AND stage IN (${stage:sqlstring})"
"""The condition of SQL on the chosen pipelines and stages."""
FRAME = frame.Frame(
    "flow",
    "Andon: flow of deals",
    "Where do deals stop? Stages now, and how it came to this.",
    "90d",
    variables=[
        frame.names(
            "pipeline",
            "Pipeline",
            """SELECT DISTINCT pipeline_name AS __text, pipeline AS __value FROM report.stage
            UNION ALL SELECT '(none yet)', '' WHERE NOT EXISTS (SELECT FROM report.stage) ORDER BY 1""",
        ),
        frame.names(
            "stage",
            "Stage",
            """SELECT stage_name AS __text, stage AS __value FROM report.stage
            WHERE pipeline IN (${pipeline:sqlstring}) GROUP BY stage_name, stage
            UNION ALL SELECT '(the whole pipeline)', '' ORDER BY 1""",
        ),
        frame.address("pages", "label_values(andon_pages_info, url)"),
    ],
    annotations=[
        sql_annotation(
            "Problems",
            "red",
            f"""SELECT opened_at AS time, cleared_at AS timeend, name AS text, 'problem' AS tags FROM {PROBLEMS} AS p
            WHERE mode = 'active' AND {CHOSEN} AND $__timeFilter(opened_at) ORDER BY 1 DESC LIMIT 100""",
        ),
        sql_annotation(
            "Tickets",
            "orange",
            """SELECT opened_at AS time, 'ticket ' || id || ' opened' AS text, 'ticket' AS tags FROM report.ticket
            WHERE pipeline IN (${pipeline:sqlstring}) AND $__timeFilter(opened_at) ORDER BY 1 DESC LIMIT 100""",
        ),
        sql_annotation(
            "Changes begun",
            "green",
            """SELECT at AS time, 'ticket ' || ticket || ': its change began' AS text, 'change' AS tags
            FROM report.change JOIN report.ticket ON ticket.id = ticket WHERE change = 'started'
            AND pipeline IN (${pipeline:sqlstring}) AND $__timeFilter(at) ORDER BY 1 DESC LIMIT 100""",
        ),
    ],
)


def flow() -> dashboard.Dashboard:
    """The dashboard of deals and stages."""
    first = [
        Shelf(8, [(16, _board()), (8, _this_week())]),
        Shelf(7, [(12, _ages()), (12, _cumulative())]),
        Shelf(7, [(24, _problems())]),
    ]
    return frame.framed(FRAME, first, flow_folds.folds())


def _board() -> dashboard.Panel:
    about = About(
        "the stages in their order: deals in work and the limit for them, deals over the age limit, the oldest deal"
        " and the age limit, on the stage's own clock.",
        "deals over age are red. The limits are beside their numbers.",
        "open the pipeline's page by its name: it has the deals, and the ticket if there is one.",
    )
    where = '{pipeline=~"$pipeline",stage=~"$stage"}'
    measured = [
        f"max by (pipeline, stage) (andon_flow_deals{where})",
        f'max by (pipeline, stage) (andon_flow_limit{{kind="wip-high",{where[1:-1]}}})',
        f"max by (pipeline, stage) (andon_flow_over_age_deals{where})",
        f"max by (pipeline, stage) (andon_flow_oldest_age_seconds{where})",
        f'max by (pipeline, stage) (andon_flow_limit{{kind="aging",{where[1:-1]}}})',
    ]
    titles = ["In work", "Limit", "Over age", "Oldest", "Age limit"]
    values = [f"Value #{letter}" for letter in "ABCDE"]
    order = ["pipeline_name", "position", "stage_name", *values]
    renamed = {"pipeline_name": "Pipeline", "position": "No.", "stage_name": "Stage"}
    renamed |= dict(zip(values, titles, strict=True))
    columns = [
        TableColumn("Pipeline", link="${pages}/pipelines"),
        TableColumn("No.", unit="none", width=50),
        TableColumn("In work", unit="none"),
        TableColumn("Limit", unit="none"),
        TableColumn("Over age", unit="none", scale=bad_from(1)),
        TableColumn("Oldest", unit="s"),
        TableColumn("Age limit", unit="s"),
    ]
    numbers = panels.transformation(
        "convertFieldType",
        {"conversions": [{"targetField": "position", "destinationType": "number"}], "fields": {}},
    )
    merged, *arranged = panels.arranged(order, renamed)
    sorted_by = panels.transformation("sortBy", {"fields": {}, "sort": [{"field": "No."}]})
    queries = [rows(f"({one}) {_NAMED}") for one in measured]
    steps = [merged, numbers, *arranged, sorted_by]
    return panels.grid("How do the stages stand now?", about, queries, columns, "no stage is known yet", steps)


def _this_week() -> dashboard.Panel:
    about = About(
        "deals that came into each stage and left it since Monday, in the zone of the policy.",
        "never: a week that has begun says little.",
        "more in than out for weeks: the stage fills; see *In and out by week* below.",
    )
    query = sql(
        """SELECT pipeline_name AS "Pipeline", stage_name AS "Stage",
        count(*) FILTER (WHERE entered_at >= w.monday) AS "In",
        count(*) FILTER (WHERE left_at >= w.monday) AS "Out"
        FROM report.stage CROSS JOIN LATERAL (SELECT date_trunc('week', now(), zone) AS monday) AS w
        LEFT JOIN report.visit USING (pipeline, stage)
        WHERE pipeline IN (${pipeline:sqlstring}) AND stage IN (${stage:sqlstring})
        GROUP BY pipeline_name, position, stage_name ORDER BY pipeline_name, position"""
    )
    columns = [TableColumn("In", unit="none", width=60), TableColumn("Out", unit="none", width=60)]
    return panels.grid("What came and went this week?", about, [query], columns, "no stage is known yet")


# Ages in days, from and up to.
_BANDS = (
    ("under a day", 0, 1),
    ("1 to 3 days", 1, 3),
    ("3 to 7 days", 3, 7),
    ("1 to 2 weeks", 7, 14),
    ("2 to 4 weeks", 14, 28),
    ("4 to 8 weeks", 28, 56),
    ("8 weeks and more", 56, 100_000),
)


def _ages() -> dashboard.Panel:
    about = About(
        "how many open deals were how old on each day, by the calendar: dark is many. A dark band that climbs is work"
        " that has stopped.",
        "never by itself: the age limit of each stage is in the table above, *Deals over their age limit* below.",
        "look which stage has them: choose one stage after the other at the top.",
    )
    counts = ", ".join(
        f"count(*) FILTER (WHERE at - entered_at >= interval '{low} days' AND at - entered_at < interval '{high} days')"
        f' AS "{name}"'
        for name, low, high in _BANDS
    )
    query = sql_over_time(
        f"""SELECT at AS time, {counts} FROM generate_series($__timeTo()::timestamptz, $__timeFrom()::timestamptz,
        least(interval '-1 day', ($__timeFrom()::timestamptz - $__timeTo()::timestamptz) / 60)) AS at
        JOIN report.visit ON entered_at <= at AND (left_at IS NULL OR left_at > at)
        WHERE {CHOSEN} GROUP BY at ORDER BY at"""
    )
    return panels.heat("How old are open deals?", about, query, Unit("none", "no open deals", 0))


def _cumulative() -> dashboard.Panel:
    about = About(
        "open deals of each stage at the end of each day, one above the other in the order of the stages.",
        "never by itself: a band that grows wider is a stage that fills.",
        "look at the stage after it: it may take too little.",
    )
    query = sql_over_time(
        f"""SELECT end_at AS time, value,
        pipeline_name || ' ' || lpad((position + 1)::text, 2, '0') || ' ' || stage_name AS metric
        FROM report.measure JOIN report.stage USING (pipeline, stage)
        WHERE measure = 'wip' AND {CHOSEN} AND $__timeFilter(end_at) ORDER BY 1"""
    )
    unit = Unit("none", "no day is over yet", 0)
    return panels.lines("How did the stages fill?", about, [query], unit, NEUTRAL, LineStyle(stacked=True))


def _problems() -> dashboard.Panel:
    about = About(
        "the problems of the range by name, the 30 newest: red while one was open.",
        "while a problem was open.",
        "open its ticket: *Improvement* lists those that are open.",
    )
    at = "greatest(opened_at, $__timeFrom()::timestamptz)"
    query = sql_over_time(
        f"""WITH found AS (SELECT name, opened_at, cleared_at FROM {PROBLEMS} AS p WHERE mode = 'active' AND {CHOSEN}
        AND opened_at <= $__timeTo()::timestamptz AND (cleared_at IS NULL OR cleared_at >= $__timeFrom()::timestamptz)),
        newest AS (SELECT name FROM found GROUP BY name ORDER BY max(opened_at) DESC LIMIT 30)
        SELECT {at} AS time, name AS metric, 1 AS value FROM found JOIN newest USING (name)
        UNION ALL SELECT cleared_at, name, 0 FROM found JOIN newest USING (name)
        WHERE cleared_at <= $__timeTo()::timestamptz ORDER BY 1, 3"""
    )
    states = {"0": Word("no problem"), "1": Word("problem")}
    scale = Scale(GREEN, (0, GREEN), (1, RED))
    return panels.history("Which problems, and when?", about, query, states, scale)
