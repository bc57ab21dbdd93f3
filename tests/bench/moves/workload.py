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


def moves(deals: int = DEALS, each: int = MOVES, cohorts: int = 1) -> Iterator[dict[str, Any]]:
    """The events of the last 90 days in order of time, the same each time but for their instants.

    The deals come in `cohorts`, which must divide them: those of one have all their moves before the next one begins.
    """
    numbers, size = random.Random(_SEED), deals // cohorts
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=_DAYS)
    between = timedelta(days=_DAYS) / (deals * each)
    for cohort in range(cohorts):
        turns = [deal for deal in range(cohort * size, (cohort + 1) * size) for _ in range(each)]
        numbers.shuffle(turns)
        stages: dict[int, str] = {}
        for turn, deal in enumerate(turns, cohort * size * each):
            kind = EventType.MOVED if deal in stages else EventType.CREATED
            stages[deal] = numbers.choice([stage for stage in _STAGES if stage != stages.get(deal)])
            yield _event(f"{deal}-{turn}", kind, deal, began + turn * between, stages[deal])


def _event(event_id: str, kind: EventType, deal: int, at: datetime, stage: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": _SOURCE,
        "type": kind.value,
        "subject": f"{_SOURCE}:{deal}",
        "time": iso(at),
        "data": {"pipeline": _PIPELINE, "stage": stage},
    }
