"""Charts tell names as they are written."""

from __future__ import annotations

import io
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import num2date
from PIL import Image

from services.tickets.charts import render
from services.tickets.charts.layout import MAIL, PAGE
from services.tickets.charts.spec import Grain, LineChart, from_json, to_json
from tests.support.problems import day


@pytest.mark.parametrize("name", ["Offers of 10k$ to 50k$", "a $\\frac{1$ b", "100 % of <b>x</b> & more"])
def test_a_name_is_no_formula(name: str) -> None:
    chart = LineChart(
        name, "deals", {"deals": [(day(1), 1.0), (day(3), 2.0)]}, day(0), day(9), "Europe/Berlin", {f"limit {name}": 3}
    )

    drawn = render.svg(chart)

    assert drawn.count(name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) == 2
    assert render.png(chart).startswith(b"\x89PNG")


def test_a_chart_that_was_stored_is_drawn_alike() -> None:
    chart = LineChart(
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

    again = from_json(to_json(chart))

    assert again.rows() == chart.rows()
    assert render.png(again) == render.png(chart)


def chart_with_everything() -> LineChart:
    return LineChart(
        "Proposal holds 12 deals",
        "deals over the limit",
        {"deals over the limit": [(day(n), 5.0) for n in range(9)]},
        day(0),
        day(9),
        "Europe/Berlin",
        {"problem from 5": 5.0},
        2.5,
        [(day(1), day(2))],
        [(day(3), 1.7)],
    )


def test_names_stand_below_the_curves_and_within_the_width() -> None:
    figure = render._draw(chart_with_everything(), PAGE, titled=False)
    FigureCanvasAgg(figure).draw()

    assert list(figure.axes[0].texts) == []
    shown = {text.get_text(): text.get_window_extent() for legend in figure.legends for text in legend.get_texts()}
    assert set(shown) == {"deals over the limit", "a deal", "problem from 5", "usual 2.5", "problem"}
    bottom = min(label.get_window_extent().y0 for label in figure.axes[0].get_xticklabels() if label.get_text())
    assert [name for name, box in shown.items() if box.y1 > bottom or box.x1 > figure.bbox.x1] == []


def test_the_zone_of_a_chart_in_a_mail_stands_beside_no_name() -> None:
    lines = {"deals in work": [(day(n), 5.0) for n in range(9)]}
    told: dict[str, Any] = {"limits": {"limit 25": 25.0}, "usual": 3.0, "intervals": [(day(1), day(2))]}
    figure = render._draw(LineChart("Demo", "deals", lines, day(0), day(9), "Europe/Berlin", **told), MAIL, titled=True)
    FigureCanvasAgg(figure).draw()

    (zone,) = (text.get_window_extent() for text in figure.texts if text.get_text() == "Europe/Berlin")
    shown = [text for legend in figure.legends for text in legend.get_texts()]
    assert len(shown) == 4
    assert [text.get_text() for text in shown if text.get_window_extent().overlaps(zone)] == []


def test_a_chart_in_a_mail_brings_its_own_light_ground() -> None:
    image = Image.open(io.BytesIO(render.png(chart_with_everything())))

    assert "transparency" not in image.info
    assert min(image.convert("RGB").getpixel((0, 0))) > 250


def test_an_instant_is_found_in_the_drawing() -> None:
    drawn = render.inline(chart_with_everything())

    width = float(drawn.svg.split('viewBox="0 0 ')[1].split()[0])
    assert 0 < drawn.x_of(day(0)) < drawn.x_of(day(4.5)) < drawn.x_of(day(9)) < width


@pytest.mark.parametrize(("begin", "days"), [(8, 20), (15, 20), (13, 45), (28, 45), (22, 364), (0, 3)])
@pytest.mark.filterwarnings("error")
def test_no_date_reaches_over_the_edge(begin: int, days: int) -> None:
    since, until = day(begin), day(begin + days)
    lines = {"deals": [(since, 5.0), (until, 6.0)]}
    chart = LineChart("Demo", "deals", lines, since, until, "Europe/Berlin", grain=Grain.WEEK)
    figure = render._draw(chart, MAIL, titled=False)
    FigureCanvasAgg(figure).draw()

    shown = [label.get_window_extent() for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert len(shown) > 1
    assert [box for box in shown if box.x1 > figure.bbox.x1] == []


def test_dates_begin_with_the_midnights_of_the_chart_s_zone() -> None:
    lines = {"deals": [(day(0), 5.0), (day(200), 6.0)]}
    chart = LineChart("Demo", "deals", lines, day(0), day(200), "Asia/Tokyo", grain=Grain.WEEK)
    figure = render._draw(chart, MAIL, titled=False)

    ticks: Any = num2date(figure.axes[0].get_xticks(), ZoneInfo("Asia/Tokyo"))
    assert {tick.time() for tick in ticks} == {time()}
