"""A whole log by its printed measures, and what is expected of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from shared.flow.statistics.columns import Chart, Point, points
from shared.flow.statistics.relocks import chart_names, cuts_of, read_relocks
from shared.flow.statistics.segments import Segment, segments
from shared.flow.statistics.xmr import drawn_points
from shared.policy import load
from tests.support.outside import data
from tests.support.printed_measures import weeks_and_values

LOGS = ["shop", "bpic2012/variation"]


class PrintedLog:
    """The measures of a log and the results that are expected of them."""

    def __init__(self, name: str) -> None:
        self._folder = data(*name.split("/"))
        self.policy = load(self._folder / "policy.yaml")
        self.weeks, self.values = weeks_and_values(self._folder / "expected-measures.csv", self.policy.timezone)
        self._over = max(map(len, self.values.values()))
        relocks, charts = self._folder / "relocks.json", chart_names(self.policy)
        self._relocks = read_relocks(relocks.read_text(), charts, self.weeks, self._over) if relocks.exists() else []

    def expected(self, name: str) -> Any:
        return json.loads((self._folder / f"expected-{name}.json").read_text())

    def segments(self, chart: Chart, known: Callable[[Chart], Sequence[Point]]) -> Sequence[Segment]:
        return segments(known(chart), cuts_of(self._relocks, chart.name, self.weeks), self._over)

    def judged(self, chart: Chart) -> Sequence[Point]:
        return points(chart.column, self.values[chart])

    def shown(self, chart: Chart) -> Sequence[Point]:
        return drawn_points(self.values[chart])
