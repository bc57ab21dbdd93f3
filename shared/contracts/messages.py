"""Which message is on which topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.contracts import topics
from shared.contracts.dead import DeadEvent
from shared.contracts.envelope import Envelope
from shared.contracts.events import DealEvent
from shared.contracts.handled import HandledEvent
from shared.contracts.measures import MeasureEvent
from shared.contracts.notices import NoticeEvent
from shared.contracts.now import NowEvent
from shared.contracts.policies import PolicyEvent
from shared.contracts.problems import ProblemEvent
from shared.contracts.receipts import ReceiptsEvent
from shared.contracts.relocks import RelockEvent
from shared.contracts.signals import ChartEvent
from shared.contracts.stages import StageEvent, StageStatusEvent
from shared.contracts.tickets import TicketEvent

DEAD_LETTERS = "dead-letters"
# By topic; `dead-letters` stands for the topics of dead letters. `webhooks.received` has bytes of a CRM.
MESSAGES: Mapping[str, type[Envelope[Any]]] = {
    topics.EVENTS: DealEvent,
    topics.STAGES: StageEvent,
    topics.PROBLEMS: ProblemEvent,
    topics.MEASURES: MeasureEvent,
    topics.STAGE_STATUS: StageStatusEvent,
    topics.NOW: NowEvent,
    topics.SIGNALS: ChartEvent,
    topics.RELOCKS: RelockEvent,
    topics.RECEIPTS: ReceiptsEvent,
    topics.TICKETS: TicketEvent,
    topics.NOTICES: NoticeEvent,
    topics.POLICY: PolicyEvent,
    DEAD_LETTERS: DeadEvent,
    topics.HANDLED: HandledEvent,
}


def message_of(topic: str) -> type[Envelope[Any]] | None:
    """The message on a topic; None: it has the bytes of requests."""
    return MESSAGES.get(DEAD_LETTERS if topic.endswith(topics.DEAD_SUFFIX) else topic)
