"""What Grafana does with a dashboard: writes queries out, and colours values. There is no Grafana to run in tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FILES = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
ALL = "$__all"
SCRAPE_SECONDS = 15
# What a panel of half the width of a screen asks for.
POINTS = 900


class PanelOf(NamedTuple):
    """A panel with the dashboard that it is in."""

    dashboard: Mapping[str, Any]
    panel: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.dashboard['uid'].removeprefix('andon-')}: {self.panel['title']}"

    @property
    def hours(self) -> float:
        """The length of the range that it shows."""
        return hours_of(self.panel.get("timeFrom") or self.dashboard["time"]["from"])


@dataclass(frozen=True)
class View:
    """A range, in seconds since 1970, and chosen values by variable; a variable that is not there: All."""

    start: float
    end: float
    chosen: Mapping[str, Sequence[str]]

    @property
    def step(self) -> int:
        """The step of a range in seconds: a round one that gives no more points than the panel is wide."""
        least = max(SCRAPE_SECONDS, (self.end - self.start) / POINTS)
        return next(one for one in (15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 86_400) if one >= least)


def dashboards() -> list[dict[str, Any]]:
    """All dashboards as they are committed."""
    return [json.loads(path.read_text()) for path in FILES]


def panels(dashboard: Mapping[str, Any] | None = None) -> list[PanelOf]:
    """All panels of one dashboard, or of all, also those in folded rows."""
    chosen = dashboards() if dashboard is None else [dashboard]
    return [PanelOf(one, panel) for one in chosen for panel in _inside(one["panels"])]


def expressions() -> list[tuple[str, str, dict[str, Any]]]:
    """Every PromQL of panels and annotations: a name of its own, the text, and the dashboard that it is in."""
    found = []
    for dashboard in dashboards():
        for one in panels(dashboard):
            targets = [target for target in one.panel.get("targets", ()) if "expr" in target]
            found += [(f"{one.name} {target['refId']}", target["expr"], dashboard) for target in targets]
        notes = [note for note in dashboard["annotations"]["list"] if "expr" in note]
        found += [(f"{dashboard['uid']} marks {note['name']}", note["expr"], dashboard) for note in notes]
    return found


def _inside(found: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for panel in found:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def hours_of(text: str) -> float:
    """The length of a range such as now-6h."""
    found = re.fullmatch(r"(?:now-)?(\d+)([hdm])", text)
    assert found, text
    return int(found[1]) * {"m": 1 / 60, "h": 1, "d": 24}[found[2]]


def promql(text: str, view: View, dashboard: Mapping[str, Any]) -> str:
    """An expression as Grafana sends it."""
    interval = max(view.step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)
    text = text.replace("$__rate_interval", f"{interval}s").replace("$__interval", f"{view.step}s")

    def written(found: re.Match[str]) -> str:
        return _regular(_variable(dashboard, found[1]), view)

    return re.sub(r"\$([a-z]+)", written, text)


def _variable(dashboard: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    (found,) = (one for one in dashboard["templating"]["list"] if one["name"] == name)
    return dict(found)


def _regular(variable: Mapping[str, Any], view: View) -> str:
    """Values of a variable as a regular expression in a quoted string of PromQL."""
    chosen = view.chosen.get(variable["name"], [ALL])
    if list(chosen) == [ALL]:
        assert variable.get("allValue"), f"{variable['name']}: give the values that All stands for"
        return str(variable["allValue"])
    escaped = [re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", one.replace("\\", "\\" * 4)) for one in chosen]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def sql(text: str, view: View) -> str:
    """A statement as Grafana sends it."""
    start, end = (f"'{_moment(one)}'" for one in (view.start, view.end))
    text = re.sub(r"\$__timeFilter\(([^)]+)\)", rf"\1 BETWEEN {start} AND {end}", text)
    text = text.replace("$__timeFrom()", start).replace("$__timeTo()", end)

    def written(found: re.Match[str]) -> str:
        return ",".join("'" + one.replace("'", "''") + "'" for one in view.chosen[found[1]])

    return re.sub(r"\$\{([a-z]+):sqlstring\}", written, text)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def color_of(config: Mapping[str, Any], value: float | None) -> str:
    """The colour of a value by a panel's thresholds; None: there is no sample."""
    steps = config["thresholds"]["steps"]
    reached = [one for one in steps if one["value"] is None or (value is not None and value >= one["value"])]
    return str(reached[-1]["color"])


def is_colored(panel: Mapping[str, Any]) -> bool:
    """Whether the values of the panel, or of a column of it, have the colours of thresholds."""
    return len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1 or bool(colored_columns(panel))


def colored_columns(panel: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of a table, the columns with thresholds, as the settings of a panel."""
    found = {}
    for override in panel["fieldConfig"]["overrides"]:
        settings = {one["id"]: one["value"] for one in override["properties"]}
        if len(settings.get("thresholds", {}).get("steps", ())) > 1:
            found[override["matcher"]["options"]] = settings
    return found
