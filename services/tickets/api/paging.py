"""Pages of a list follow one another by the header Link."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request


def next_page(request: Request, before: int | str) -> str:
    """The header Link with the address of the next page (RFC 8288), with the filters of this one."""
    query = dict(request.query_params) | {"before": str(before)}
    return f'<{request.url.path}?{urlencode(query)}>; rel="next"'
