"""Charts tell names as they are written."""

from __future__ import annotations

import pytest

from services.tickets.charts import render
from services.tickets.charts.chart import Chart
from tests.support.problems import day


@pytest.mark.parametrize("name", ["Offers of 10k$ to 50k$", "a $\\frac{1$ b", "100 % of <b>x</b> & more"])
def test_a_name_is_no_formula(name: str) -> None:
    chart = Chart(
        name, "deals", {"deals": [(day(1), 1.0), (day(3), 2.0)]}, day(0), day(9), "Europe/Berlin", {f"limit {name}": 3}
    )

    drawn = render.svg(chart)

    assert drawn.count(name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) == 2
    assert render.png(chart).startswith(b"\x89PNG")
