"""Lines of event files as what-if reads them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import chain

from shared.contracts.events import DealEvent
from shared.flow.statistics.silence import ReceiptLog
from shared.flow.usual_events import ReadEvents, of_contract


def read_events(lines: Iterable[bytes]) -> ReadEvents:
    """Events of lines in any form of the contract."""
    read = [of_contract(DealEvent.model_validate_json(line)) for line in lines]
    return ReadEvents(*(list(chain(*column)) for column in zip(*read, strict=True)))


def receipts_of(read: ReadEvents) -> dict[str, array[int]]:
    """When each source was heard."""
    log = ReceiptLog()
    log.add(read.sources, [event.key.id for event in read.events], read.received)
    return log.by_source()
