"""SQL of problems by their names, for dashboards of people who sell."""

from __future__ import annotations

from shared import wording

_PLACE = "\u00a7"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _title(kind: str) -> str:
    return f"WHEN {_quoted(kind)} THEN {_quoted(wording.of(kind).title(_PLACE, None))}"


_TITLES = " ".join(map(_title, wording.KINDS))
_COLUMNS = "key, kind, pipeline, stage, mode, opened_at, cleared_at, peak, historic"
_PIPELINE_NAMES = "(SELECT DISTINCT pipeline, pipeline_name FROM report.stage) AS n"


def _named(place: str) -> str:
    return f"replace(CASE kind {_TITLES} ELSE kind || ' in {_PLACE}' END, '{_PLACE}', {place})"


PROBLEMS = f"""(
SELECT p.*, {_named("coalesce(s.stage_name, n.pipeline_name, nullif(p.stage, ''), p.pipeline)")} AS name,
    coalesce(n.pipeline_name, p.pipeline) AS pipeline_name
FROM (SELECT {_COLUMNS} FROM report.problem UNION ALL SELECT {_COLUMNS} FROM report.signal_problem) AS p
LEFT JOIN report.stage AS s USING (pipeline, stage) LEFT JOIN {_PIPELINE_NAMES} USING (pipeline)
)"""
"""All problems: columns of report.problem, pipeline_name, and name: in a manager's words."""
TICKETS = f"""(
SELECT t.*, {_named("coalesce(s.stage_name, n.pipeline_name, t.pipeline)")} AS name
FROM report.ticket AS t LEFT JOIN {_PIPELINE_NAMES} USING (pipeline)
LEFT JOIN report.stage AS s ON starts_with(t.key || '/', concat_ws('/', t.kind, s.pipeline, s.stage, ''))
)"""
"""All tickets, with the name of what they are about. The key of a ticket begins with kind, pipeline and stage."""
