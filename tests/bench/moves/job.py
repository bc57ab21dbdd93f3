"""What the bare consumer and the peers do with a batch: inbox, deals, visits and work in progress, in one transaction.

It knows no driver: it yields what to run and is sent the rows. Imports neither the product nor what the product needs,
since the peers run in an environment of their own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

TABLES = """
CREATE SCHEMA bare;
CREATE TABLE bare.inbox (source text, id text, PRIMARY KEY (source, id));
CREATE TABLE bare.deal (deal text PRIMARY KEY, stage text NOT NULL, entered timestamptz NOT NULL);
CREATE TABLE bare.visit (
    deal text, entered timestamptz, stage text NOT NULL, left_at timestamptz, PRIMARY KEY (deal, entered)
);
CREATE TABLE bare.wip (stage text PRIMARY KEY, deals bigint NOT NULL);
CREATE TABLE bare.position (partition int PRIMARY KEY, next_offset bigint NOT NULL);
"""
# Made on each connection.
STAGING = """
CREATE TEMP TABLE staged_move (source text, id text, deal text, stage text, at timestamptz) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE staged_deal (LIKE bare.deal) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE staged_visit (LIKE bare.visit) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE staged_wip (LIKE bare.wip) ON COMMIT DELETE ROWS;
"""
_NEW = "INSERT INTO bare.inbox SELECT source, id FROM staged_move ON CONFLICT DO NOTHING RETURNING source, id"
_KNOWN = "SELECT deal, stage, entered FROM bare.deal WHERE deal IN (SELECT deal FROM staged_move)"
_SAVE_DEALS = """
INSERT INTO bare.deal SELECT * FROM staged_deal
ON CONFLICT (deal) DO UPDATE SET stage = excluded.stage, entered = excluded.entered
"""
_SAVE_VISITS = """
INSERT INTO bare.visit SELECT * FROM staged_visit ON CONFLICT (deal, entered) DO UPDATE SET left_at = excluded.left_at
"""
_ADD_WIP = """
INSERT INTO bare.wip AS w SELECT * FROM staged_wip ON CONFLICT (stage) DO UPDATE SET deals = w.deals + excluded.deals
"""
# A digest of the rows of a table, in any order.
_DIGEST = "SELECT count(*) || '-' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM ({rows}) AS t"
DIGESTS = {
    "inbox": _DIGEST.format(rows="SELECT source, id FROM bare.inbox"),
    "deal": _DIGEST.format(rows="SELECT deal, stage, entered FROM bare.deal"),
    "visit": _DIGEST.format(rows="SELECT deal, stage, entered, left_at FROM bare.visit"),
    "wip": _DIGEST.format(rows="SELECT stage, deals FROM bare.wip"),
}
# The detector's visits, with the digest that the same ones of the job have.
DETECTOR_VISITS = _DIGEST.format(rows="SELECT deal, stage, entered, left_at FROM flow.visit")


class DealMove(NamedTuple):
    """A deal enters a stage."""

    source: str
    id: str
    deal: str
    stage: str
    at: datetime


class Copied(NamedTuple):
    """Rows to COPY into a table; the answer is empty."""

    table: str
    rows: Iterable[Sequence[Any]]


class Statement(NamedTuple):
    """SQL to execute; the answer is its rows."""

    sql: str


Rows = Sequence[Sequence[Any]]
Job = Generator[Copied | Statement, Rows, None]


def read(value: bytes) -> DealMove:
    """The move of a record."""
    return of_event(orjson.loads(value))


def of_event(event: Mapping[str, Any]) -> DealMove:
    """The move of an event that was read from JSON."""
    at = datetime.fromisoformat(event["time"])
    return DealMove(event["source"], event["id"], event["subject"], event["data"]["stage"], at)


def apply(moves: Sequence[DealMove]) -> Job:
    """Apply those moves that are new. Those of one deal come in order of time."""
    yield Copied("staged_move", moves)
    new = {(source, id_) for source, id_ in (yield Statement(_NEW))}
    deals = {deal: (stage, entered) for deal, stage, entered in (yield Statement(_KNOWN))}
    visits: dict[tuple[str, datetime], tuple[str, datetime | None]] = {}
    wip: Counter[str] = Counter()
    for source, id_, deal, stage, at in moves:
        if (event := (source, id_)) not in new:
            continue
        new.remove(event)
        if (former := deals.get(deal)) is not None:
            visits[deal, former[1]] = former[0], at
            wip[former[0]] -= 1
        visits[deal, at] = stage, None
        wip[stage] += 1
        deals[deal] = stage, at
    yield Copied("staged_deal", ((deal, stage, entered) for deal, (stage, entered) in deals.items()))
    yield Statement(_SAVE_DEALS)
    yield Copied("staged_visit", ((*key, stage, left) for key, (stage, left) in visits.items()))
    yield Statement(_SAVE_VISITS)
    yield Copied("staged_wip", sorted(wip.items()))
    yield Statement(_ADD_WIP)


class Arguments(NamedTuple):
    """Of the program of a consumer: it applies `expected` moves, in transactions of about `batch`."""

    kafka: str
    dsn: str
    topic: str
    expected: int
    batch: int

    @classmethod
    def read(cls) -> Arguments:
        """From the command line."""
        kafka, dsn, topic, expected, batch = sys.argv[1:]
        return cls(kafka, dsn, topic, int(expected), int(batch))


class Meter:
    """Measures a consumer from its first batch until `expected` moves are committed; then ends the process."""

    def __init__(self, expected: int) -> None:
        self._expected, self._done = expected, 0
        self._began: tuple[float, float] | None = None

    def begin(self) -> None:
        """A batch was read."""
        if self._began is None:
            self._began = time.perf_counter(), time.process_time()

    def committed(self, moves: int) -> None:
        """Print `{"seconds": ..., "processor": ...}` after the last one."""
        self._done += moves
        if self._done < self._expected or self._began is None:
            return
        began, used = self._began
        told = {"seconds": time.perf_counter() - began, "processor": time.process_time() - used}
        # On a line of its own, whatever a framework has written there, or put in the place of sys.stdout.
        print(f"\n{json.dumps(told)}", file=sys.__stdout__, flush=True)
        # Streams do not end by themselves, and an orderly stop takes some of them seconds.
        os._exit(0)
