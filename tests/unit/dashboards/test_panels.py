"""What every panel must have, so that nobody has to guess what it shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from typer.main import get_command

from services.cli.main import app
from services.cli.metrics_reference import metrics_of, registries
from tests.support.grafana import color_of, dashboards, is_colored, panels

PANELS = panels()
DASHBOARDS = dashboards()
# Known to Grafana from 9.3 on.
TYPES = {"stat", "bargauge", "timeseries", "table", "state-timeline", "heatmap", "text"}
PARTS = re.compile(r"\*\*Shows:\*\* (.+)\n\n\*\*Red:\*\* (.+)\n\n\*\*Do:\*\* (.+)", re.DOTALL)


def part(panel: Mapping[str, Any], number: int) -> str:
    found = PARTS.fullmatch(panel["description"])
    assert found, panel["title"]
    return found[number]


def test_a_panel_tells_what_it_shows_when_it_is_red_and_what_to_do() -> None:
    for one in PANELS:
        assert one.panel["type"] in TYPES, one.name
        assert one.panel["title"], one.name
        assert all(len(part(one.panel, number)) > 10 for number in (1, 2, 3)), one.name


def test_a_panel_has_a_unit_and_a_text_for_no_value() -> None:
    for one in PANELS:
        defaults = one.panel["fieldConfig"]["defaults"]

        assert defaults["unit"], one.name
        assert defaults["noValue"], one.name


def test_a_panel_without_colours_says_why() -> None:
    """Grafana's own thresholds are green below 80 and red from there: every panel has some of its own."""
    for one in PANELS:
        assert one.panel["fieldConfig"]["defaults"]["thresholds"]["steps"], one.name
        has_words = any("mappings" in str(override) for override in one.panel["fieldConfig"]["overrides"])
        assert is_colored(one.panel) or has_words or part(one.panel, 2).startswith("never"), one.name


def test_whoever_sees_red_is_told_a_command() -> None:
    for one in PANELS:
        is_for_operators = one.dashboard["uid"] in {"andon-start", "andon-line", "andon-service"}
        if is_for_operators and is_colored(one.panel):
            assert re.search(r"`[a-z]+ [^`]+`|runbook", part(one.panel, 3)), one.name


def test_more_lines_than_a_few_have_a_table_of_their_values() -> None:
    for one in PANELS:
        if one.panel["type"] == "timeseries":
            legend = one.panel["options"]["legend"]
            assert (legend["displayMode"], legend["calcs"]) == ("table", ["lastNotNull", "max"]), one.name
            shown = one.panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"]
            assert (shown != "off") == is_colored(one.panel), one.name


def test_named_commands_exist() -> None:
    known: Any = get_command(app)
    for one in PANELS:
        text = one.panel["description"] + one.panel["options"].get("content", "")
        for command in re.findall(r"`[^`]*\bandon ([a-z][a-z -]*)", text):
            first, *rest = command.split()
            assert first in known.commands, f"{one.name}: andon {command}"
            if rest and hasattr(known.commands[first], "commands"):
                assert rest[0] in known.commands[first].commands, f"{one.name}: andon {command}"


