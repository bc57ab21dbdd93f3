"""Publishes on `flow.stages` what stages are called, and which hold deals though the policy does not have them."""

from __future__ import annotations

from datetime import datetime

from services.detector.publish.stage_catalog import CatalogStage, StageCatalog, load_catalog
from services.detector.settings import EVENT_SOURCE
from shared.contracts.stages import StageStatusData, StageStatusEvent
from shared.contracts.topics import STAGE_STATUS
from shared.kafka.publisher import OutgoingMessage
from shared.policy import Policy
from shared.postgres import locks
from shared.postgres.pool import Connection
from shared.stream import outbox

_PUBLISHED = "SELECT pipeline, stage, data FROM stage_published"
_SAVE = """
INSERT INTO stage_published SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
ON CONFLICT (pipeline, stage) DO UPDATE SET data = excluded.data
"""
_DELETE = """
DELETE FROM stage_published USING unnest($1::text[], $2::text[]) AS w (pipeline, stage)
WHERE stage_published.pipeline = w.pipeline AND stage_published.stage = w.stage
"""
# By (pipeline, stage), as visits have them.
Statuses = dict[tuple[str, str], StageStatusData]


class StageStatusPublisher:
    """Publishes the status of stages where it differs from what was published before.

    Of the stages that the policy does not know, the `max_unknown` with the most deals: a CRM may create stages
    without end.
    """

    def __init__(self, policy: Policy, topic_prefix: str, max_unknown: int = 100) -> None:
        self._policy, self._topic, self._max_unknown = policy, topic_prefix + STAGE_STATUS, max_unknown

    async def publish(self, connection: Connection, now: datetime) -> int:
        """Put messages into the outbox, in the caller's transaction; returns how many.

        One replica at a time: 0 while another publishes.
        """
        if not await locks.try_lock(connection, "stages"):
            return 0
        catalog = await load_catalog(connection, self._policy, past=False)
        found = _named(catalog) | self._unknown(catalog)
        published = {(r["pipeline"], r["stage"]): r["data"] for r in await connection.fetch(_PUBLISHED)}
        changed = {stage: data for stage, data in found.items() if published.get(stage) != data.model_dump_json()}
        gone = sorted(published.keys() - found.keys())
        await self._store(connection, changed, gone)
        over = [StageStatusData(pipeline=p, stage=s, watched=self._policy.stage(p, s) is not None) for p, s in gone]
        messages = [self._message(data, now) for data in (*changed.values(), *over)]
        await outbox.put(connection, messages)
        return len(messages)

    async def _store(self, connection: Connection, changed: Statuses, gone: list[tuple[str, str]]) -> None:
        texts = [data.model_dump_json() for data in changed.values()]
        await connection.execute(_SAVE, [p for p, _ in changed], [s for _, s in changed], texts)
        await connection.execute(_DELETE, [p for p, _ in gone], [s for _, s in gone])

    def _unknown(self, catalog: StageCatalog) -> Statuses:
        """Sources that share a stage are published as one, with name and hint of the one that has most deals in it."""
        found: Statuses = {}
        rows = [row for row in catalog.rows() if not row.watched and row.deals]
        for row in sorted(rows, key=lambda row: row.deals, reverse=True):
            before = found.get(row.home[:2])
            if before is not None:
                found[row.home[:2]] = before.model_copy(update={"deals": before.deals + row.deals})
            elif len(found) < self._max_unknown:
                found[row.home[:2]] = _unknown_status(row)
        return found

    def _message(self, data: StageStatusData, now: datetime) -> OutgoingMessage:
        event = StageStatusEvent.new(source=EVENT_SOURCE, subject=data.key, time=now, data=data)
        return OutgoingMessage.of(self._topic, event)


def _named(catalog: StageCatalog) -> Statuses:
    return {
        (pipeline, stage): StageStatusData(pipeline=pipeline, stage=stage, name=name, watched=True)
        for (pipeline, stage), name in catalog.titles().items()
    }


def _unknown_status(row: CatalogStage) -> StageStatusData:
    return StageStatusData(
        pipeline=row.home.pipeline,
        stage=row.home.stage,
        name=row.described.name,
        watched=False,
        deals=row.deals,
        hint=row.hint,
    )
