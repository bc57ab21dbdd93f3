"""Tells on `flow.stages` what stages are called, and which hold deals though the policy does not know them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from services.detector.publish.measures import SOURCE
from services.detector.publish.stage_catalog import CatalogStage, StageCatalog, deals
from services.detector.store import stages as stage_store
from shared.contracts.stages import StageStatusData, StageStatusEvent
from shared.contracts.topics import STAGE_STATUS
from shared.flow.stage_resolver import StageResolver
from shared.kafka.publisher import OutgoingMessage
from shared.policy import Policy
from shared.stream import outbox

# Of stages that the policy does not know, those with the most deals: a CRM may make stages without end.
MOST = 100
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema() || '.seen', 0))"
_TOLD = "SELECT pipeline, stage, data FROM stage_told"
_SAVE = """
INSERT INTO stage_told SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
ON CONFLICT (pipeline, stage) DO UPDATE SET data = excluded.data
"""
_FORGET = """
DELETE FROM stage_told USING unnest($1::text[], $2::text[]) AS w (pipeline, stage)
WHERE stage_told.pipeline = w.pipeline AND stage_told.stage = w.stage
"""


async def tell(connection: Any, policy: Policy, topic_prefix: str, now: datetime) -> int:
    """Messages for what is other than told before, in the caller's transaction; how many. One replica at a time."""
    if not await connection.fetchval(_LOCK):
        return 0
    overview = StageCatalog(
        policy, StageResolver(policy, await stage_store.load(connection)), await deals(connection, past=False)
    )
    told = {(r["pipeline"], r["stage"]): r["data"] for r in await connection.fetch(_TOLD)}
    found = _known(overview) | _unknown(overview)
    news = {place: data for place, data in found.items() if told.get(place) != data.model_dump_json()}
    await connection.execute(
        _SAVE, [p for p, _ in news], [s for _, s in news], [data.model_dump_json() for data in news.values()]
    )
    gone = sorted(told.keys() - found.keys())
    await connection.execute(_FORGET, [p for p, _ in gone], [s for _, s in gone])
    over = [StageStatusData(pipeline=p, stage=s, watched=policy.stage(p, s) is not None) for p, s in gone]
    await outbox.put(connection, [_message(data, topic_prefix, now) for data in (*news.values(), *over)])
    return len(news) + len(gone)


def _known(overview: StageCatalog) -> dict[tuple[str, str], StageStatusData]:
    return {
        place: StageStatusData(pipeline=place[0], stage=place[1], name=name, watched=True)
        for place, name in overview.titles().items()
    }


def _unknown(overview: StageCatalog) -> dict[tuple[str, str], StageStatusData]:
    """Sources that share a place are told of together, with the name and the hint of the first."""
    found: dict[tuple[str, str], StageStatusData] = {}
    rows = [row for row in overview.rows() if not row.watched and row.deals]
    for row in sorted(rows, key=lambda row: row.deals, reverse=True):
        before = found.get(row.home[:2])
        if before is not None:
            found[row.home[:2]] = before.model_copy(update={"deals": before.deals + row.deals})
        elif len(found) < MOST:
            found[row.home[:2]] = _seen(row)
    return found


def _seen(row: CatalogStage) -> StageStatusData:
    return StageStatusData(
        pipeline=row.home.pipeline,
        stage=row.home.stage,
        name=row.described.name,
        watched=False,
        deals=row.deals,
        hint=row.hint,
    )


def _message(data: StageStatusData, prefix: str, now: datetime) -> OutgoingMessage:
    event = StageStatusEvent(id=uuid4().hex, source=SOURCE, subject=data.key, time=now, data=data)
    return OutgoingMessage(prefix + STAGE_STATUS, data.key.encode(), event.to_json())
