"""Carries out the job with psycopg, for peers that are not asynchronous."""

from __future__ import annotations

import psycopg

from tests.bench.moves.job import STAGING, Copied, Job, Rows


def connect(dsn: str) -> psycopg.Connection:
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute(STAGING)
    return connection


def carry_out(connection: psycopg.Connection, job: Job) -> None:
    """Run a job in a transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        step = next(job, None)
        while step is not None:
            rows: Rows = ()
            if isinstance(step, Copied):
                with cursor.copy(f"COPY {step.table} FROM STDIN") as copy:
                    for row in step.rows:
                        copy.write_row(row)
            else:
                cursor.execute(step.sql)
                rows = cursor.fetchall() if cursor.description else ()
            try:
                step = job.send(rows)
            except StopIteration:
                step = None
