"""The policy of the API: its newest version, those before it, and a new one."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from services.tickets.access.roles import current_visitor
from services.tickets.api.answering import Answering, ChangeAnswer, IdempotencyKey
from services.tickets.api.faults import ApiFault
from services.tickets.api.parts import ApiParts
from services.tickets.api.preconditions import IfMatch, etag_of, matches
from services.tickets.domain.draft import Typed
from services.tickets.domain.typed import storable, trimmed
from services.tickets.policy_saving import MAX_TEXT, MAX_WHY, PolicyRefused, PolicySaving
from services.tickets.store import policy_changes
from shared.contracts.policies import PolicyVersionData
from shared.postgres.pool import Connection, Executor
from shared.runtime.yaml_file import FaultsError
from shared.stream import policies

VersionNumber = Annotated[int, Path(ge=1, lt=2**31, description="number of a version")]


class PolicySummary(BaseModel):
    """A version, without its text. `effective_at`: judgement from then on is by it. `saved_at`: null: not known."""

    version: int
    effective_at: datetime
    saved_at: datetime | None
    why: str


class PolicyVersionList(BaseModel):
    """The newest 200 versions, newest first; none where the policy is a file."""

    versions: list[PolicySummary]


class PolicyWhole(BaseModel):
    """A policy with its text, as YAML. `version`: 0 for the policy file; `in_force`: the version in force now."""

    managed: Literal["file", "browser"]
    version: int
    in_force: int
    effective_at: datetime | None
    text: str


class NewPolicy(BaseModel):
    """A new version. `version`: the newest one, which this was made from; needed where no If-Match names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(max_length=MAX_TEXT, description="the whole policy, as YAML")
    why: Typed
    version: int | None = Field(None, ge=0, lt=2**31)


class PolicyEndpoints:
    def __init__(self, parts: ApiParts, answering: Answering) -> None:
        self._parts, self._answering = parts, answering

    async def policy(self, response: Response) -> PolicyWhole:
        found = await self._newest(self._parts.pool)
        response.headers["ETag"] = etag_of(found.version)
        return found

    async def policy_versions(self) -> PolicyVersionList:
        listed = [] if self._parts.saving is None else await policy_changes.listed(self._parts.pool)
        return PolicyVersionList(
            versions=[
                PolicySummary(version=one.version, effective_at=one.effective_at, saved_at=one.at, why=one.why)
                for one in listed
            ]
        )

    async def policy_version(self, response: Response, number: VersionNumber) -> PolicyWhole:
        found = None if self._parts.saving is None else await policies.get(self._parts.pool, number)
        if found is None:
            raise ApiFault(404, "there is no such version; /api/v1/policy/versions lists all")
        response.headers["ETag"] = etag_of(found.version)
        return self._whole(found)

    async def save_policy(
        self, request: Request, policy: NewPolicy, if_match: IfMatch = None, key: IdempotencyKey = None
    ) -> Response:
        saving = self._parts.saving
        if saving is None:
            raise ApiFault(409, "the policy is managed in a file; whoever runs Andon changes it there")

        async def carry_out(connection: Connection) -> ChangeAnswer:
            whole = await self._save(connection, saving, policy, if_match)
            return ChangeAnswer(whole, etag_of(whole.version))

        answer = await self._answering.once(request, key, carry_out)
        self._parts.published()
        return answer

    async def _save(
        self, connection: Connection, saving: PolicySaving, policy: NewPolicy, if_match: str | None
    ) -> PolicyWhole:
        await saving.lock(connection)
        newest = await self._newest(connection)
        if if_match is not None and not matches(if_match, newest.version):
            raise ApiFault(412, f"If-Match: others saved a version; the ETag is {etag_of(newest.version)} now")
        if if_match is None and policy.version is None:
            raise ApiFault(422, "version: is missing; name the newest `version`, or send its ETag as If-Match")
        if policy.version not in (None, newest.version):
            raise ApiFault(409, f"version: others saved a version meanwhile; the newest is {newest.version}")
        text, why = storable(policy.text), trimmed(storable(policy.why))
        if not why or len(why) > MAX_WHY:
            raise ApiFault(422, f"why: say why, in {MAX_WHY:,} letters at most", field="why")
        await _check(saving, newest.text, text)
        saved = await saving.save(connection, newest.version, text, why)
        assert saved is not None  # noqa: S101 (nobody else saves one meanwhile)
        return self._whole(saved)

    async def _newest(self, executor: Executor) -> PolicyWhole:
        found = None if self._parts.saving is None else await policies.latest(executor)
        return self._whole(found)

    def _whole(self, found: PolicyVersionData | None) -> PolicyWhole:
        """A version; None: the file."""
        in_force = self._parts.in_force
        return PolicyWhole(
            managed="file" if found is None else "browser",
            version=0 if found is None else found.version,
            in_force=in_force.version,
            effective_at=None if found is None else found.effective_at,
            text=in_force.text if found is None else found.text,
        )


async def _check(saving: PolicySaving, before: str, text: str) -> None:
    """Raises ApiFault for a text that is no policy or changes nothing, or where it changes what others own."""
    visitor = current_visitor()
    try:
        await asyncio.to_thread(saving.check, before, text, visitor)
    except FaultsError as error:
        raise ApiFault(422, "text: " + "; ".join(map(str, error.faults))[:2000], field="text") from None
    except PolicyRefused as refused:
        raise ApiFault(403, f"{refused} A token needs the scope own.") from None
