"""A database of its own for each file of tests, with the detector's pool on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.detector.store.copy_tables import open_flow
from shared.postgres.pool import Pool
from tests.support.databases import migrated_database


@pytest.fixture(scope="module")
async def pool(postgres: str) -> AsyncIterator[Pool]:
    dsn = await migrated_database(postgres)
    pool = await open_flow(dsn, max_size=2)
    yield pool
    await pool.close()
