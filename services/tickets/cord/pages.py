"""The pages of the cord: the form at a link, and what became of a pull at its receipt.

They work without scripts and set no cookie. What goes wrong is logged without its text: it may hold what was typed.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets.cord.cords import Cords
from services.tickets.cord.form_body import UnreadableForm, read_form
from services.tickets.cord.pull import MAX_DEAL, MAX_SEEN, OLDEST, read_pull
from services.tickets.cord.story import answered, story
from services.tickets.domain.faults import NotPossibleError
from services.tickets.domain.pull_faults import LinkRevoked
from services.tickets.domain.rates import TooOften
from services.tickets.domain.tokens import TOKEN, new_token
from services.tickets.store import cord_pulls, stages, tickets
from services.tickets.store.cord_links import CordLink
from services.tickets.store.cord_pulls import StoredPull
from services.tickets.web import forms
from services.tickets.web.outcomes import STATES, outcome_words
from services.tickets.web.zones import reader_in
from shared.policy import Policy
from shared.postgres.pool import TRANSIENT, Connection, read_only
from shared.runtime.clock import Clock
from shared.runtime.log import logger

_log = logger(__name__)
PREFIX = "/cord/"
EARLIER = 5
Handler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True)
class EarlierPull:
    """An earlier pull of the stage, without what it says: when it was answered, and how its ticket is."""

    at: datetime
    answered: str
    state: str


def _guarded(handler: Handler) -> Handler:
    """Let no fault show what was typed, or who typed it, in a log."""

    @wraps(handler)
    async def guarded(self: CordPages, request: Request) -> Response:
        with reader_in(None):
            try:
                return await handler(self, request)
            except TooOften as error:
                return self.too_many(error.wait)
            except TRANSIENT as error:
                _log.warning("cord waits: database unavailable", error=type(error).__name__)
                return self.unavailable()
            except Exception as error:
                _log.error("cord page failed", error=type(error).__name__)
                return self.fault(500, "This did not work", "Try again in a minute.")

    return guarded


class CordPages:
    """`html` makes a page of a template. `url`: what addresses of cords begin with."""

    def __init__(self, cords: Cords, policy: Policy, clock: Clock, url: str, html: Callable[..., Response]) -> None:
        self._cords, self._policy, self._clock, self._url, self._html = cords, policy, clock, url, html

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{PREFIX}{{token}}", self.form, methods=["GET"]),
            Route(f"{PREFIX}{{token}}", self.pull, methods=["POST"]),
            Route(f"{PREFIX}{{token}}/{{receipt}}", self.receipt, methods=["GET"]),
            Route(f"{PREFIX}{{rest:path}}", self.nothing, methods=["GET", "POST"]),
        ]

    @_guarded
    async def nothing(self, request: Request) -> Response:
        return self._no_link()

    @_guarded
    async def form(self, request: Request) -> Response:
        link = await self._cords.link(request.path_params["token"])
        return self._no_link() if link is None else await self._form(request, link)

    @_guarded
    async def pull(self, request: Request) -> Response:
        """The form was sent."""
        if not forms.is_same_origin(request):
            return self.fault(403, "This form came from another site", "Open the link again and use its form.")
        try:
            typed = await read_form(request)
        except UnreadableForm as error:
            return self.fault(error.status, "The form could not be read", str(error))
        link = await self._cords.link(request.path_params["token"])
        if link is None:
            return self._no_link()
        receipt = typed.get("receipt", "")
        try:
            pull = read_pull(typed, self._clock.now(), self._policy.timezone)
            receipt = await self._cords.pull(link, pull, receipt if TOKEN.fullmatch(receipt) else new_token())
        except NotPossibleError as error:
            return await self._form(request, link, 422, error, typed)
        except TooOften as error:
            # With what was typed, which waits there.
            page = await self._form(request, link, 429, NotPossibleError(_too_many(error.wait)), typed)
            return _retry_after(page, error.wait)
        except LinkRevoked:
            return self._no_link()
        return RedirectResponse(f"{PREFIX}{request.path_params['token']}/{receipt}", 303)

    @_guarded
    async def receipt(self, request: Request) -> Response:
        """What became of a pull; also where the link was revoked since."""
        token, receipt = request.path_params["token"], request.path_params["receipt"]
        if not (TOKEN.fullmatch(token) and TOKEN.fullmatch(receipt)):
            return self._no_receipt()
        now = self._clock.now()
        async with self._cords.connection() as connection, read_only(connection):
            pull = await cord_pulls.of_receipt(connection, receipt)
            if pull is None:
                return self._no_receipt()
            titles = await stages.titles(connection, self._policy)
            lines = await story(connection, pull)
        pipeline = self._policy.pipelines.get(pull.pipeline)
        return self._page(
            "cord/receipt.html",
            pipeline=pipeline.name if pipeline else pull.pipeline,
            stage=titles.title(pull.pipeline, pull.stage),
            token=token,
            address=f"{self._url}{PREFIX}{token}/{receipt}",
            pull=pull,
            deal=pull.deal,
            day=_day_words(pull),
            answered=answered(pull, now),
            story=lines,
        )

    async def _form(
        self,
        request: Request,
        link: CordLink,
        status: int = 200,
        wrong: NotPossibleError | None = None,
        typed: Mapping[str, str] | None = None,
    ) -> Response:
        now, zone = self._clock.now(), ZoneInfo(self._policy.timezone)
        async with self._cords.connection() as connection, read_only(connection):
            titles = await stages.titles(connection, self._policy)
            earlier = await self._earlier(connection, link, now)
        today = now.astimezone(zone).date()
        return self._page(
            "cord/form.html",
            status,
            pipeline=self._policy.pipelines[link.pipeline].name,
            stage=titles.title(link.pipeline, link.stage),
            token=request.path_params["token"],
            receipt=new_token(),
            typed=typed or {},
            wrong=wrong,
            max_seen=MAX_SEEN,
            max_deal=MAX_DEAL,
            today=today.isoformat(),
            first_day=(today - OLDEST).isoformat(),
            earlier=earlier,
        )

    async def _earlier(self, connection: Connection, link: CordLink, now: datetime) -> Sequence[EarlierPull]:
        shown = []
        for pull in await cord_pulls.of_stage(connection, link.pipeline, link.stage, EARLIER):
            ticket = await tickets.get(connection, pull.ticket)
            state = (outcome_words(ticket) or STATES[ticket.state]) if ticket else ""
            shown.append(EarlierPull(pull.pulled_at, answered(pull, now).removesuffix("."), state))
        return shown

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        return self._html(template, status, zone=self._policy.timezone, **values)

    def fault(self, status: int, title: str, detail: str) -> Response:
        """A page that says what went wrong and what to do."""
        return self._page("cord/error.html", status, title=title, detail=detail)

    def too_many(self, wait: timedelta) -> Response:
        """More is asked of this service than it can do for cords."""
        return _retry_after(self.fault(429, "Too many people are here just now", f"Try again {_soon(wait)}."), wait)

    def unavailable(self) -> Response:
        return self.fault(
            503,
            "The database does not answer just now",
            "What you wrote is not kept. Go back, and try again in a minute.",
        )

    def _no_link(self) -> Response:
        return self.fault(
            404, "This link pulls no cord", "It was revoked, or is not whole. Ask for a new one where you got it."
        )

    def _no_receipt(self) -> Response:
        return self.fault(404, "There is no such pull", "Check the address: it must be whole.")


def _too_many(wait: timedelta) -> str:
    return f"This cord was pulled very often just now, so this pull was not taken. Send it again {_soon(wait)}."


def _soon(wait: timedelta) -> str:
    """`in 40 seconds`, `in 5 minutes`"""
    seconds = math.ceil(wait.total_seconds())
    if seconds < 120:
        return f"in {seconds} second{'' if seconds == 1 else 's'}"
    return f"in {math.ceil(seconds / 60)} minutes"


def _retry_after(page: Response, wait: timedelta) -> Response:
    page.headers["Retry-After"] = str(math.ceil(wait.total_seconds()))
    return page


def is_cord(request: Request) -> bool:
    """Whether a page of the cord was asked for."""
    return str(request.scope["path"]).startswith(PREFIX)


def _day_words(pull: StoredPull) -> str:
    """`3 November`"""
    return "" if pull.day is None else f"{pull.day.day} {pull.day:%B}"
