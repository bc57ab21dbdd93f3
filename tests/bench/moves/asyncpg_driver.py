"""Carries out the job with asyncpg."""

from __future__ import annotations

import asyncpg

from tests.bench.moves.job import STAGING, Copied, Job, Rows


async def connect(dsn: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(dsn)
    await connection.execute(STAGING)
    return connection


async def carry_out(connection: asyncpg.Connection, job: Job) -> None:
    """Run each step of a job, in the transaction that the caller has begun."""
    step = next(job, None)
    while step is not None:
        rows: Rows = ()
        if isinstance(step, Copied):
            await connection.copy_records_to_table(step.table, records=step.rows)
        else:
            rows = await connection.fetch(step.sql)
        try:
            step = job.send(rows)
        except StopIteration:
            step = None
