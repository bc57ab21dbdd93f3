"""Saves versions of the policy: who may change what of it, when a version takes effect, and its message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from services.tickets.access.audit import AuditEvent
from services.tickets.access.roles import Role, Visitor, current_visitor
from services.tickets.present import LogClock
from services.tickets.store import audit, policy_changes
from shared.contracts.envelope import content_id
from shared.contracts.policies import KEY, PolicyEvent, PolicyVersionData
from shared.kafka.publisher import OutgoingMessage
from shared.policy import Policy, parse
from shared.postgres import locks
from shared.postgres.pool import Connection, Pool
from shared.runtime.clock import Clock
from shared.runtime.instants import EPOCH
from shared.runtime.yaml_file import Fault, FaultsError
from shared.stream import outbox, policies
from shared.stream.policies import PolicyInForce

# Every service has read the message before judgement reaches the version's instant, when nothing is slow.
LEAD = timedelta(seconds=5)
MAX_WHY, MAX_TEXT = 1000, 200_000
FIRST_REASON = "The policy file, as it was when the browser took over."
_LEAST = timedelta(microseconds=1)


class PolicyRefused(Exception):
    """The visitor may not change this part of the policy; the text says who may."""


class PolicyDifference(NamedTuple):
    """What differs between two policies. `is_general`: anything but pipelines."""

    pipelines: tuple[str, ...]
    is_general: bool


class CheckedPolicy(NamedTuple):
    """A policy that may be saved, beside the one before it."""

    before: Policy
    after: Policy
    changed: PolicyDifference

    @property
    def affected(self) -> tuple[str, ...]:
        """The pipelines that change, or whose stays do: with the time zone or a clock that they share."""
        before, after = self.before, self.after
        others = (name for name in before.pipelines if before.stays(name) != after.stays(name))
        return tuple(dict.fromkeys([*self.changed.pipelines, *others]))


def difference(before: Policy, after: Policy) -> PolicyDifference:
    """What differs. The order of pipelines counts: mails about a source go to the first."""
    names = dict.fromkeys([*before.pipelines, *after.pipelines])
    changed = tuple(name for name in names if before.pipelines.get(name) != after.pipelines.get(name))
    general = [one.model_dump(exclude={"pipelines"}) for one in (before, after)]
    has_moved = [n for n in after.pipelines if n in before.pipelines] != [
        n for n in before.pipelines if n in after.pipelines
    ]
    return PolicyDifference(changed, general[0] != general[1] or has_moved)


def check_kept(before: Policy, after: Policy) -> None:
    """Raise FaultsError where a pipeline would be gone: tickets, hooks and cords name it."""
    gone = [name for name in before.pipelines if name not in after.pipelines]
    if gone:
        text = f"pipeline {gone[0]!r} would be gone; keep it, and set mode: off for its rules"
        raise FaultsError([Fault(0, "pipelines", text)])


def check_may(visitor: Visitor, before: Policy, changed: PolicyDifference) -> None:
    """Raise PolicyRefused for what is not the visitor's to change: the policy in force says who owns a pipeline."""
    for name in changed.pipelines:
        role = visitor.role_in(name, before) if name in before.pipelines else visitor.role
        if role < Role.OWNER:
            found = before.pipelines.get(name)
            title = name if found is None else found.name
            raise PolicyRefused(f"This changes the pipeline {title}: only its owner may do that.")
    if visitor.role < Role.OWNER and (changed.is_general or not changed.pipelines):
        raise PolicyRefused("This changes what all pipelines share: only owners of all pipelines may do that.")


class PolicySaving:
    """Keeps and publishes versions. `check`: raises FaultsError for a policy that tickets cannot work by."""

    def __init__(self, topic: str, clock: Clock, check: Callable[[Policy], object]) -> None:
        self._topic, self._clock, self._check = topic, clock, check

    def check(self, before_text: str, text: str, visitor: Visitor) -> CheckedPolicy:
        """What a text changes. Raises FaultsError for one that is no policy, and PolicyRefused.

        A long text takes a second to read: call it in a thread.
        """
        before = parse(before_text)
        if not any(visitor.role_in(name, before) >= Role.OWNER for name in before.pipelines):
            raise PolicyRefused("Only the owner of a pipeline may change it.")
        if text.splitlines() == before_text.splitlines():
            raise FaultsError([Fault(0, "", "nothing is changed; the policy says the same already")])
        after = parse(text)
        check_kept(before, after)
        self._check(after)
        changed = difference(before, after)
        check_may(visitor, before, changed)
        return CheckedPolicy(before, after, changed)

    async def lock(self, connection: Connection) -> None:
        """Until the end of the transaction nobody else saves a version."""
        await locks.lock(connection, "policy")

    async def save(self, connection: Connection, base: int, text: str, why: str) -> PolicyVersionData | None:
        """Save a text that was checked, in the caller's transaction. None: `base` is not the newest version any more.

        The message takes the version only: who saved it, and why, stays here.
        """
        await self.lock(connection)
        latest = await policies.latest(connection)
        if latest is None or latest.version != base:
            return None
        now = await self._now(connection)
        lead = timedelta(0) if isinstance(self._clock, LogClock) else LEAD
        saved = PolicyVersionData(
            version=base + 1, effective_at=max(now + lead, latest.effective_at + _LEAST), text=text
        )
        visitor = current_visitor()
        await self._put(connection, saved, why, visitor.account)
        if visitor.is_signed_in:
            await audit.record(
                connection, datetime.now(UTC), AuditEvent.POLICY_CHANGED, visitor.account, version=saved.version
            )
        return saved

    async def begin(self, pool: Pool, file: PolicyInForce) -> None:
        """Make the policy file the first version, where there is none yet. It judges from the beginning on."""
        async with pool.acquire() as connection, connection.transaction():
            await self.lock(connection)
            if await policies.latest(connection) is None:
                first = PolicyVersionData(version=1, effective_at=EPOCH, text=file.text)
                await self._put(connection, first, FIRST_REASON, None)

    async def _now(self, connection: Connection) -> datetime:
        if isinstance(self._clock, LogClock):
            await self._clock.follow(connection)
            return self._clock.now()
        return await policy_changes.database_now(connection)

    async def _put(self, connection: Connection, saved: PolicyVersionData, why: str, account: int | None) -> None:
        await policies.save(connection, [saved])
        at = await policy_changes.database_now(connection)
        await policy_changes.add(connection, saved.version, at, why, account)
        event = PolicyEvent.new(
            id=content_id(saved.version, saved.effective_at, saved.text),
            source="andon/tickets",
            subject=KEY,
            time=saved.effective_at,
            data=saved,
        )
        await outbox.put(connection, [OutgoingMessage(self._topic, KEY.encode(), event.to_json())])
