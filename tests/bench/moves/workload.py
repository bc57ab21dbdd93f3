"""A history in which every event moves a deal to another of four stages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.contracts.envelope import iso
from shared.contracts.events import EventType

POLICY = Path(__file__).with_name("policy.yaml")
DEALS, MOVES = 30_000, 10
_PIPELINE, _STAGES = "sales", ("qualified", "demo", "proposal", "negotiation")
_SOURCE, _DAYS, _SEED = "crm", 90, 18


def moves(deals: int = DEALS, each: int = MOVES) -> Iterator[dict[str, Any]]:
    """The events of the last 90 days in order of time, the same each time but for their instants."""
    numbers = random.Random(_SEED)
    turns = [deal for deal in range(deals) for _ in range(each)]
    numbers.shuffle(turns)
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=_DAYS)
    between = timedelta(days=_DAYS) / len(turns)
    stages: dict[int, str] = {}
    for turn, deal in enumerate(turns):
        kind = EventType.MOVED if deal in stages else EventType.CREATED
        stages[deal] = numbers.choice([stage for stage in _STAGES if stage != stages.get(deal)])
        yield {
            "specversion": "1.0",
            "id": f"{deal}-{turn}",
            "source": _SOURCE,
            "type": kind.value,
            "subject": f"{_SOURCE}:{deal}",
            "time": iso(began + turn * between),
            "data": {"pipeline": _PIPELINE, "stage": stages[deal]},
        }
