"""The page with the fields of a pipeline that are no limits: its name, its owner, its time to acknowledge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.tickets.access.roles import Role, current_visitor
from services.tickets.domain.typed import storable, trimmed
from services.tickets.web import forms
from services.tickets.web.page_context import PageContext
from services.tickets.web.policy_page import PolicyForm, PolicyPages
from services.tickets.web.policy_view import fault_texts
from shared.policy import Pipeline, PolicyError, parse
from shared.policy.edit import NotEditable, with_changes
from shared.stream import policies

_LONGEST = 300
_OWNER = "owner."


@dataclass(frozen=True)
class PolicyField:
    """One field. `name`: its path below the pipeline."""

    name: str
    label: str
    hint: str
    written: str


@dataclass(frozen=True)
class FieldAnswer:
    """What was typed, and what is wrong with it, by field; faults of no field are in `others`."""

    typed: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[str] = ()


NOT_SENT = FieldAnswer()


def fields_of(pipeline: Pipeline) -> list[PolicyField]:
    """The fields, as they are written."""
    within = "" if pipeline.ack_within is None else pipeline.ack_within.text
    return [
        PolicyField("name", "Name of the pipeline", "", pipeline.name),
        PolicyField(f"{_OWNER}name", "Owner of the policy: name", "A role, or a person", pipeline.owner.name),
        PolicyField(f"{_OWNER}mail", "Owner of the policy: mail address", "as sales@example.org", pipeline.owner.mail),
        PolicyField("ack_within", "Escalate without acknowledgement after", "as 2d, or 4h; empty: never", within),
    ]


class PolicyFieldsPage:
    """`pages`: show what a change would do, and save it."""

    def __init__(self, context: PageContext, pages: PolicyPages) -> None:
        self._pool, self._policy, self._pages = context.pool, context.policy, pages
        self._html, self._error = context.html, context.error

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/policy/pipelines/{name:path}", self.page, methods=["GET"]),
            Route("/policy/pipelines/{name:path}", self.send, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """The form."""
        refused = self._refused(request)
        return refused or await self._page(200, request.path_params["name"], NOT_SENT)

    async def send(self, request: Request) -> Response:
        """What the typed values would change, or what is wrong with them."""
        if refused := self._refused(request):
            return refused
        if not forms.is_same_origin(request):
            return self._error(403, "This form came from another site", "Open the page of the policy and use its form.")
        name, sent = request.path_params["name"], await request.form()
        latest = await policies.latest(self._pool)
        assert latest is not None  # noqa: S101 (the service starts with the first one)
        pipeline = (await asyncio.to_thread(parse, latest.text)).pipelines[name]
        typed = {one.name: trimmed(storable(str(sent.get(one.name, one.written)))) for one in fields_of(pipeline)}
        if sent.get("base") != str(latest.version):
            answer = FieldAnswer(typed, others=["Others saved a version meanwhile: compare, and send it again."])
            return await self._page(409, name, answer)
        text, answer = await asyncio.to_thread(_changed, latest.text, name, pipeline, typed)
        if text is None:
            return await self._page(422, name, answer)
        return await self._pages.review_of(PolicyForm(latest.version, text, ""), latest)

    async def _page(self, status: int, name: str, answer: FieldAnswer) -> Response:
        latest = await policies.latest(self._pool)
        assert latest is not None  # noqa: S101 (the service starts with the first one)
        pipeline = (await asyncio.to_thread(parse, latest.text)).pipelines[name]
        return self._html(
            "policy_fields.html",
            status,
            key=name,
            title=pipeline.name,
            base=latest.version,
            fields=fields_of(pipeline),
            sent=answer,
            longest=_LONGEST,
        )

    def _refused(self, request: Request) -> Response | None:
        name = request.path_params["name"]
        if not self._pages.is_saved_here:
            return self._pages.is_a_file()
        if name not in self._policy.pipelines:
            return self._error(404, "The policy has no such pipeline", "The page of the policy shows all.")
        if current_visitor().role_in(name, self._policy) < Role.OWNER:
            return self._error(403, "This is not yours to change", "Only the owner of this pipeline may do that.")
        return None


def _changed(before: str, name: str, pipeline: Pipeline, typed: Mapping[str, str]) -> tuple[str | None, FieldAnswer]:
    """The text with the typed values; None: something is wrong with them."""
    written = {one.name: one.written for one in fields_of(pipeline)}
    changed = {path: value for path, value in typed.items() if value != written[path]}
    faults = {path: "Write something here; the text can do without it." for path in changed if not typed[path]}
    faults |= {path: f"Write {_LONGEST} letters at most." for path, value in changed.items() if len(value) > _LONGEST}
    if faults or not changed:
        others = [] if faults else ["Nothing is changed."]
        return None, FieldAnswer(typed, faults, others)
    own = {path: value for path, value in changed.items() if not path.startswith(_OWNER)}
    owner = {path.removeprefix(_OWNER): value for path, value in changed.items() if path.startswith(_OWNER)}
    try:
        return with_changes(before, name, [], own, owner), NOT_SENT
    except PolicyError as error:
        start = f"pipelines.{name}."
        paths = {fault.path.removeprefix(start): fault.text for fault in error.faults if fault.path.startswith(start)}
        faults = {path: f"{text[:1].upper()}{text[1:]}." for path, text in paths.items() if path in written}
        return None, FieldAnswer(typed, faults, [] if faults else fault_texts(error))
    except NotEditable as error:
        return None, FieldAnswer(typed, others=[f"{str(error)[:1].upper()}{str(error)[1:]}."])
