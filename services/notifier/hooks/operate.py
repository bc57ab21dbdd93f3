"""What the command line may do with receivers and their messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.notifier.hooks.client import HookAnswer, HookClient, tls_of
from services.notifier.hooks.config import Receivers, load
from services.notifier.hooks.message import FOUND, TYPE, HookData, HookEvent
from services.notifier.hooks.queue import HookStatus, statuses
from services.notifier.settings import NotifierSettings
from shared.contracts.envelope import content_id
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketState
from shared.postgres.command import one_connection
from shared.stream.policies import policy_of_command

_DEAD = """
SELECT id, hook, name, ticket, reason, ended_at, coalesce(answer, '') AS answer FROM hook_delivery
WHERE state = 'dead' AND ($1::text IS NULL OR hook = $1) ORDER BY id
"""
_RESEND = """
UPDATE hook_delivery SET state = 'waiting', ended_at = NULL, attempts = 0,
    due = clock_timestamp(), wanted_at = clock_timestamp()
WHERE hook = $1 AND state = 'dead' AND ($2::bigint[] IS NULL OR id = ANY($2)) RETURNING id
"""
_ENABLE = """
UPDATE hook SET disabled_at = NULL, failures = 0, paused_until = NULL WHERE name = $1 AND disabled_at IS NOT NULL
"""
_IS_DISABLED = "SELECT EXISTS (SELECT FROM hook WHERE name = $1 AND disabled_at IS NOT NULL)"


class HookRefused(ValueError):
    """What was asked cannot be done; the text says why and the way out."""


@dataclass(frozen=True)
class DeadDelivery:
    """A message that was given up."""

    id: int
    hook: str
    name: str
    ticket: int
    reason: str
    ended_at: datetime
    answer: str


async def receivers_of(settings: NotifierSettings) -> Receivers:
    """The receivers of the hooks file, for the policy in force. Raises FaultsError, PolicyError, HookRefused."""
    if settings.notifier_hooks is None:
        raise HookRefused("there is no hooks file; name it in ANDON_NOTIFIER_HOOKS: docs/operator/hooks.md")
    policy = await policy_of_command(settings, "notices")
    return load(settings.notifier_hooks, policy, settings.hooks_reachable)


async def test(settings: NotifierSettings, name: str) -> HookAnswer:
    """Send one message that says that it is a test; the answer. Raises HookRefused."""
    receivers = await receivers_of(settings)
    _check_known(receivers, name)
    receiver = receivers[name]
    if receiver.event_type is not HookEvent:
        raise HookRefused(f"{name} hears of tickets with an issue only; link a ticket to an issue to test it")
    now, seconds = datetime.now(UTC), receiver.settings.timeout_seconds
    client = HookClient(name, settings.hooks_reachable, seconds, tls_of(settings.notifier_hooks_ca))
    request = receiver.request(f"andon-test-{content_id(name, now)[:8]}", _sample(now), now)
    try:
        return await client.post(receiver.settings.url, request)
    finally:
        client.close()


async def list_all(settings: NotifierSettings) -> list[tuple[str, str, str, HookStatus]]:
    """Name, kind and host of each receiver, and how it stands. Raises HookRefused."""
    receivers = await receivers_of(settings)
    async with one_connection(settings.dsn, "notices") as pool:
        found = await statuses(pool, list(receivers))
    return [(one.name, receivers[one.name].kind, receivers[one.name].settings.host, one) for one in found]


async def dead(settings: NotifierSettings, name: str | None) -> list[DeadDelivery]:
    """Messages that were given up, the oldest first; also those to receivers that are no longer in the file."""
    async with one_connection(settings.dsn, "notices") as pool:
        return [DeadDelivery(**dict(row)) for row in await pool.fetch(_DEAD, name)]


async def resend(settings: NotifierSettings, name: str, ids: Sequence[int] | None) -> int:
    """Try dead messages anew for three days, all or these; how many. Raises HookRefused."""
    _check_known(await receivers_of(settings), name)
    async with one_connection(settings.dsn, "notices") as pool:
        if await pool.fetchval(_IS_DISABLED, name):
            raise HookRefused(
                f"{name} is disabled, as it answered 410; correct its url, then: andon hook enable {name}"
            )
        found = await pool.fetch(_RESEND, name, None if ids is None else list(ids))
    return len(found)


async def enable(settings: NotifierSettings, name: str) -> bool:
    """Send to a receiver again that answered 410; False: it was not disabled. Raises HookRefused."""
    _check_known(await receivers_of(settings), name)
    async with one_connection(settings.dsn, "notices") as pool:
        return str(await pool.execute(_ENABLE, name)).endswith(" 1")


def _check_known(receivers: Receivers, name: str) -> None:
    """Raises HookRefused."""
    if name not in receivers:
        raise HookRefused(f"{name}: no such receiver; known are {', '.join(receivers)}")


def _sample(now: datetime) -> HookEvent:
    data = HookData(
        ticket=0,
        seq=1,
        reason=NoticeReason.OPENED,
        key="test",
        kind="test",
        pipeline="",
        pipeline_name="Test",
        state=TicketState.OPEN,
        headline=FOUND,
        title="This is a test of Andon",
        sentence="It was sent by andon hook test; there is no such ticket.",
        asks_for="You do not have to do anything.",
        count=0,
        opened_at=now,
        url="https://example.org/",
    )
    return HookEvent(type=f"{TYPE}{NoticeReason.OPENED}", timestamp=now, data=data)
