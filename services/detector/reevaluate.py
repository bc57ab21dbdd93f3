"""Works everything out anew: after an import or a change of the policy, intervals equal f(history, policy) again.

While it runs the writers wait, so it sees one consistent history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.detector import history, ledger, staging
from services.detector.flow import Deal, Event, Visit, unique
from services.detector.fold import Boundary
from services.detector.judge import Judge, Outcome
from services.detector.judgement_time import PARTITIONS, judgement_time
from services.detector.judging import Judging
from services.detector.packing import SLOT, net
from services.detector.settings import DetectorSettings
from services.detector.staging import open_flow
from services.detector.telling import Teller
from services.detector.timeline import BEGINNING
from shared.policy import load
from shared.runtime.log import logger

_log = logger(__name__)
_CHUNK = 5000
_FREEZE = "LOCK TABLE event, span_change IN SHARE ROW EXCLUSIVE MODE"
_CLEAR = "TRUNCATE span_change, bucket, checkpoint, due"
_KNOWN = "SELECT series, outcomes, judged, held FROM judgement"
_NOTE = "UPDATE judgement SET series = $1, outcomes = $2, held = false"
_FIRST_NOTE = "UPDATE judgement SET series = $1, outcomes = $2"
HOLD = "UPDATE judgement SET held = true"
_COUNT = "SELECT count(*) FROM event"
Show = Callable[[int, int], None]


@dataclass
class Rebuilt:
    """Counts of every series, and the visits of the chunk in hand."""

    judging: Judging
    counts: dict[str, list[Boundary]] = field(default_factory=dict)
    stays: list[tuple[str, Visit]] = field(default_factory=list)
    packed: list[tuple[str, bytes]] = field(default_factory=list)

    def take(self, deal: str, events: list[Event]) -> None:
        state = Deal()
        state.take(unique(events), self.judging)
        for visit in state.finished + ([state.current] if state.current is not None else []):
            self.stays.append((deal, visit))
            for series, spans in self.judging.spans(visit):
                found = self.counts.setdefault(series.text, [])
                for start, end in spans:
                    found.append((start, 1))
                    if end is not None:
                        found.append((end, -1))
        self.packed.append((deal, state.pack()))


def digests(judging: Judging) -> tuple[str, str]:
    """What the stored counts and visits depend on: how counts are kept, the definitions of the series, the outcomes."""
    series = f"{SLOT}\n" + "\n".join(
        sorted(s.text + "".join(_terms(r) for r in rules) for s, rules in judging.series.items())
    )
    outcomes = "\n".join(f"{p}/{s.id}={s.outcome}" for p, pipe in judging.policy.pipelines.items() for s in pipe.stages)
    return _digest(series), _digest(outcomes)


def _terms(rule: Any) -> str:
    return f"|{rule.key}:{rule.version}:{rule.threshold}:{rule.hold}:{rule.clear_hold}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class OtherPolicyError(Exception):
    """Another replica, or `andon reevaluate`, has built the counts by another policy."""


async def check_policy(connection: Any, known: tuple[str, str]) -> None:
    """At the end of a transaction: raises OtherPolicyError where the counts are no longer those of `known` digests.

    What a replica with the old file counts and judges would be wrong for good: its transaction falls, its process
    ends, and begins anew with the file as it is then.
    """
    row = await connection.fetchrow(_KNOWN)
    if row["series"] and (row["series"], row["outcomes"]) != known:
        raise OtherPolicyError(
            "the counts were built by another policy; this replica ends, to begin with the file as it is"
        )


async def follow_policy(pool: Any, judging: Judging, settings: DetectorSettings) -> None:
    """At start: when the policy's terms have changed, judge anew from the edge of the lateness on."""
    row = await pool.fetchrow(_KNOWN)
    if (row["series"], row["outcomes"]) == digests(judging):
        return
    if not row["series"]:
        await pool.execute(_FIRST_NOTE, *digests(judging))
        return
    if row["held"]:
        # Half of a history may be in: the reevaluate that ends the wait does this, too.
        return
    since = BEGINNING if row["judged"] is None else row["judged"] - judging.policy.lateness.micros()
    _log.info("the policy has changed: judging anew within the lateness; andon reevaluate does so for all time")
    await rebuild(pool, judging, settings, since, lambda done, total: None)


async def rebuild(pool: Any, judging: Judging, settings: DetectorSettings, since: int, show: Show) -> Outcome | None:
    """Refold all deals, rebuild all counts, judge from the beginning, tell what differs after `since`."""
    async with pool.acquire() as connection, connection.transaction():
        await ledger.lock(connection)
        await connection.execute(_FREEZE)
        judged = await connection.fetchval("SELECT judged FROM judgement")
        rebuilt = await _refold(connection, judging, show)
        await connection.execute(_CLEAR)
        counts = {name: net(found) for name, found in rebuilt.counts.items()}
        await connection.execute(_NOTE, *digests(judging))
        until = judged or await judgement_time(connection, PARTITIONS, settings.clock)
        if until is None:
            # Nothing can be judged yet: the judge will find the counts as if they had just been written.
            await history.add_changes(connection, {ledger.series_of(name): found for name, found in counts.items()})
            return None
        await ledger.merge(connection, counts)
        judge = Judge(judging, Teller(judging, settings.topic_prefix), PARTITIONS, settings.clock)
        return await judge.judge_all(connection, since, until, datetime.now(UTC))


async def _refold(connection: Any, judging: Judging, show: Show) -> Rebuilt:
    rebuilt, deal = Rebuilt(judging), None
    events: list[Event] = []
    total, done = await connection.fetchval(_COUNT), 0
    await connection.execute("TRUNCATE visit")
    async for event in history.all_events(connection):
        if event.deal != deal:
            if deal is not None:
                rebuilt.take(deal, events)
            deal, events = event.deal, []
            if len(rebuilt.packed) >= _CHUNK:
                await _save(connection, rebuilt)
                show(done, total)
        events.append(event)
        done += 1
    if deal is not None:
        rebuilt.take(deal, events)
    await _save(connection, rebuilt)
    show(total, total)
    return rebuilt


async def _save(connection: Any, rebuilt: Rebuilt) -> None:
    await history.save_deals(connection, rebuilt.packed)
    await history.save_visits(connection, rebuilt.stays)
    await staging.clear(connection)
    rebuilt.packed.clear()
    rebuilt.stays.clear()


async def reevaluate(settings: DetectorSettings, since: int, show: Show) -> Outcome | None:
    """`andon reevaluate --since T`."""
    pool = await open_flow(settings.dsn, most=2)
    try:
        return await rebuild(pool, Judging(load(settings.policy)), settings, since, show)
    finally:
        await pool.close()


async def hold(settings: DetectorSettings) -> None:
    """`andon hold`: deals are taken in and nothing is judged, until `reevaluate`."""
    pool = await open_flow(settings.dsn, most=1)
    try:
        await pool.execute(HOLD)
    finally:
        await pool.close()
