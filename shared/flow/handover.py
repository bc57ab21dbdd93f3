"""A merge that makes a new deal: that deal continues where the primary deal was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.contracts.envelope import INDEXED_BYTES
from shared.flow.stage_resolver import source_of


class Handover(NamedTuple):
    """The place that a deal leaves to the new deal `into`, from the merge at `time` on; named as events named it."""

    into: str
    time: int
    pipeline: str | None
    stage: str


def handover_of(deal: str, time: int, data: Mapping[str, Any], place: tuple[str | None, str]) -> Handover | None:
    """What a merge with these data hands over; None where it makes no new deal of the same source."""
    into, source = data.get("into"), source_of(deal)
    if data.get("primary") is not True or not into or into == deal or not source or source_of(into) != source:
        return None
    # A longer name is no deal's.
    return Handover(into, time, *place) if len(into.encode()) <= INDEXED_BYTES else None
