"""Charts apart from their pages: a page has a frame for each, whose drawing is at an address of its own.

That address is the page's with one parameter more, so whoever may see the page, and nobody else, may see its charts. It
names what the chart shows by a digest: browsers keep it, and other charts have other addresses.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.tickets.charts.drawing import DrawingError
from services.tickets.charts.spec import Drawing
from services.tickets.web.chart_view import KEY_LETTERS, ChartView, chart_view, kept_view
from shared.runtime.log import logger

_log = logger(__name__)
PARAMETER = "drawing"
_WANTED = re.compile(rf"([1-9][0-9]?)-([0-9a-f]{{{KEY_LETTERS}}})")
SVG = "image/svg+xml"
# In the place of a chart where a page has no scripts; else `charts.js` says it.
_FAILED = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 274 60"><text x="137" y="34" font-size="11" fill="#767c81"'
    ' text-anchor="middle" font-family="system-ui,sans-serif">{}</text></svg>'
)


@dataclass(frozen=True)
class ChartFrame:
    """The place of a chart on a page. `page`: the page's address; `number`: which of its charts it is, from 1."""

    view: ChartView
    page: str
    number: int

    @property
    def address(self) -> str:
        """Where its drawing is."""
        return f"{self.page}{'&' if '?' in self.page else '?'}{PARAMETER}={self.number}-{self.view.key}"


def frames(page: str, charts: Sequence[Drawing], policy_zone: str) -> list[ChartFrame]:
    """The charts of a page that is at the address."""
    return [ChartFrame(chart_view(chart, policy_zone), page, number) for number, chart in enumerate(charts, 1)]


class ChartedPage(HTMLResponse):
    """A page that has charts."""

    def __init__(self, text: str, status: int, charts: Sequence[ChartFrame]) -> None:
        super().__init__(text, status)
        self.charts = charts


async def page_or_drawing(request: Request, page: Callable[[], Awaitable[Response]]) -> Response:
    """The page, or one of its charts where the address asks for it. Call it when the visitor may see the page."""
    wanted = _WANTED.fullmatch(request.query_params.get(PARAMETER, ""))
    if wanted is None:
        return await page()
    number, key = int(wanted[1]), wanted[2]
    if (view := kept_view(key)) is not None:
        return await _drawn(request, view, is_whole=True)
    # Another replica made the page, or long ago: what the chart shows now, in the same place.
    made = await page()
    charts = made.charts if isinstance(made, ChartedPage) else ()
    if made.status_code != 200:
        return made
    if number > len(charts):
        return _failed(404, "This chart is no longer here. Load the page again.")
    view = charts[number - 1].view
    return await _drawn(request, view, is_whole=view.key == key)


async def _drawn(request: Request, view: ChartView, *, is_whole: bool) -> Response:
    """`is_whole`: it is what the address names, and will always be."""
    kept = "private, max-age=31536000, immutable" if is_whole else "no-store"
    headers = {"etag": f'"{view.key}"', "cache-control": kept}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    try:
        return Response(await view.draw(), media_type=SVG, headers=headers)
    except DrawingError as error:
        _log.error("chart of a page cannot be drawn", error=repr(error))
        return _failed(503, "This chart cannot be drawn just now.")


def _failed(status: int, text: str) -> Response:
    return Response(_FAILED.format(text), status, media_type=SVG)
