"""The shop's history in a detector's tables, and what answers pages that try other rules on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette

from services.demo.ports import free_port
from services.detector.preview.endpoint import PreviewEndpoint
from shared.policy import Policy
from shared.postgres.pool import Pool
from tests.support.detector_store import emptied
from tests.support.http_server import TestServer
from tests.support.learning_store import LearningStore
from tests.support.short_shop import UNTIL, shop_policy, short_shop

_BATCH = 3000


async def load_shop(pool: Pool, policy: Policy | None = None) -> LearningStore:
    """All of the short shop, judged until its end, with its weekly measures."""
    await emptied(pool)
    store = LearningStore(pool, policy or shop_policy())
    values = [event.to_json() for event in short_shop()]
    for start in range(0, len(values), _BATCH):
        await store.take(values[start : start + _BATCH])
    await store.evaluate_at(UNTIL)
    while not await store.publish_weeks():
        pass
    return store


def preview_app(store: LearningStore) -> Starlette:
    """What the detector serves beside its health."""
    return Starlette(routes=PreviewEndpoint(store.pool, store.ruleset).routes())


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """Its address, while it is served over HTTP."""
    port = free_port()
    server = TestServer(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.end()
    await task
