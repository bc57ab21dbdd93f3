"""The pages of the policy: what is in force, its versions, a text to change, and what a change would do before it is
saved. Where the policy is a file, they show it and change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets.access.audit import AuditEvent
from services.tickets.access.roles import Role, current_visitor
from services.tickets.domain.typed import storable, trimmed
from services.tickets.policy_saving import MAX_TEXT, MAX_WHY, CheckedPolicy, PolicyRefused, PolicySaving
from services.tickets.preview.client import NoPreview, PreviewClient
from services.tickets.preview.effect import effect_sentence
from services.tickets.store import audit, policy_changes
from services.tickets.web import forms
from services.tickets.web.page_context import PageContext
from services.tickets.web.policy_view import DiffLine, diff_lines, fault_texts
from shared.contracts.policies import PolicyVersionData
from shared.runtime.yaml_file import FaultsError
from shared.stream import policies
from shared.stream.policies import PolicyInForce

_MOST = 2**31 - 1
_YAML = "application/yaml; charset=utf-8"


@dataclass(frozen=True)
class PolicyForm:
    """A form, as sent. `base`: the version that it was made from; 0: it does not say."""

    base: int
    text: str
    why: str

    @classmethod
    def of(cls, sent: Mapping[str, str]) -> PolicyForm:
        base = sent.get("base", "")
        number = int(base) if base.isascii() and base.isdigit() and len(base) <= len(str(_MOST)) else 0
        return cls(number, storable(sent.get("text", "")), trimmed(storable(sent.get("why", ""))))


@dataclass(frozen=True)
class ReviewedChange:
    """A form that was checked against the newest version."""

    form: PolicyForm
    checked: CheckedPolicy
    diff: Sequence[DiffLine]


class PolicyEffect(NamedTuple):
    """What a change would have done in a pipeline, in words; `is_counted`: on its history."""

    pipeline: str
    words: str
    is_counted: bool = False


class PolicyAnswer(Exception):
    """The form leads to no change, but to this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class PolicyPages:
    """`saving`: None where the policy is a file. `published` is called after a version was saved."""

    def __init__(
        self,
        context: PageContext,
        found: PolicyInForce,
        client: PreviewClient,
        saving: PolicySaving | None,
        published: Callable[[], None],
    ) -> None:
        self._pool, self._policy, self._found = context.pool, context.policy, found
        self._html, self._error = context.html, context.error
        self._client, self._saving, self._published = client, saving, published

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/policy", self.page, methods=["GET"]),
            Route("/policy", self.save, methods=["POST"]),
            Route("/policy.yaml", self.file),
            Route("/policy/versions/{number:int}", self.version),
            Route("/policy/text", self.text, methods=["GET"]),
            Route("/policy/review", self.review, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """The policy in force, and where its versions are kept."""
        versions = [] if self._saving is None else await policy_changes.listed(self._pool)
        saved = request.query_params.get("saved", "")
        return self._html(
            "policy.html",
            version=self._found.version,
            text=self._found.text,
            versions=versions,
            is_file=self._saving is None,
            saved=next((one for one in versions if str(one.version) == saved), None),
            owned=self._owned(),
            owns_all=current_visitor().role >= Role.OWNER,
        )

    async def file(self, request: Request) -> Response:
        """The policy in force, as a file."""
        headers = {"content-disposition": 'attachment; filename="policy.yaml"'}
        return Response(self._found.text, media_type=_YAML, headers=headers)

    async def version(self, request: Request) -> Response:
        """One version: who saved it and why, what it changed, and how to go back to it."""
        number = request.path_params["number"]
        if self._saving is None or number > _MOST:
            return self._no_version()
        saved, found = await policy_changes.get(self._pool, number), await policies.get(self._pool, number)
        if saved is None or found is None:
            return self._no_version()
        before, latest = await policies.get(self._pool, number - 1), await self._latest()
        diff, back = await asyncio.to_thread(_two_diffs, before, found, latest)
        return self._html(
            "policy_version.html",
            saved=saved,
            in_force=self._found.version,
            is_first=before is None,
            diff=diff,
            back=back,
            latest=latest.version,
            text=found.text,
            owned=self._owned(),
        )

    async def text(self, request: Request) -> Response:
        """The newest version, to be changed."""
        if self._saving is None:
            return self.is_a_file()
        latest = await self._latest()
        return self._text_page(200, latest.version, latest.text)

    async def review(self, request: Request) -> Response:
        """What a text would change, before it is saved."""
        try:
            return await self._review_page(200, await self._checked(request))
        except PolicyAnswer as answer:
            return answer.response

    async def save(self, request: Request) -> Response:
        """Save a text that was reviewed. It is checked again: a form can be made by hand."""
        try:
            reviewed = await self._checked(request)
            if not reviewed.form.why or len(reviewed.form.why) > MAX_WHY:
                fault = f"Say why, in {MAX_WHY:,} letters at most: whoever reads the policy next wants to know."
                return await self._review_page(422, reviewed, fault)
            return await self._save(reviewed)
        except PolicyAnswer as answer:
            return answer.response

    async def _save(self, reviewed: ReviewedChange) -> Response:
        form = reviewed.form
        assert self._saving is not None  # noqa: S101 (_checked asks)
        async with self._pool.acquire() as connection, connection.transaction():
            saved = await self._saving.save(connection, form.base, form.text, form.why)
        if saved is None:
            return await self._conflict(form)
        self._published()
        return _saved(saved)

    async def _checked(self, request: Request) -> ReviewedChange:
        """Raises PolicyAnswer for what cannot be saved: no rights, faults, an older version, another site's form."""
        if self._saving is None:
            raise PolicyAnswer(self.is_a_file())
        if not forms.is_same_origin(request):
            raise PolicyAnswer(
                self._error(403, "This form came from another site", "Open the page of the policy and use its form.")
            )
        form = PolicyForm.of({name: str(value) for name, value in (await request.form()).items()})
        latest = await self._latest()
        if len(form.text) > MAX_TEXT:
            fault = f"The text has {len(form.text):,} letters; {MAX_TEXT:,} are the most."
            raise PolicyAnswer(self._text_page(422, latest.version, latest.text, [fault]))
        if form.base != latest.version:
            raise PolicyAnswer(_saved(latest) if _is_sent_twice(form, latest) else await self._conflict(form))
        return await self._compared(self._saving, form, latest)

    async def review_of(self, form: PolicyForm, latest: PolicyVersionData) -> Response:
        """What a text that was made from the newest version would change."""
        assert self._saving is not None  # noqa: S101 (the caller asks)
        try:
            return await self._review_page(200, await self._compared(self._saving, form, latest))
        except PolicyAnswer as answer:
            return answer.response

    async def _compared(self, saving: PolicySaving, form: PolicyForm, latest: PolicyVersionData) -> ReviewedChange:
        visitor = current_visitor()
        try:
            checked = await asyncio.to_thread(saving.check, latest.text, form.text, visitor)
        except FaultsError as error:
            raise PolicyAnswer(self._text_page(422, form.base, form.text, fault_texts(error))) from None
        except PolicyRefused as refused:
            await self._note_refusal()
            raise PolicyAnswer(self._error(403, "This is not yours to change", str(refused))) from None
        diff = await asyncio.to_thread(diff_lines, latest.text, form.text)
        return ReviewedChange(form, checked, diff)

    async def _note_refusal(self) -> None:
        visitor = current_visitor()
        if visitor.is_signed_in:
            detail = {"method": "POST", "path": "/policy", "status": 403}
            await audit.note(self._pool, datetime.now(UTC), AuditEvent.REFUSED, visitor.account, **detail)

    async def _review_page(self, status: int, reviewed: ReviewedChange, fault: str = "") -> Response:
        checked = reviewed.checked
        return self._html(
            "policy_review.html",
            status,
            form=reviewed.form,
            diff=reviewed.diff,
            effects=[await self._effect(name, checked, reviewed.form.text) for name in checked.affected],
            is_general=checked.changed.is_general,
            fault=fault,
            max_why=MAX_WHY,
        )

    async def _effect(self, name: str, checked: CheckedPolicy, text: str) -> PolicyEffect:
        """The name of a pipeline, and what the change would have done there."""
        after = checked.after.pipelines[name]
        new = "" if name in checked.before.pipelines else "This pipeline is new. "
        if new and not after.rules:
            return PolicyEffect(after.name, f"{new}It has no rules yet.")
        try:
            answer = await self._client.ask(name, text)
        except NoPreview as error:
            reasons = " ".join(f"{reason[:1].upper()}{reason[1:]}." for reason in error.reasons)
            return PolicyEffect(after.name, f"{new}What it would have done cannot be shown. {reasons}")
        words = effect_sentence(answer, checked.before, checked.after, name)
        return PolicyEffect(after.name, new + words, is_counted=True)

    async def _conflict(self, form: PolicyForm) -> Response:
        """Others saved a version since the form was made: shows what they changed, and keeps what was typed."""
        latest, base = await self._latest(), await policies.get(self._pool, form.base)
        saved = await policy_changes.get(self._pool, latest.version)
        theirs = await asyncio.to_thread(diff_lines, base.text if base else "", latest.text)
        return self._html(
            "policy_conflict.html", 409, form=form, latest=latest.version, saved=saved, theirs=theirs if base else []
        )

    def _text_page(self, status: int, base: int, text: str, faults: Sequence[str] = ()) -> Response:
        return self._html("policy_text.html", status, base=base, text=text, faults=faults)

    async def _latest(self) -> PolicyVersionData:
        latest = await policies.latest(self._pool)
        assert latest is not None  # noqa: S101 (the service starts with the first one)
        return latest

    def _owned(self) -> Mapping[str, str]:
        """The pipelines that the visitor may change, with their names."""
        visitor = current_visitor()
        return {
            name: one.name
            for name, one in self._policy.pipelines.items()
            if self._saving is not None and visitor.role_in(name, self._policy) >= Role.OWNER
        }

    @property
    def is_saved_here(self) -> bool:
        """Whether people change the policy on the pages."""
        return self._saving is not None

    def is_a_file(self) -> Response:
        """The answer where they do not."""
        return self._error(
            409,
            "The policy is managed in a file",
            "Whoever runs Andon changes it there; the page of the policy shows it.",
        )

    def _no_version(self) -> Response:
        return self._error(404, "There is no such version", "The page of the policy lists all that there are.")


def _saved(version: PolicyVersionData) -> Response:
    return RedirectResponse(f"/policy?saved={version.version}", 303)


def _is_sent_twice(form: PolicyForm, latest: PolicyVersionData) -> bool:
    """Whether a form asks for what the newest version is already, as after a second click."""
    return form.base == latest.version - 1 and form.text.splitlines() == latest.text.splitlines()


def _two_diffs(
    before: PolicyVersionData | None, found: PolicyVersionData, latest: PolicyVersionData
) -> tuple[list[DiffLine], list[DiffLine]]:
    """What a version changed, and what going back to it would change."""
    return diff_lines(before.text if before else found.text, found.text), diff_lines(latest.text, found.text)
