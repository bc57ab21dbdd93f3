"""Publishes on `flow.now` how each stage of the policy stands at the watermark, where something of it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson

from services.detector.publish import evidence
from services.detector.settings import EVENT_SOURCE
from services.detector.store import evaluation, learning
from services.detector.store.learning import CurrentVersion
from shared.contracts.now import MAX_OPEN, NowData, NowEvent, RuleNow, StayCurve
from shared.contracts.problems import Evidence, EvidenceDeal, Mode
from shared.contracts.topics import NOW
from shared.flow.checkpoints import Checkpoint
from shared.flow.intervals import RuleState, due
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset, wip
from shared.kafka.publisher import OutgoingMessage
from shared.postgres import locks
from shared.postgres.pool import Connection
from shared.runtime.instants import moment
from shared.stream import outbox

# Bounds the deals of `rest` for each rule, in bytes of JSON: five rules stay below the limit of a message.
REST_BYTES = 200_000
# Stages are published no sooner than this after the last time, however often they change.
EVERY_SECONDS = 4.5
# While nothing changes, one stage is published again this often, so that readers know that judgement goes on.
BEAT_SECONDS = 9.5
Stage = tuple[str, str]
# `entries` is a hash of when the open deals entered: where one deal leaves as another comes, the count stays.
_ENTRIES = """
SELECT w.pipeline, w.stage, o.oldest, o.entries FROM unnest($1::text[], $2::text[]) AS w (pipeline, stage),
LATERAL (
    SELECT min(v.entered) AS oldest, sum(hash_record_extended(row(v.entered), 0))::text AS entries FROM visit AS v
    WHERE v.pipeline = w.pipeline AND v.stage = w.stage AND v.left_at IS NULL AND v.entered <= $3
) AS o
"""
_OPEN = """
SELECT entered FROM visit WHERE (pipeline, stage) = ($1, $2) AND left_at IS NULL AND entered <= $3
ORDER BY entered LIMIT $4
"""
# A deal's version grows with each of its changes. Which deals are in a stage, and what is shown of them, is as before
# while this is; a sum of versions would not tell a deal from another that takes its place.
_VERSIONS = """
SELECT v.pipeline, v.stage, bit_xor(hash_record_extended((d.deal, d.version), 0)) AS versions
FROM visit AS v JOIN deal AS d USING (deal)
JOIN unnest($1::text[], $2::text[]) AS w (pipeline, stage) ON v.pipeline = w.pipeline AND v.stage = w.stage
WHERE v.left_at IS NULL GROUP BY 1, 2
"""
_PUBLISHED = """
SELECT pipeline, stage, digest, extract(epoch FROM clock_timestamp() - published_at)::float8 AS seconds
FROM now_published ORDER BY published_at, pipeline, stage
"""
_SAVE = """
INSERT INTO now_published
SELECT p, s, d, clock_timestamp() FROM unnest($1::text[], $2::text[], $3::text[]) AS w (p, s, d)
ON CONFLICT (pipeline, stage) DO UPDATE SET digest = excluded.digest, published_at = excluded.published_at
"""


class _RuleStanding(NamedTuple):
    """A rule, its state, and the number of deals that it counts."""

    rule: Rule
    state: RuleState
    deals: int


@dataclass(frozen=True)
class _Standing:
    """A stage at the watermark: its work in progress, when its oldest deal entered, how its rules stand.

    `points`: the newest checkpoint of each of its series, by name. `entries`: a hash of when its open deals
    entered. `versions`: a hash of the deals that are shown; 0 where none are. `stays`: how long deals stay, as JSON
    text.
    """

    wip: int
    points: Mapping[str, Checkpoint]
    rules: Sequence[_RuleStanding]
    oldest: datetime | None
    entries: str | None
    versions: int
    stays: str | None

    def digest(self, policy: str) -> str:
        """Differs where a message made from this would differ in more than its time."""
        packed = [[name, point.pack()] for name, point in sorted(self.points.items())]
        rules = [[one.rule.key, one.rule.limit, one.rule.threshold, one.state.pack()] for one in self.rules]
        parts = [policy, packed, rules, self.oldest, self.entries, self.versions, self.stays]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()


class NowPublisher:
    """Publishes each stage that differs from what was published before. Keeps nothing between calls."""

    def __init__(self, ruleset: Ruleset, topic_prefix: str) -> None:
        self._ruleset, self._topic = ruleset, topic_prefix + NOW
        self._rules: dict[Stage, list[Rule]] = {stage: [] for stage in ruleset.stages}
        for rule in ruleset.rules:
            self._rules.setdefault((rule.pipeline, rule.stage), []).append(rule)
        self._series = {
            stage: sorted({wip(*stage).text, *(rule.series.text for rule in rules)})
            for stage, rules in self._rules.items()
        }

    async def publish(self, connection: Connection) -> int:
        """Put messages into the outbox, in the caller's transaction of level `repeatable_read`; returns how many.

        One replica at a time: 0 while another does it, and while evaluation is on hold.
        """
        if not await locks.try_lock(connection, "now"):
            return 0
        watermark, held = await evaluation.state(connection)
        if watermark is None or held:
            return 0
        standings = await self._standings(connection, watermark)
        digests = {stage: one.digest(self._ruleset.policy.digest) for stage, one in standings.items()}
        due_now = await self._due(connection, digests)
        messages = []
        for stage in due_now:
            data = await self._data(connection, stage, standings[stage], watermark)
            if _is_ahead(data):
                # Visits are ahead of the watermark: publish again, also where the counts will be the same.
                digests[stage] = ""
            event = NowEvent.new(source=EVENT_SOURCE, subject=data.key, time=data.as_of, data=data)
            messages.append(OutgoingMessage.of(self._topic, event))
        await outbox.put(connection, messages)
        names = list(zip(*due_now, strict=True)) or [(), ()]
        await connection.execute(_SAVE, *names, [digests[stage] for stage in due_now])
        return len(messages)

    async def _due(self, connection: Connection, digests: Mapping[Stage, str]) -> list[Stage]:
        """The stages to publish: those that changed, or the one published longest ago, as a heartbeat.

        All or none: readers take a stage to be unchanged up to the newest `as_of` of any stage.
        """
        rows = {(row["pipeline"], row["stage"]): row for row in await connection.fetch(_PUBLISHED)}
        quiet = min((row["seconds"] for row in rows.values()), default=BEAT_SECONDS)
        if quiet < EVERY_SECONDS:
            return []
        changed = [stage for stage, one in digests.items() if stage not in rows or rows[stage]["digest"] != one]
        oldest = [stage for stage in rows if stage in digests][:1]
        return changed or (oldest if quiet >= BEAT_SECONDS else [])

    async def _standings(self, connection: Connection, watermark: int) -> dict[Stage, _Standing]:
        stages = list(self._rules)
        names = [name for series in self._series.values() for name in series]
        points = await evaluation.newest_points(connection, names)
        rules = self._rule_standings(points, await learning.current(connection))
        columns = [pipeline for pipeline, _ in stages], [stage for _, stage in stages]
        rows = await connection.fetch(_ENTRIES, *columns, moment(watermark))
        entries = {(row["pipeline"], row["stage"]): (row["oldest"], row["entries"]) for row in rows}
        versions, stays = await self._versions(connection, rules), await learning.stays(connection)
        return {
            stage: _Standing(
                points[wip(*stage).text].count,
                {name: points[name] for name in series},
                rules[stage],
                *entries[stage],
                versions.get(stage, 0),
                stays.get(stage),
            )
            for stage, series in self._series.items()
        }

    def _rule_standings(
        self, points: Mapping[str, Checkpoint], learned: Mapping[Stage, CurrentVersion]
    ) -> dict[Stage, list[_RuleStanding]]:
        """How the rules of each stage stand; a rule that has learned nothing does not."""
        found = {
            stage: [_RuleStanding(rule, _state(rule, points), points[rule.series.text].count) for rule in rules]
            for stage, rules in self._rules.items()
        }
        for stage, rule in self._ruleset.learned_rules.items():
            current = learned.get(stage)
            under = None if current is None else rule.under(current.version)
            if current is not None and under is not None:
                found[stage].append(_RuleStanding(under, current.state, current.state.count))
        return found

    async def _versions(
        self, connection: Connection, rules: Mapping[Stage, Sequence[_RuleStanding]]
    ) -> dict[Stage, int]:
        """By stage whose deals are shown."""
        shown = [stage for stage, some in rules.items() if any(_is_shown(one.rule, one.state) for one in some)]
        if not shown:
            return {}
        rows = await connection.fetch(_VERSIONS, [pipeline for pipeline, _ in shown], [stage for _, stage in shown])
        return {(row["pipeline"], row["stage"]): row["versions"] for row in rows}

    async def _data(self, connection: Connection, stage: Stage, standing: _Standing, watermark: int) -> NowData:
        entries = await connection.fetch(_OPEN, *stage, moment(watermark), MAX_OPEN)
        return NowData(
            pipeline=stage[0],
            stage=stage[1],
            as_of=moment(watermark),
            wip=standing.wip,
            oldest_entered_at=standing.oldest if standing.wip else None,
            rules=tuple([await self._rule(connection, one, watermark) for one in standing.rules]),
            open_since=tuple(row["entered"] for row in entries),
            stays=None if standing.stays is None else StayCurve.model_validate_json(standing.stays),
        )

    async def _rule(self, connection: Connection, standing: _RuleStanding, watermark: int) -> RuleNow:
        rule, state, number = standing
        next_change = due(rule, state)
        is_open, shown = state.opened_at is not None, None
        if state.opened_at is not None and _is_shown(rule, state):
            whole = await evidence.gather(connection, rule, state.opened_at, watermark, evidence.MAX_REST)
            shown = whole.model_copy(update={"rest": _fitting(whole)})
        return RuleNow(
            key=rule.key,
            kind=rule.kind,
            count=number,
            threshold=rule.threshold,
            breached=state.breached,
            since=_moment(state.run),
            problem_opened_at=_moment(state.opened_at),
            peak=state.peak if is_open else None,
            opens_at=None if is_open else _moment(next_change),
            clears_at=_moment(next_change) if is_open else None,
            evidence=shown,
        )


def _is_ahead(data: NowData) -> bool:
    """Whether the deals that are listed are not those that were counted."""
    counted = len(data.open_since) == min(data.wip, MAX_OPEN)
    return not counted or any(rule.evidence and rule.evidence.total != rule.count for rule in data.rules)


def _state(rule: Rule, points: Mapping[str, Checkpoint]) -> RuleState:
    return points[rule.series.text].states.get(rule.key, RuleState())


def _is_shown(rule: Rule, state: RuleState) -> bool:
    """Whether a ticket may show the deals of this rule."""
    return state.opened_at is not None and rule.mode is Mode.ACTIVE


def _moment(instant: int | None) -> datetime | None:
    return None if instant is None else moment(instant)


def _fitting(found: Evidence) -> Sequence[EvidenceDeal]:
    """As many deals of the rest as fit into a message."""
    size, kept = 0, []
    for deal in found.rest:
        size += len(deal.model_dump_json().encode())
        if size > REST_BYTES:
            break
        kept.append(deal)
    return tuple(kept)
