"""Charts apart from their pages: a page draws none, and the address of a drawing says what it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from services.tickets.charts.drawing import DrawingError
from services.tickets.charts.spec import LineChart
from services.tickets.web import chart_view, templating
from services.tickets.web.chart_frames import ChartedPage, ChartFrame, frames, page_or_drawing
from services.tickets.web.chart_view import STYLE, ChartView
from tests.support.problems import day

PAGE = "/tickets/1"


def chart(title: str = "Deals & <others>") -> LineChart:
    line = [(day(n), float(n)) for n in range(3)]
    return LineChart(title, "deals", {"deals": line}, day(0), day(3), "UTC", {"limit 2": 2.0})


def frame(title: str = "Deals & <others>") -> ChartFrame:
    return frames(PAGE, [chart(title)], "UTC")[0]


def request(address: str, headers: Mapping[str, str] | None = None) -> Request:
    path, _, query = address.partition("?")
    found = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": found,
    }
    return Request(scope)


async def ask(address: str, *titles: str, headers: Mapping[str, str] | None = None) -> Response:
    """What a page with charts of these titles answers."""

    async def page() -> Response:
        return ChartedPage("<p>Words", 200, frames(PAGE, [chart(title) for title in titles], "UTC"))

    return await page_or_drawing(request(address, headers), page)


async def not_asked() -> Response:
    raise AssertionError("the page was made")


@pytest.fixture(autouse=True)
def forgotten() -> Callable[[], None]:
    """Let all charts of pages be forgotten, as another replica or a start does."""
    chart_view._kept.clear()
    return chart_view._kept.clear


async def test_a_page_draws_nothing_and_each_chart_has_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChartView, "draw", lambda self: pytest.fail("drawn"))
    first, second = frames("/stage?stage=a", [chart("One"), chart("Two")], "UTC")

    assert (await ask(PAGE, "One")).body == b"<p>Words"
    assert first.address == f"/stage?stage=a&drawing=1-{first.view.key}"
    assert second.address == f"/stage?stage=a&drawing=2-{second.view.key}"
    assert frame().address == f"{PAGE}?drawing=1-{frame().view.key}"


async def test_a_chart_that_was_just_shown_is_drawn_without_its_page() -> None:
    answer = await page_or_drawing(request(frame().address), not_asked)

    drawn = bytes(answer.body).decode()
    assert (answer.status_code, answer.media_type) == (200, "image/svg+xml")
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    points = json.loads(unescape(drawn.split('data-points="')[1].split('"')[0]))
    assert [text for _, text in points][-1].endswith("2 deals")
    assert STYLE in drawn


async def test_whoever_has_the_drawing_is_not_sent_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChartView, "draw", lambda self: pytest.fail("drawn"))
    one = frame()

    answer = await page_or_drawing(request(one.address, {"if-none-match": f'"{one.view.key}"'}), not_asked)

    assert (answer.status_code, answer.body) == (304, b"")


async def test_a_forgotten_chart_is_made_again_by_its_page(forgotten: Callable[[], None]) -> None:
    address = frame("Second").address.replace("=1-", "=2-")
    forgotten()

    answer = await ask(address, "First", "Second")

    assert (answer.status_code, answer.media_type) == (200, "image/svg+xml")
    assert "immutable" in answer.headers["cache-control"]


async def test_a_forgotten_chart_that_shows_something_else_now_is_not_kept(forgotten: Callable[[], None]) -> None:
    address = frame("Before").address
    forgotten()

    now, gone = await ask(address, "Now"), await ask(address)

    assert (now.status_code, now.headers["cache-control"]) == (200, "no-store")
    assert now.headers["etag"] == f'"{frame("Now").view.key}"'
    assert (gone.status_code, b"no longer here" in gone.body) == (404, True)


async def test_a_page_that_is_refused_shows_no_chart(forgotten: Callable[[], None]) -> None:
    address = frame().address
    forgotten()

    async def refused() -> Response:
        return PlainTextResponse("There is no such ticket", 404)

    assert (await page_or_drawing(request(address), refused)).body == b"There is no such ticket"


@pytest.mark.parametrize("wrong", ["", "1", "0-" + "a" * 32, "1-" + "A" * 32, "1-" + "a" * 33, "x"])
async def test_what_is_no_address_of_a_drawing_is_the_page(wrong: str) -> None:
    assert (await ask(f"{PAGE}?drawing={wrong}", "One")).body == b"<p>Words"


async def test_a_chart_that_cannot_be_drawn_says_so_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(self: ChartView) -> str:
        raise DrawingError("no memory")

    monkeypatch.setattr(ChartView, "draw", fails)

    answer = await page_or_drawing(request(frame().address), not_asked)

    assert (answer.status_code, answer.media_type) == (503, "image/svg+xml")
    assert b"This chart cannot be drawn just now." in answer.body
    assert "cache-control" not in answer.headers


async def test_the_place_of_a_drawing_is_reserved_in_its_size() -> None:
    one = frame("One").view
    width, height = map(float, one.ratio.split(" / "))
    box = re.search(r'viewBox="0 0 (\S+) (\S+)"', await one.draw())

    assert box is not None
    assert float(box[1]) / float(box[2]) == pytest.approx(width / height, rel=0.005)


def test_a_drawing_alone_has_the_colours_of_the_pages() -> None:
    sheet = (Path(templating.__file__).parent / "static" / "andon.css").read_text()
    light, dark = STYLE.split("@media(prefers-color-scheme:dark)")
    both = re.findall(r":root \{\n(.*?)\n *\}", sheet, re.DOTALL)
    assert len(both) == 2
    for style, colours in ((light, both[0]), (dark, both[1])):
        named = dict(re.findall(r"--([\w-]+): (#\w+)", colours))
        shown = dict(re.findall(r"--(\w+):(#\w+)", style)) | {"text": re.findall(r"\{color:(#\w+)", style)[0]}
        assert shown == {name: named[name] for name in shown}


def test_two_replicas_give_a_chart_the_same_address(forgotten: Callable[[], None]) -> None:
    mine = frame().address
    forgotten()

    assert frame().address == mine
    assert frame("Another").address != mine


def test_only_the_last_charts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_view, "KEPT", 3)
    first, *others = [frame(f"Chart {number}").view.key for number in range(4)]

    assert chart_view.kept_view(first) is None
    assert all(chart_view.kept_view(key) for key in others)


def test_a_chart_of_days_is_the_same_for_an_hour_and_new_when_it_shows_more() -> None:
    def view(minute: int, value: float = 1.0) -> ChartView:
        line = [(day(0), value), (day(2), 2.0)]
        now = day(3) + timedelta(minutes=minute, seconds=7)
        return chart_view.chart_view(
            LineChart("Deals", "deals", {"deals": line}, now - timedelta(days=90), now, "UTC"), "UTC"
        )

    assert view(0).key == view(59).key
    assert view(0).key != view(60).key
    assert view(0).key != view(0, value=2.0).key
