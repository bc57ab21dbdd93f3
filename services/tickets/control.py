"""What the command line may do with the links of cords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.tickets.cord.mail_address import CordAddress
from services.tickets.domain.tokens import new_token
from services.tickets.settings import TicketsSettings
from services.tickets.store import cord_links
from services.tickets.store.cord_links import CordLink
from shared.policy import Policy
from shared.postgres.command import one_connection
from shared.runtime.clock import SystemClock


class LinkRefused(ValueError):
    """What was asked cannot be done; the text says why and the way out."""


@dataclass(frozen=True)
class NewLink:
    """A link that was made. `address` and `mail` hold the token, which is kept nowhere. `mail`: None without mail."""

    number: int
    address: str
    mail: str | None


async def new_link(settings: TicketsSettings, policy: Policy, pipeline: str, stage: str) -> NewLink:
    """Make a link. Raises LinkRefused."""
    if not policy.has_cord(pipeline, stage):
        raise LinkRefused(_no_cord(policy, pipeline, stage))
    token, now = new_token(), SystemClock().now()
    async with one_connection(settings.dsn, "tickets") as pool:
        number = await cord_links.add(pool, token, pipeline, stage, now)
    mail = CordAddress(settings.cord_mail).of(token) if settings.cord_mail else None
    return NewLink(number, f"{settings.cord_address}/cord/{token}", mail)


async def is_in_force(settings: TicketsSettings, token: str) -> bool:
    """Whether a token is that of a link that was not revoked."""
    async with one_connection(settings.dsn, "tickets") as pool:
        found = await cord_links.find(pool, token)
    return found is not None and found.revoked_at is None


async def list_links(settings: TicketsSettings) -> Sequence[CordLink]:
    """All links, the revoked ones too."""
    async with one_connection(settings.dsn, "tickets") as pool:
        return await cord_links.all_links(pool)


async def revoke_link(settings: TicketsSettings, number: int) -> CordLink:
    """Let a link pull nothing from now on. Receipts stay. Raises LinkRefused."""
    async with one_connection(settings.dsn, "tickets") as pool:
        found = await cord_links.get(pool, number)
        if found is None:
            raise LinkRefused(f"there is no link {number}; see andon cord links list")
        if not await cord_links.revoke(pool, number, SystemClock().now()):
            raise LinkRefused(f"link {number} is revoked already")
        return found


def _no_cord(policy: Policy, pipeline: str, stage: str) -> str:
    """Why the stage has no cord, and the way out."""
    known = policy.pipelines.get(pipeline)
    if known is None:
        return f"PIPELINE {pipeline!r} is not in the policy; use one of {', '.join(policy.pipelines)}"
    if known.stage(stage) is None:
        return f"STAGE {stage!r} is not a stage of {pipeline}; use one of {', '.join(known.open_stages)}"
    if stage not in known.open_stages:
        return f"STAGE {stage!r} is a closing one, where nobody works; use one of {', '.join(known.open_stages)}"
    return f"the policy gives stage {stage!r} no cord; write cord: true there, or for the whole pipeline"
