"""Parts of the pages' addresses, and files that they link."""

from __future__ import annotations

from pathlib import Path

from starlette.convertors import IntegerConvertor, StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from services.tickets.web import forms

STATIC = Path(__file__).parent / "static"


class _TicketNumber(IntegerConvertor):
    """What Postgres keeps as a bigint; a longer number is no page."""

    regex = "[0-9]{1,18}"


class _Action(StringConvertor):
    """What a form of the ticket page does."""

    regex = "|".join(forms.FORMS)


register_url_convertor("ticket", _TicketNumber())
register_url_convertor("action", _Action())


async def favicon(request: Request) -> Response:
    """The icon for what is no page, such as the API: browsers ask for it at this address."""
    return FileResponse(STATIC / "favicon.ico", media_type="image/x-icon")