def known_metrics() -> set[str]:
    """Every name of a sample of our own."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count"), "gaugehistogram": ("_bucket", "_gsum", "_gcount")}
    found = [metric for registry in registries().values() for metric in metrics_of(registry)]
    return {one.name + suffix for one in found for suffix in suffixes.get(one.kind, ("",))}


# Of other programs: Prometheus, its client library, exporters. Recording rules and the canary have their own tests.
OTHERS = re.compile(
    r"up|ALERTS(_FOR_STATE)?|(process|python|node|pg)_[a-z_]+|andon:slo:[a-z0-9_:]+|andon_canary_[a-z_]+"
)


def test_every_metric_that_is_named_exists() -> None:
    known = known_metrics()
    queries = [
        (one.name, target["expr"]) for one in PANELS for target in one.panel.get("targets", ()) if "expr" in target
    ]
    queries += [
        (note["name"], note["expr"]) for one in DASHBOARDS for note in one["annotations"]["list"] if "expr" in note
    ]
    for name, expression in queries:
        for metric in re.findall(
            r"\b((?:andon|process|python|node|pg)_[a-z_]+|andon:[a-z0-9_:]+|up|ALERTS\w*)\b", expression
        ):
            assert metric in known or OTHERS.fullmatch(metric), f"{name}: {metric}"


def test_people_who_sell_read_no_word_of_software() -> None:
    software = (
        r"\b(kafka|postgres|prometheus|sql|query|queries|replica|metric|database|server|service|loop|offset|docker)s?\b"
    )
    for one in PANELS:
        if one.dashboard["uid"] == "andon-flow":
            text = f"{one.panel['title']} {one.panel['description']} {one.panel['fieldConfig']['defaults']['noValue']}"
            assert not re.search(software, text, re.IGNORECASE), one.name


def test_stages_and_pipelines_have_names_and_no_ids() -> None:
    for one in PANELS:
        for target in one.panel.get("targets", ()):
            assert not re.search(r"\{\{(stage|pipeline)\}\}", target.get("legendFormat", "")), one.name
            assert not re.search(r"\b(stage|pipeline) AS (\"|metric)", target.get("rawSql", "")), one.name


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one["uid"])
def test_a_dashboard_has_its_range_refresh_and_zone(dashboard: Mapping[str, Any]) -> None:
    back = "now-90d" if dashboard["uid"] == "andon-flow" else "now-6h"

    assert (dashboard["refresh"], dashboard["time"]["from"], dashboard["timezone"]) == ("30s", back, "browser")
    assert "zone of your browser" in dashboard["description"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one["uid"])
def test_variables_that_are_used_are_there_and_take_several(dashboard: Mapping[str, Any]) -> None:
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)(?::[a-z]+)?\b", str([dashboard["panels"], dashboard["annotations"]])))

    assert used <= variables.keys()
    for one in variables.values():
        if one["type"] == "query" and one["hide"] == 0:
            assert (one["multi"], one["includeAll"]) == (True, True)


# What must show in red, in orange where there is a warning, and in green.
TURNS = {
    "start: Services down": (1, None, 0),
    "start: Webhooks answered in time": (0, 0.1, 1),
    "start: Last canary": (901, 601, 60),
    "line: Kafka for intake": (0, None, 1),
    "line: Furthest behind": (301, 61, 1),
    "line: Judgement delay": (301, 61, 0.2),
    "line: Oldest in an outbox": (121, 31, 0),
    "line: Dead letters waiting": (1, None, 0),
    "line: Requests refused": (0.06, 0.001, 0),
    "service: Replicas down": (1, None, 0),
    "service: Loops stuck": (1, None, 0),
    "service: Connections lost": (1, None, 0),
    "service: Waiting for Postgres": (10, 1, 0),
    "improvement: Mails nobody got": (1, None, 0),
}
BY_NAME = {one.name: one.panel for one in PANELS}


@pytest.mark.parametrize("name", TURNS)
def test_a_tile_turns_where_it_should(name: str) -> None:
    bad, warning, good = TURNS[name]
    defaults = BY_NAME[name]["fieldConfig"]["defaults"]

    assert color_of(defaults, bad) == "red"
    assert warning is None or color_of(defaults, warning) == "orange"
    assert color_of(defaults, good) == "green"


@pytest.mark.parametrize("name", ["start: Services down", "line: Kafka for intake", "service: Connections lost"])
def test_a_tile_that_nobody_measures_is_red(name: str) -> None:
    assert color_of(BY_NAME[name]["fieldConfig"]["defaults"], None) == "red"


# A dashboard over days asks for a point an hour or more: a new installation has none of these yet.
LONGEST_WITHOUT_GAPS = 24


def test_the_present_shows_on_a_new_installation() -> None:
    for one in PANELS:
        for target in one.panel.get("targets", ()):
            is_instant = target.get("instant") and not target.get("range")
            assert "expr" not in target or is_instant or one.hours <= LONGEST_WITHOUT_GAPS, one.name
