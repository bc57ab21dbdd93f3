"""The pages with the fields of the policy that are no limits: those of a pipeline, and those that all share."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.tickets.access.roles import Role, current_visitor
from services.tickets.web import forms
from services.tickets.web.page_context import PageContext
from services.tickets.web.policy_form.pipeline_sheet import pipeline_sheet
from services.tickets.web.policy_form.shared_sheet import ADDRESS, shared_sheet
from services.tickets.web.policy_form.sheet import PolicySheet
from services.tickets.web.policy_form.typed_sheet import NOT_SENT, SheetAnswer, changed_text, typed_values
from services.tickets.web.policy_page import PolicyForm, PolicyPages
from shared.contracts.policies import PolicyVersionData
from shared.policy import parse
from shared.stream import policies


class PolicyFieldsPage:
    """`pages`: show what a change would do, and save it."""

    def __init__(self, context: PageContext, pages: PolicyPages) -> None:
        self._pool, self._policy, self._pages = context.pool, context.policy, pages
        self._html, self._error = context.html, context.error

    def routes(self) -> list[BaseRoute]:
        return [
            Route(ADDRESS, self.page, methods=["GET"]),
            Route(ADDRESS, self.send, methods=["POST"]),
            Route("/policy/pipelines/{name:path}", self.page, methods=["GET"]),
            Route("/policy/pipelines/{name:path}", self.send, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """The form."""
        name = request.path_params.get("name")
        if refused := self._refused(name):
            return refused
        latest = await self._latest()
        return self._page(200, latest, await asyncio.to_thread(_sheet, latest, name), NOT_SENT)

    async def send(self, request: Request) -> Response:
        """What the typed values would change, or what is wrong with them."""
        name = request.path_params.get("name")
        if refused := self._refused(name):
            return refused
        if not forms.is_same_origin(request):
            return self._error(403, "This form came from another site", "Open the page of the policy and use its form.")
        sent, latest = await request.form(), await self._latest()
        sheet = await asyncio.to_thread(_sheet, latest, name)
        typed = typed_values(sheet, sent)
        if sent.get("base") != str(latest.version):
            answer = SheetAnswer(typed, others=["Others saved a version meanwhile: compare, and send it again."])
            return self._page(409, latest, sheet, answer)
        found = await asyncio.to_thread(changed_text, latest.text, sheet, typed)
        if isinstance(found, SheetAnswer):
            return self._page(422, latest, sheet, found)
        return await self._pages.review_of(PolicyForm(latest.version, found, ""), latest)

    async def _latest(self) -> PolicyVersionData:
        latest = await policies.latest(self._pool)
        assert latest is not None  # noqa: S101 (the service starts with the first one)
        return latest

    def _page(self, status: int, latest: PolicyVersionData, sheet: PolicySheet, answer: SheetAnswer) -> Response:
        return self._html("policy_fields.html", status, base=latest.version, sheet=sheet, sent=answer)

    def _refused(self, name: str | None) -> Response | None:
        """`name`: of the pipeline; None: the fields that all share."""
        visitor = current_visitor()
        if not self._pages.is_saved_here:
            return self._pages.is_a_file()
        if name is None:
            if visitor.role < Role.OWNER:
                return self._error(403, "This is not yours to change", "Only owners of all pipelines may do that.")
            return None
        if name not in self._policy.pipelines:
            return self._error(404, "The policy has no such pipeline", "The page of the policy shows all.")
        if visitor.role_in(name, self._policy) < Role.OWNER:
            return self._error(403, "This is not yours to change", "Only the owner of this pipeline may do that.")
        return None


def _sheet(latest: PolicyVersionData, name: str | None) -> PolicySheet:
    policy = parse(latest.text)
    return shared_sheet(policy) if name is None else pipeline_sheet(policy, name)
