"""Asks a real Prometheus and Postgres what the panels of a dashboard ask, and says in which colours they show it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import asyncpg
import httpx

from tests.support.grafana import PanelOf, View, color_of, colored_columns, dashboards, hours_of, panels, promql, sql

# Panels that tell how busy a machine is: a test's may be very busy.
OF_LOAD = {
    *("service: Late to wake up", "service: How late do tasks wake up?", "service: Waiting for Postgres"),
    *("service: How full is each pool of connections?", "service: How long do pages take?"),
    "line: How long does an answer take?",
}


class Shown(NamedTuple):
    """What a panel shows: a name for each value with its colour; `is_empty`: there is no value at all."""

    is_empty: bool
    colors: Mapping[str, str]

    @property
    def alarming(self) -> list[str]:
        """The names of what asks somebody to do something."""
        return [name for name, color in self.colors.items() if color in {"red", "orange"}]


@dataclass(frozen=True)
class DataSources:
    """Where panels ask: the address of a Prometheus, and a connection to Postgres as Grafana's role."""

    prometheus: str
    postgres: asyncpg.Connection

    async def shown(self, chosen: Mapping[str, Sequence[str]], end: float | None = None) -> dict[str, Shown]:
        """What all panels of all dashboards show for these variables, by name. Fails on an error."""
        async with httpx.AsyncClient(timeout=30) as client:
            return {one.name: await self._shown(client, one, chosen, end or time.time()) for one in panels()}

    async def alarming(self, chosen: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """The panels with something orange or red, and what that is."""
        shown = await self.shown(chosen)
        return {name: one.alarming for name, one in shown.items() if one.alarming and name not in OF_LOAD}

    async def run_others(self, chosen: Mapping[str, Sequence[str]]) -> None:
        """Run what is asked beside panels: annotations, and values of variables. Fails on an error."""
        end = time.time()
        async with httpx.AsyncClient(timeout=30) as client:
            for dashboard in dashboards():
                view = View(end - hours_of(dashboard["time"]["from"]) * 3600, end, chosen)
                for note in dashboard["annotations"]["list"]:
                    if "rawQuery" in note:
                        await self.postgres.fetch(sql(note["rawQuery"], view))
                    else:
                        await ask(client, self.prometheus, promql(note["expr"], view, dashboard), view, instant=False)
                for variable in dashboard["templating"]["list"]:
                    if variable.get("datasource", {}).get("type") == "postgres":
                        assert await self.postgres.fetch(sql(variable["query"], view)), variable["name"]

    async def _shown(
        self, client: httpx.AsyncClient, one: PanelOf, chosen: Mapping[str, Sequence[str]], end: float
    ) -> Shown:
        view = View(end - one.hours * 3600, end, chosen)
        values: dict[str, list[tuple[str, float]]] = {}
        for target in one.panel.get("targets", ()):
            values |= await self._values(client, one, target, view)
        found = [value for column in values.values() for value in column]
        return Shown(not found and one.panel["type"] != "text", colors(one.panel, values))

    async def _values(
        self, client: httpx.AsyncClient, one: PanelOf, target: Mapping[str, Any], view: View
    ) -> dict[str, list[tuple[str, float]]]:
        """Names and newest values, by the column that they are shown in."""
        if "rawSql" in target:
            return await self._of_sql(one, target, view)
        asked = promql(target["expr"], view, one.dashboard)
        column = "Value" if len(one.panel["targets"]) == 1 else f"Value #{target['refId']}"
        return {column: await ask(client, self.prometheus, asked, view, bool(target["instant"]))}

    async def _of_sql(self, one: PanelOf, target: Mapping[str, Any], view: View) -> dict[str, list[tuple[str, float]]]:
        try:
            rows = await self.postgres.fetch(sql(target["rawSql"], view))
        except asyncpg.PostgresError as error:
            raise AssertionError(f"{one.name}: {error}\n{sql(target['rawSql'], view)}") from error
        found: dict[str, list[tuple[str, float]]] = {}
        for row in rows:
            for name, value in row.items():
                if name not in {"time", "metric"} and value is not None:
                    found.setdefault(name, []).append((str(row.get("metric", name)), value))
        return found


async def ask(
    client: httpx.AsyncClient, url: str, expression: str, view: View, instant: bool
) -> list[tuple[str, float]]:
    """The labels and the newest value of each series."""
    where = "query" if instant else "query_range"
    times: dict[str, Any] = {"time": view.end} if instant else {"start": view.start, "end": view.end, "step": view.step}
    answer = (await client.post(f"{url}/api/v1/{where}", data={"query": expression} | times)).json()
    assert answer["status"] == "success", f"{expression}: {answer}"
    found = answer["data"]["result"]
    return [(str(one["metric"]), float((one["value"] if instant else one["values"][-1])[1])) for one in found]


def colors(panel: Mapping[str, Any], values: Mapping[str, Sequence[tuple[str, float]]]) -> dict[str, str]:
    """The colour of each value that has one by thresholds; of a panel without values, that of no value."""
    columns, defaults = colored_columns(panel), panel["fieldConfig"]["defaults"]
    if panel["type"] == "table":
        titles = renamed(panel)
        return {
            f"{titles.get(column, column)} {name}": color_of(columns[titles.get(column, column)], value)
            for column, found in values.items()
            if titles.get(column, column) in columns
            for name, value in found
        }
    if len(defaults["thresholds"]["steps"]) == 1:
        return {}
    # Of a line the newest value: it comes last.
    found = {name: color_of(defaults, value) for column in values.values() for name, value in column}
    return found or {"no value": color_of(defaults, None)}


def renamed(panel: Mapping[str, Any]) -> dict[str, str]:
    """The titles of a table's columns."""
    names: dict[str, str] = {}
    for step in panel["transformations"]:
        names |= step["options"].get("renameByName", {})
    return names
