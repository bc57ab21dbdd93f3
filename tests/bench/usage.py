"""What processes and Postgres have used: processor seconds, transactions, write-ahead log, sizes of tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
import psutil

from tests.bench.figures import Figure

MEGABYTE = 2**20
_COUNTERS = """
SELECT d.xact_commit, d.tup_inserted + d.tup_updated + d.tup_deleted, w.wal_bytes::bigint
FROM pg_stat_database AS d, pg_stat_wal AS w WHERE d.datname = current_database()
"""
_HAS_STATEMENTS = "SELECT to_regclass('pg_stat_statements') IS NOT NULL"
_STATEMENTS = """
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_TABLES = """
SELECT relname, pg_table_size(relid), pg_indexes_size(relid), n_dead_tup, autovacuum_count
FROM pg_stat_user_tables WHERE schemaname = 'flow' ORDER BY pg_total_relation_size(relid) DESC
"""


def processor_seconds(process: psutil.Process) -> float:
    """Of a process and all its children, also those that have ended."""
    times = process.cpu_times()
    used = float(times.user + times.system + times.children_user + times.children_system)
    for child in process.children():
        # One that ends meanwhile is part of its parent's at the next reading.
        with suppress(psutil.NoSuchProcess):
            used += processor_seconds(child)
    return used


def resident_memory(process: psutil.Process) -> float:
    """Resident memory of a process, in MB."""
    return float(process.memory_info().rss / MEGABYTE)


def server_process(address: str) -> psutil.Process | None:
    """The server behind a DSN or `host:port`; None where it does not run on this machine as a process of this user."""
    port = urlsplit(address if "//" in address else f"//{address}").port
    found = {c.pid for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port}
    processes = [psutil.Process(pid) for pid in found if pid]
    return min(processes, key=lambda one: one.create_time(), default=None)


class Spent(NamedTuple):
    """Processor seconds by process, and what Postgres counted; `statements`: None without pg_stat_statements."""

    processor: Mapping[str, float]
    transactions: int
    rows: int
    wal_bytes: int
    statements: int | None

    def since(self, earlier: Spent) -> Spent:
        """What was spent between an earlier reading and this one."""
        processor = {name: seconds - earlier.processor.get(name, 0.0) for name, seconds in self.processor.items()}
        made = None if self.statements is None or earlier.statements is None else self.statements - earlier.statements
        counted = (mine - before for mine, before in zip(self[1:4], earlier[1:4], strict=True))
        return Spent(processor, *counted, made)

    def per_event(self, of: str, events: int) -> list[Figure]:
        """Figures whose names begin with `of`."""
        used = [
            Figure(f"{of}, {name}, processor time an event", seconds / events * 1e6, "µs")
            for name, seconds in self.processor.items()
        ]
        counted = {
            "transactions in a thousand events": (self.transactions * 1000, ""),
            "statements in a thousand events": (None if self.statements is None else self.statements * 1000, ""),
            "rows written an event": (self.rows, ""),
            "write-ahead log an event": (self.wal_bytes, "bytes"),
        }
        return used + [
            Figure(f"{of}, {name}", number / events, unit)
            for name, (number, unit) in counted.items()
            if number is not None
        ]


class Meters:
    """Reads what servers and services spend. Kafka and Postgres are left out where they run elsewhere."""

    def __init__(self, connection: asyncpg.Connection, kafka: str, dsn: str) -> None:
        self._connection = connection
        servers = {"Kafka": server_process(kafka), "Postgres": server_process(dsn)}
        self._processes = {name: [process] for name, process in servers.items() if process is not None}

    def watch(self, name: str, pids: Iterable[int]) -> Sequence[psutil.Process]:
        """Read these processes, too, all as one."""
        self._processes[name] = [psutil.Process(pid) for pid in pids]
        return self._processes[name]

    async def read(self) -> Spent:
        """What was spent up to now."""
        used = {name: sum(map(processor_seconds, some)) for name, some in self._processes.items()}
        has_statements = await self._connection.fetchval(_HAS_STATEMENTS)
        statements = await self._connection.fetchval(_STATEMENTS) if has_statements else None
        return Spent(used, *await self._connection.fetchrow(_COUNTERS), statements)


class TableSize(NamedTuple):
    """Of a table of schema `flow`: bytes of rows and of indexes, rows that are dead, and how often it was vacuumed."""

    name: str
    rows: int
    indexes: int
    dead: int
    vacuums: int


async def table_sizes(connection: asyncpg.Connection) -> list[TableSize]:
    """The largest first."""
    return [TableSize(*row) for row in await connection.fetch(_TABLES)]
