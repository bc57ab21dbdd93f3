"""Pages with charts: a drawing takes longer than all else of a page, so the words before it are sent first."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

from markupsafe import escape
from starlette.responses import StreamingResponse

from services.tickets.web.chart_view import MARK_SECRET, ChartView

_MARK = re.compile(f"\x00{MARK_SECRET}([0-9a-f]+) (drawing|points)\x00")


class DrawnPage(StreamingResponse):
    """`text`: the page with marks in the place of its charts. Each chart is drawn when the page comes to it.

    A fault in a drawing ends the connection: the status has been sent by then.
    """

    def __init__(self, text: str, charts: Sequence[ChartView], status: int) -> None:
        super().__init__(_parts(text, charts), status, media_type="text/html")
        # All that the page shows, so that equal contents are equal pages, whoever made them.
        self.content = text.replace(MARK_SECRET, "").encode()


async def _parts(text: str, charts: Sequence[ChartView]) -> AsyncIterator[str]:
    by_key = {chart.key: chart for chart in charts}
    before, *marks = _MARK.split(text)
    yield before
    # A mark has its chart's key, its part, and the text after it.
    for key, part, after in zip(marks[::3], marks[1::3], marks[2::3], strict=True):
        svg, points = await by_key[key].draw()
        yield (svg if part == "drawing" else str(escape(points))) + after
