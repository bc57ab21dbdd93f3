"""What statistics cost the detector for each event: processor time of writing history with and without them, in turn.

Without them, neither closings nor visits that were believed for a while are stored, and no week and stage is marked.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any
from unittest.mock import patch

import orjson

from services.detector.ingest import first_change
from services.detector.ingest.event_writer import DIRECT_COPY_MIN, EventWriter
from services.detector.ingest.stage_marks import StageMarks
from services.detector.ingest.week_marks import WeekMarks
from services.detector.store import history, learning
from services.detector.store.copy_tables import open_flow
from shared.policy import load
from shared.postgres.migrate import migrate_all
from tests.bench.detector import BATCH, POLICY, histories
from tests.bench.figures import Figure, at_least
from tests.support.detector_store import Store

_SEEDS = 8


async def measure(new_dsn: Callable[[], Awaitable[str]], rounds: int, show: Callable[[str], None]) -> list[Figure]:
    """Events in a second of processor time; the least time of `rounds` rounds."""
    values = [orjson.dumps(event) for event in histories(_SEEDS)]
    with_them, without = list[float](), list[float]()
    for number in range(rounds):
        show(f"statistics, round {number + 1} of {rounds}")
        with _switched_off():
            without.append(await _seconds(await new_dsn(), values))
        with_them.append(await _seconds(await new_dsn(), values))
    ratio = median(b / a for a, b in zip(with_them, without, strict=True))
    return [
        Figure("detector without statistics", len(values) / min(without), "events/s of processor time"),
        Figure("detector with statistics", len(values) / min(with_them), "events/s of processor time"),
        at_least("detector with statistics against without", ratio, "x", 0.95),
    ]


async def _seconds(dsn: str, values: list[bytes]) -> float:
    """The processor time of this process, Postgres not counted, to write events in batches."""
    await migrate_all(dsn)
    pool = await open_flow(dsn, max_size=2)
    store = Store(pool, load(POLICY))
    store.events = store.processor(
        EventWriter(store.ruleset, store.metrics, lambda record: store.present, direct_copy_min=DIRECT_COPY_MIN)
    )
    began = time.process_time()
    for start in range(0, len(values), BATCH):
        await store.take(values[start : start + BATCH])
    used = time.process_time() - began
    await pool.close()
    return used


@contextmanager
def _switched_off() -> Iterator[None]:
    with (
        patch.multiple(history, **dict.fromkeys(_HISTORY, _nothing)),
        patch.multiple(WeekMarks, mark=_nothing, note_events=_nothing),
        patch.object(StageMarks, "add", lambda *_: None),
        patch.object(first_change, "of_later_events", lambda *_: None),
        patch.object(learning, "mark", _nothing),
    ):
        yield


_HISTORY = ("add_closings", "drop_closings", "add_withdrawn", "drop_withdrawn")


async def _nothing(*_: Any) -> None:
    """In place of what only statistics need."""
