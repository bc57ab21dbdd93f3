"""Charts tell names as they are written."""

from __future__ import annotations

import pytest

from services.tickets.charts import render as charts
from tests.support.problems import day


@pytest.mark.parametrize("name", ["Offers of 10k$ to 50k$", "a $\\frac{1$ b", "100 % of <b>x</b> & more"])
def test_a_name_is_no_formula(name: str) -> None:
    chart = charts.Chart(
        name, "deals", {"deals": [(day(1), 1.0), (day(3), 2.0)]}, day(0), day(9), "Europe/Berlin", {f"limit {name}": 3}
    )

    drawn = charts.svg(chart)

    assert drawn.count(name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) == 2
    assert charts.png(chart).startswith(b"\x89PNG")
