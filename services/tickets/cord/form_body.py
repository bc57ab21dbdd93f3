"""Reads the body of the cord's form: short, and only of the kind that browsers send."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

# 1,000 letters outside of ASCII take nine bytes each in a form, and some twelve.
MAX_BYTES = 32 * 1024
MAX_FIELDS = 10
_MEDIA_TYPE = "application/x-www-form-urlencoded"


class UnreadableForm(Exception):
    """The body cannot be used; `status` is that of HTTP."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields; of one that comes twice, the last. Raises UnreadableForm. Nothing is written to a file."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
        raise UnreadableForm(415, "Use the form of this page.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            raise UnreadableForm(413, "The text is too long. Write the core of it.")
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        raise UnreadableForm(400, "The form could not be read. Open the page again.") from None
    return dict(fields)
