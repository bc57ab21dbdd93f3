"""Publishes where a new deal continues that a merge has made: a move to where the primary deal was.

CRMs such as HubSpot send nothing of such a deal but its creation. The move becomes part of that deal's history, so
visits never read another deal. A later translation replaces it if late events change where the primary deal was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from services.detector.store import handovers
from services.detector.store.handovers import Move, Pair, PublishedMove
from shared.contracts.events import DealData, DealEvent, EventType
from shared.contracts.topics import EVENTS
from shared.flow.handover import Handover
from shared.flow.stage_resolver import source_of
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import Connection
from shared.runtime.clock import ClockKind
from shared.runtime.instants import moment
from shared.stream import outbox


class HandoverPublisher:
    """In replays (`clock`: log) nothing is published: a recorded log holds the moves already."""

    def __init__(self, topic_prefix: str = "", clock: ClockKind = ClockKind.WALL) -> None:
        self._topic, self._enabled = topic_prefix + EVENTS, clock is ClockKind.WALL

    async def publish(
        self, connection: Connection, found: Mapping[str, Handover | None], read: Collection[Pair] = ()
    ) -> None:
        """Put moves that are new or have changed into the outbox, in the caller's transaction.

        `found`: what each deal hands over; None: nothing, whatever was published. `read`: handovers of which events
        were read. If those differ, another detector has published them: what is known here is published above them.
        """
        if not self._enabled or not (found or read):
            return
        await handovers.lock(connection)
        known = await handovers.known(connection, found, read)
        wanted = _wanted(found, known)
        history = await handovers.in_history(connection, list(wanted))
        changed, messages = dict[Pair, PublishedMove](), list[OutgoingMessage]()
        for pair, move in wanted.items():
            before = [one[pair] for one in (known, history) if pair in one]
            top = max((one.translation for one in before), default=-1)
            if any(one.translation == top and one.move != move for one in before) or not before:
                changed[pair] = PublishedMove(move, top + 1)
                messages.append(self._message(pair, changed[pair]))
            elif known.get(pair) != (move, top):
                changed[pair] = PublishedMove(move, top)
        if changed:
            await handovers.save(connection, changed)
        await outbox.put(connection, messages)

    async def publish_all(self, connection: Connection, found: Mapping[str, Handover]) -> None:
        """As `publish`, where `found` is everything that all deals hand over."""
        if self._enabled:
            await self.publish(connection, dict.fromkeys(await handovers.deals(connection)) | dict(found))

    def _message(self, pair: Pair, published: PublishedMove) -> OutgoingMessage:
        deal, into = pair
        event = DealEvent(
            id=handovers.event_id(pair),
            source=source_of(deal),
            type=EventType.MOVED,
            subject=into,
            time=moment(published.move.time),
            translation=published.translation,
            data=DealData.model_validate(published.move.data),
        )
        return OutgoingMessage.of(self._topic, event)


def _wanted(found: Mapping[str, Handover | None], known: Mapping[Pair, PublishedMove]) -> dict[Pair, Move]:
    """What should be published: of what was published and is no longer found, a move that names no place."""
    wanted = {
        (deal, into): Move(published.move.time, {"merged_from": deal}) if deal in found else published.move
        for (deal, into), published in known.items()
    }
    return wanted | {(deal, one.into): _move(deal, one) for deal, one in found.items() if one is not None}


def _move(deal: str, handover: Handover) -> Move:
    data: dict[str, Any] = {"merged_from": deal, "stage": handover.stage}
    if handover.pipeline is not None:
        data["pipeline"] = handover.pipeline
    return Move(handover.time, data)
