"""Where panels are, and where links lead."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from deploy.dashboards.layout import COLUMNS, FIRST_SCREEN
from tests.support.grafana import DEPLOY, dashboards, panels

DASHBOARDS = dashboards()
NAMES = {one["uid"]: one for one in DASHBOARDS}
# Columns are 50 pixels wide on a screen of 1280.
LEAST_WIDTH = {"stat": 4, "bargauge": 6, "table": 6, "timeseries": 6}
each = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one["uid"])


def levels(dashboard: Mapping[str, Any]) -> list[Sequence[Mapping[str, Any]]]:
    """Panels that lie in one grid: those that always show, and those of each folded row."""
    rows = [panel for panel in dashboard["panels"] if panel["type"] == "row"]
    return [[panel for panel in dashboard["panels"] if panel["type"] != "row"], *(row["panels"] for row in rows)]


@each
def test_panels_neither_overlap_nor_leave_gaps(dashboard: Mapping[str, Any]) -> None:
    for level in levels(dashboard):
        top = min(panel["gridPos"]["y"] for panel in level)
        bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in level)
        taken = Counter(cell for panel in level for cell in cells(panel["gridPos"]))

        assert taken == {(x, y): 1 for x in range(COLUMNS) for y in range(top, bottom)}


def cells(place: Mapping[str, int]) -> list[tuple[int, int]]:
    columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return [(x, y) for x in columns for y in lines]


@each
def test_the_answer_is_on_the_first_screen(dashboard: Mapping[str, Any]) -> None:
    first, *_ = levels(dashboard)
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in first)
    rows = [panel for panel in dashboard["panels"] if panel["type"] == "row"]

    assert bottom <= FIRST_SCREEN
    assert [row["gridPos"]["y"] for row in rows] == list(range(bottom, bottom + len(rows)))
    assert all(row["collapsed"] and row["title"] for row in rows)


@each
def test_panels_can_be_read_on_a_small_screen(dashboard: Mapping[str, Any]) -> None:
    for one in panels(dashboard):
        assert one.panel["gridPos"]["w"] >= LEAST_WIDTH.get(one.panel["type"], 8), one.name


@each
def test_every_panel_has_a_number_of_its_own(dashboard: Mapping[str, Any]) -> None:
    numbers = [panel["id"] for level in levels(dashboard) for panel in level]
    numbers += [panel["id"] for panel in dashboard["panels"] if panel["type"] == "row"]

    assert len(set(numbers)) == len(numbers)


@each
def test_dashboards_lead_to_each_other_with_range_and_variables(dashboard: Mapping[str, Any]) -> None:
    (link,) = dashboard["links"]

    assert (link["type"], link["keepTime"], link["includeVars"]) == ("dashboards", True, True)
    assert all(set(link["tags"]) <= set(other["tags"]) for other in DASHBOARDS)


def urls(value: Any) -> list[str]:
    """All addresses in a part of a dashboard."""
    if isinstance(value, dict):
        own = [value["url"]] if value.get("url") else []
        return own + [url for one in value.values() for url in urls(one)]
    return [url for one in value for url in urls(one)] if isinstance(value, list) else []


@each
def test_links_lead_somewhere(dashboard: Mapping[str, Any]) -> None:
    variables = {one["name"] for one in dashboard["templating"]["list"]}
    for url in urls(dashboard["panels"]):
        if to := re.match(r"/d/([a-z-]+)\?\$\{__url_time_range\}", url):
            assert to[1] in NAMES
        else:
            base, _, path = url.partition("/")
            assert base.strip("${}") in variables, url
            assert path in PAGES, url


# Addresses of the ticket pages (services/tickets/web), and of runbooks by the name of an alert.
PAGES = {"pipelines", "tickets/${__data.fields.Ticket}", "${__data.fields.Alert}.md"}


def test_panels_that_runbooks_name_exist() -> None:
    titles = {one.name for one in panels()}
    named = re.compile(r"\*([^*]+)\* of \*(Start|Flow|Improvement|Line|Service)\*")
    for page in sorted((DEPLOY.parent / "docs" / "operator").rglob("*.md")):
        for title, name in named.findall(page.read_text()):
            assert f"{name.lower()}: {title}" in titles, f"{page.name}: {title}"


def test_every_alert_that_start_links_to_has_its_place() -> None:
    operator = DEPLOY.parent / "docs" / "operator"
    text = "\n".join(path.read_text() for path in (DEPLOY / "prometheus" / "rules").glob("*.yml"))

    for alert in set(re.findall(r"alert: (\w+)", text)) - {"Watchdog"}:
        runbook = operator / "runbooks" / f"{alert}.md"
        assert runbook.exists() or f"## {alert}" in (operator / "alerts.md").read_text(), alert
