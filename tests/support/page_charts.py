"""The charts of a page, which are fetched after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

import httpx

_FRAME = re.compile(r'<img src="([^"]*[?&;]drawing=[^"]+)"')


def chart_addresses(page: str) -> Sequence[str]:
    """Where the drawings of a page are, in its order."""
    return [unescape(one) for one in _FRAME.findall(page)]


async def drawings(web: httpx.AsyncClient, page: httpx.Response) -> Sequence[str]:
    """The drawings of a page. Each must be there, and be an SVG."""
    answers = [await web.get(address) for address in chart_addresses(page.text)]
    assert all((one.status_code, one.headers["content-type"]) == (200, "image/svg+xml") for one in answers)
    assert all(one.text.startswith("<svg ") for one in answers)
    return [one.text for one in answers]
