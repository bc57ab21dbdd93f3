"""Pages with charts: their words are sent before the first chart is drawn, and equal pages have equal tags."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from starlette.requests import Request

from services.tickets.charts.spec import LineChart
from services.tickets.web import chart_view, conditional
from services.tickets.web.chart_view import ChartView
from services.tickets.web.drawn_page import DrawnPage
from tests.support.problems import day


def view(title: str = "Deals") -> ChartView:
    line = [(day(n), float(n)) for n in range(3)]
    return chart_view.chart_view(LineChart(title, "deals", {"deals": line}, day(0), day(3), "UTC"), "UTC")


def page(*charts: ChartView) -> DrawnPage:
    figures = "".join(f'<div data-points="{one.points}">{one.drawing}</div>' for one in charts)
    return DrawnPage(f"<h1>Words</h1>{figures}<p>End</p>", charts, 200)


async def sent(one: DrawnPage) -> list[str]:
    return [str(part) async for part in one.body_iterator]


async def test_the_words_are_sent_while_the_chart_is_still_being_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    may_draw, draw = asyncio.Event(), ChartView.draw

    async def slowly(self: ChartView) -> tuple[str, str]:
        await asyncio.wait_for(may_draw.wait(), 60)
        return await draw(self)

    monkeypatch.setattr(ChartView, "draw", slowly)
    parts = page(view()).body_iterator.__aiter__()

    first = await anext(parts)
    may_draw.set()
    rest = [str(part) async for part in parts]

    assert first == '<h1>Words</h1><div data-points="'
    assert "<svg" in "".join(rest)
    assert rest[-1].endswith("</div><p>End</p>")


async def test_every_chart_is_in_its_place_and_points_are_escaped() -> None:
    text = "".join(await sent(page(view("One"), view("Two"), view("One"))))

    assert text.count("<svg") == 3
    assert text.count('data-points="[[') == 3
    assert "&#34;" in text
    assert "\x00" not in text


async def test_a_page_without_a_chart_in_its_text_is_whole() -> None:
    assert await sent(DrawnPage("<p>Words", [view()], 422)) == ["<p>Words"]


def request(headers: Mapping[str, str]) -> Request:
    found = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": found}
    return Request(scope)


def test_a_page_that_has_not_changed_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChartView, "draw", lambda self: pytest.fail("drawn"))
    tag = conditional.answer_if_changed(request({}), page(view())).headers["etag"]

    again = conditional.answer_if_changed(request({"if-none-match": tag}), page(view()))
    other = conditional.answer_if_changed(request({"if-none-match": tag}), page(view("Another")))

    assert (again.status_code, again.body) == (304, b"")
    assert other.status_code == 200
    assert other.headers["etag"] != tag


def test_two_replicas_give_a_page_the_same_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    def tag() -> str:
        return conditional.answer_if_changed(request({}), page(view())).headers["etag"]

    mine = tag()
    for module in ("chart_view", "drawn_page"):
        monkeypatch.setattr(f"services.tickets.web.{module}.MARK_SECRET", "another")

    assert tag() == mine


def test_a_chart_of_days_is_the_same_for_an_hour_and_new_when_it_shows_more() -> None:
    def chart(minute: int, value: float = 1.0) -> ChartView:
        line = [(day(0), value), (day(2), 2.0)]
        now = day(3) + timedelta(minutes=minute, seconds=7)
        return chart_view.chart_view(
            LineChart("Deals", "deals", {"deals": line}, now - timedelta(days=90), now, "UTC"), "UTC"
        )

    assert chart(0).key == chart(59).key
    assert chart(0).key != chart(60).key
    assert chart(0).key != chart(0, value=2.0).key
