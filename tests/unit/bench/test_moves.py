"""The history in which every event moves a deal, and the job that the bare consumer and the peers do with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

import orjson

from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.fold import visits
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.policy import load
from shared.runtime.instants import moment
from tests.bench.moves.job import Copied, Job, apply, read
from tests.bench.moves.workload import POLICY, moves

DEALS, EACH, BATCH = 40, 6, 50


class Tables:
    """Answers the job as Postgres would."""

    def __init__(self) -> None:
        self.inbox: set[tuple[str, str]] = set()
        self.deals: dict[str, tuple[str, datetime]] = {}
        self.visits: dict[tuple[str, datetime], tuple[str, datetime | None]] = {}
        self.wip: Counter[str] = Counter()

    def carry_out(self, job: Job) -> None:
        step = next(job, None)
        while step is not None:
            rows = self._copy(step) if isinstance(step, Copied) else self._answer(step.sql)
            try:
                step = job.send(rows)
            except StopIteration:
                return

    def _copy(self, step: Copied) -> list[Any]:
        rows = [tuple(row) for row in step.rows]
        if step.table == "staged_move":
            self._moves = rows
        elif step.table == "staged_deal":
            self.deals |= {deal: (stage, entered) for deal, stage, entered in rows}
        elif step.table == "staged_visit":
            self.visits |= {(deal, entered): (stage, left) for deal, entered, stage, left in rows}
        else:
            self.wip.update(dict(rows))
        return []

    def _answer(self, sql: str) -> list[Any]:
        if "inbox" in sql:
            new = {(source, id_) for source, id_, *_ in self._moves} - self.inbox
            self.inbox |= new
            return list(new)
        if sql.startswith("SELECT"):
            return [(deal, *self.deals[deal]) for deal in {move[2] for move in self._moves} & set(self.deals)]
        return []


def _applied(events: list[dict[str, Any]]) -> Tables:
    tables = Tables()
    for start in range(0, len(events), BATCH):
        tables.carry_out(apply([read(orjson.dumps(event)) for event in events[start : start + BATCH]]))
    return tables


def test_every_event_moves_a_deal_and_the_job_finds_the_visits_of_the_product() -> None:
    events = list(moves(DEALS, EACH))
    found = _applied(events).visits
    by_deal = defaultdict(list)
    for event in events:
        by_deal[event["subject"]].append(event_of(DealEvent.model_validate(event)))
    resolver = StageResolver(load(POLICY), StageMap.of([]))
    expected = {
        (deal, moment(visit.entered)): (visit.stage, None if visit.left is None else moment(visit.left))
        for deal, some in by_deal.items()
        for visit in visits(some, resolver)
    }
    assert found == expected
    assert len(expected) == len(events) == DEALS * EACH


def test_repeated_events_change_nothing_within_a_batch_and_later() -> None:
    events = list(moves(DEALS, EACH))
    once = _applied(events)
    again = _applied([event for event in events for _ in range(2)] + events)
    assert (again.visits, again.deals, again.wip) == (once.visits, once.deals, once.wip)
    assert once.wip.total() == DEALS


def test_the_history_is_the_same_each_time_but_for_its_instants() -> None:
    first, second = ([(e["id"], e["data"]) for e in moves(DEALS, EACH)] for _ in range(2))
    assert first == second
