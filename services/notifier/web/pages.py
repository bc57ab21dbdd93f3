"""The pages. A link in a mail shows a page and changes nothing: programs open links, too. Only a form changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.notifier.domain.readers import (
    Choice,
    MailPace,
    escalated_to,
    reached,
    role_of,
)
from services.notifier.preferences import Preferences
from services.notifier.store.addresses import Address
from services.notifier.web.words import CHOSEN, PACES, REASONS
from shared.contracts.notices import NoticeReason
from shared.policy import Subscriber

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# The address of a page is its key: no cache keeps it, and no other site learns it.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_UNKNOWN = "This link does not belong to a reader of Andon. Open the newest mail, and use its link."
_OVER = (
    "This link does not work, or no longer: it lasts an hour. Whoever runs Andon makes another: andon mail addresses"
)
_CHANGED = "Your choice was changed on another page meanwhile. This is how it is now: choose again."
_MAX_VERSION = 2**31 - 1


@dataclass(frozen=True)
class PipelineView:
    """A pipeline of a reader: who else hears of its problems, and who of tickets that nobody acknowledges."""

    name: str
    others: list[str]
    escalated: list[str]


class PreferencePages:
    """`/mail/{token}` for readers, `/mail/addresses/{token}` for whoever runs Andon, by `andon mail addresses`."""

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/mail/{token}", self.page, methods=["GET"]),
            Route("/mail/{token}", self.change, methods=["POST"]),
            Route("/mail/addresses/{token}", self.addresses, methods=["GET"]),
            Route("/mail/addresses/{token}", self.revive, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """What the reader gets, and forms to change it."""
        known = await self._preferences.of_token(request.path_params["token"])
        return _unknown() if known is None else await self._shown(known)

    async def change(self, request: Request) -> Response:
        """Unsubscribe with one click (RFC 8058), or save what the form says."""
        known = await self._preferences.of_token(request.path_params["token"])
        if known is None:
            return _unknown()
        form = {name: value for name, value in (await request.form()).multi_items() if isinstance(value, str)}
        if form.get("List-Unsubscribe") == "One-Click":
            await self._preferences.choose(known.address, None, MailPace.OFF, None)
            return PlainTextResponse("unsubscribed\n", headers=_HEADERS)
        return await self._saved(request, known, form)

    async def _saved(self, request: Request, known: Address, form: Mapping[str, str]) -> Response:
        if form.get("action") == "revive":
            await self._preferences.revive(known.address)
            return _back(request)
        pace = next((one for one in MailPace if one == form.get("pace")), None)
        version = _version(form.get("version", ""))
        if pace is None or version is None:
            return await self._shown(known, "Choose which mails you want, and save again.", 422)
        unwanted = None
        if form.get("action") == "save":
            offered = self._offered(known)
            kept = [reason for reason in known.choice.unwanted if reason not in offered]
            unwanted = [*kept, *(reason for reason in offered if f"want-{reason}" not in form)]
        if await self._preferences.choose(known.address, version, pace, unwanted):
            return _back(request)
        changed = await self._preferences.of_token(request.path_params["token"])
        return await self._shown(changed or known, _CHANGED, 409)

    async def _shown(self, known: Address, fault: str | None = None, status: int = 200) -> Response:
        choices = {one.address: one.choice for one in await self._preferences.all()}
        reader = self._preferences.readers.by_address.get(known.address)
        page = _TEMPLATES.get_template("preferences.html").render(
            address=reader.mail if reader else known.address,
            known=known,
            choice=known.choice,
            fault=fault,
            is_listed=reader is not None,
            is_told=known.choice.takes(NoticeReason.OPENED),
            reasons=[(reason, REASONS[reason], reason not in known.choice.unwanted) for reason in self._offered(known)],
            paces=list(PACES.items()),
            pipelines=self._pipelines(known.address, choices),
            off=MailPace.OFF,
        )
        return HTMLResponse(page, status, headers=_HEADERS)

    def _offered(self, known: Address) -> list[NoticeReason]:
        """The reasons that the policy has the reader written to for."""
        pipelines = self._preferences.readers.pipelines_of(known.address).values()
        is_escalated = any(pipeline.ack_within for pipeline in pipelines)
        mine = [one for pipeline in pipelines for one in pipeline.subscribers if one.address == known.address]
        return [
            reason
            for reason in CHOSEN
            if any(one.wants(reason) for one in mine) or (reason is NoticeReason.ESCALATED and is_escalated)
        ]

    def _pipelines(self, address: str, choices: Mapping[str, Choice]) -> list[PipelineView]:
        found = self._preferences.readers.pipelines_of(address).values()
        views = []
        for pipeline in found:
            named = {one.address: _named(one) for one in pipeline.subscribers}
            others = [_named(one) for one in reached(pipeline, choices) if one.address != address]
            late = escalated_to(pipeline, choices) if pipeline.ack_within else []
            views.append(PipelineView(pipeline.name, others, [_you(one, address, named) for one in late]))
        return views

    async def addresses(self, request: Request) -> Response:
        """All addresses, and those that get no mails."""
        if not self._is_operator(request):
            return _unknown(_OVER)
        known = await self._preferences.all()
        choices = {one.address: one.choice for one in known}
        unheard = [one.name for one in self._preferences.policy.pipelines.values() if not reached(one, choices)]
        page = _TEMPLATES.get_template("addresses.html").render(
            known=known, paces=PACES, unheard=unheard, off=MailPace.OFF
        )
        return HTMLResponse(page, headers=_HEADERS)

    async def revive(self, request: Request) -> Response:
        """Turn an address on again."""
        if not self._is_operator(request):
            return _unknown(_OVER)
        if not _is_own(request):
            return PlainTextResponse("this form came from another site\n", 403, headers=_HEADERS)
        form = await request.form()
        await self._preferences.revive(str(form.get("address", "")))
        return _back(request)

    def _is_operator(self, request: Request) -> bool:
        return self._preferences.is_operator(request.path_params["token"])


def _named(one: Subscriber) -> str:
    return f"{one.name} ({role_of(one)})"


def _you(one: str, address: str, named: Mapping[str, str]) -> str:
    return "you" if one == address else named[one]


def _version(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= _MAX_VERSION else None


def _back(request: Request) -> Response:
    """Show the page: to reload it saves nothing again."""
    return RedirectResponse(f"{urlsplit(str(request.url)).path.rpartition('/')[2]}", 303, headers=_HEADERS)


def _unknown(text: str = _UNKNOWN) -> Response:
    page = _TEMPLATES.get_template("unknown.html").render(text=text)
    return HTMLResponse(page, 404, headers=_HEADERS)


def _is_own(request: Request) -> bool:
    """Whether a form was sent from a page of this server, by what the browser says."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
