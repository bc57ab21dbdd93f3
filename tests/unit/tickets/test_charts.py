"""Charts tell names as they are written."""

from __future__ import annotations

import pytest

from services.tickets.charts import render
from services.tickets.charts.spec import Chart
from tests.support.problems import day


@pytest.mark.parametrize("name", ["Offers of 10k$ to 50k$", "a $\\frac{1$ b", "100 % of <b>x</b> & more"])
def test_a_name_is_no_formula(name: str) -> None:
    chart = Chart(
        name, "deals", {"deals": [(day(1), 1.0), (day(3), 2.0)]}, day(0), day(9), "Europe/Berlin", {f"limit {name}": 3}
    )

    drawn = render.svg(chart)

    assert drawn.count(name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) == 2
    assert render.png(chart).startswith(b"\x89PNG")


def test_a_chart_that_was_stored_is_drawn_alike() -> None:
    chart = Chart(
        "Proposal holds 12 deals",
        "deals",
        {"deals": [(day(n / 7), n / 3) for n in range(60)], "median": [(day(1), 0.1)]},
        day(0),
        day(9.123456),
        "Europe/Berlin",
        {"limit 5": 5.0},
        2.5,
        [(day(1), day(2)), (day(5), None)],
        [(day(3), 1.7)],
    )

    again = Chart.from_json(chart.to_json())

    assert again.rows() == chart.rows()
    assert render.png(again) == render.png(chart)
