"""`andon import` into a real Kafka, detector and Postgres: two real files, twice, and killed in the middle."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.importer.journal import ImportJournal
from tests.integration.importer.test_load import held
from tests.support import outside
from tests.support.processes import CommandProcess, ServiceProcess
from tests.support.waiting import eventually

VISITS = "SELECT deal, pipeline, stage, entered, left_at, known FROM flow.visit"
INCIDENTS = """
version: 1
shape: changes
columns: {deal: incident, stage: [status, substatus], time: timestamp}
pipeline: incidents
stages:
  Queued/Awaiting Assignment: awaiting_assignment
  Accepted/In Progress: in_progress
  Accepted/Assigned: assigned
  Accepted/Wait: waiting
  Accepted/Wait - Customer: waiting
  Accepted/Wait - Implementation: waiting
  Accepted/Wait - User: waiting
  Accepted/Wait - Vendor: waiting
  Completed/Resolved: resolved
won: [Completed/Closed, Completed/In Call, Completed/Cancelled]
ignore: [Unmatched/Unmatched]
"""
OPPORTUNITIES = """
version: 1
shape: last-stage
columns: {deal: opportunity_id, stage: deal_stage, created: engage_date, closed: close_date, amount: close_value}
pipeline: sales
first_stage: engaging
stages: {Engaging: engaging}
won: [Won]
lost: [Lost]
timezone: America/New_York
"""


@pytest.fixture
def incidents(tmp_path: Path) -> Path:
    """A file of 65,533 rows; but for `make proofs`, its first 20,000."""
    whole = outside.data("bpic2013-incidents", "events.csv.gz")
    if outside.IS_WHOLE:
        return whole
    with gzip.open(whole, "rb") as lines, gzip.open(tmp_path / whole.name, "wb", compresslevel=1) as part:
        part.writelines(islice(lines, 20_001))
    return tmp_path / whole.name


@pytest.fixture
def opportunities() -> Path:
    return outside.data("maven-crm-opportunities", "sales_pipeline.csv.gz")


class Place:
    """One database and prefix, with a detector, and what an import of a file there is started with."""

    def __init__(self, kafka: str, dsn: str, prefix: str, folder: Path) -> None:
        self.dsn, self.folder = dsn, folder
        stages = ", ".join(f"{{id: {name}}}" for name in ("awaiting_assignment", "in_progress", "resolved"))
        (folder / "policy.yaml").write_text(
            "version: 1\npipelines:\n  incidents:\n    name: I\n    owner: {name: O, mail: o@x.example}\n"
            f"    stages: [{stages}]\n    rules: [{{kind: wip-high, stage: awaiting_assignment, max: 20, hold: 1d}}]\n"
        )
        self.environment = {
            "ANDON_KAFKA": kafka,
            "ANDON_POSTGRES": dsn,
            "ANDON_TOPIC_PREFIX": prefix,
            "ANDON_POLICY": str(folder / "policy.yaml"),
        }
        self.detector = ServiceProcess("detector", self.environment, folder)

    def start(self, file: Path, mapping: str, *more: str) -> CommandProcess:
        (self.folder / "mapping.yaml").write_text(mapping)
        places = ("--mapping", str(self.folder / "mapping.yaml"), "--folder", str(self.folder))
        return CommandProcess(("import", str(file), "--source", "crm", *places, *more), self.environment, self.folder)

    async def let_in(self, file: Path, mapping: str, *more: str) -> tuple[int, str]:
        """The exit code and the output."""
        return await self.start(file, mapping, *more).ended()

    async def fetch(self, query: str) -> list[Any]:
        connection = await asyncpg.connect(self.dsn)
        rows = await connection.fetch(query)
        await connection.close()
        return [tuple(row) for row in rows]


@pytest.fixture
async def place(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> Any:
    found = Place(kafka, dsn, prefix, tmp_path)
    found.detector.start().ready()
    yield found
    found.detector.stop()


def rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def visits_of_incidents(path: Path) -> set[Any]:
    """Read by brute force, from the description of the file: each deal's rows in order of time."""
    meanings = {
        "Awaiting Assignment": "awaiting_assignment",
        "In Progress": "in_progress",
        "Assigned": "assigned",
        "Resolved": "resolved",
    }
    moves: dict[str, list[tuple[datetime, int, str]]] = {}
    for row in rows(path):
        if row["status"] != "Unmatched":
            stage = meanings.get(row["substatus"], "waiting" if row["substatus"].startswith("Wait") else "")
            moves.setdefault(row["incident"], []).append((datetime.fromisoformat(row["timestamp"]), not stage, stage))
    found = set()
    for deal, made in moves.items():
        current: tuple[datetime, str] | None = None
        for at, _, stage in sorted(made, key=lambda move: move[:2]):
            if current is not None and current[1] == stage:
                continue
            if current is not None and current[0] < at:
                found.add((f"crm:{deal}", "incidents", current[1], current[0], at, True))
            current = (at, stage) if stage else None
        if current is not None:
            found.add((f"crm:{deal}", "incidents", current[1], current[0], None, True))
    return found


def events_of(path: Path) -> int:
    """The rows that are imported: all with a status that the mapping does not ignore."""
    return sum(row["status"] != "Unmatched" for row in rows(path))


def ambiguous(path: Path) -> set[str]:
    """Incidents with two states at one instant: only the order of the file says which came first."""
    seen: dict[tuple[str, str], set[str]] = {}
    for row in rows(path):
        seen.setdefault((row["incident"], row["timestamp"]), set()).add(row["status"] + row["substatus"])
    return {f"crm:{deal}" for (deal, _), states in seen.items() if len(states) > 1}


async def test_a_row_for_each_change_twice(place: Place, incidents: Path) -> None:
    code, said = await place.let_in(incidents, INCIDENTS)
    assert code == 0, said
    number = events_of(incidents)
    assert f"{number} rows are {number} events" in said

    unclear = ambiguous(incidents)
    expected = {visit for visit in visits_of_incidents(incidents) if visit[0] not in unclear}
    found = set(await place.fetch(VISITS))
    assert {visit for visit in found if visit[0] not in unclear} == expected
    assert len(expected) > number / 2.2
    problems = await place.fetch("SELECT historic, cleared_at FROM flow.problem WHERE cleared_at IS NOT NULL")
    assert problems
    assert all(historic for historic, _ in problems)

    before = await place.fetch("SELECT count(*) FROM flow.event")
    told = await place.fetch("SELECT * FROM flow.problem ORDER BY key, opened_at")
    code, said = await place.let_in(incidents, INCIDENTS)
    assert code == 0, said
    assert await place.fetch("SELECT count(*) FROM flow.event") == before
    assert set(await place.fetch(VISITS)) == found
    assert await place.fetch("SELECT * FROM flow.problem ORDER BY key, opened_at") == told


async def test_a_row_for_each_deal(place: Place, opportunities: Path) -> None:
    code, said = await place.let_in(opportunities, OPPORTUNITIES)

    assert code == 1, said
    assert "500 rows have faults and were not imported" in said
    report = (place.folder / "sales_pipeline.csv.gz.rejected.csv").read_text().splitlines()
    assert len(report) == 501
    assert report[1] == '8302,engage_date,,"is empty, as are all dates of the row; fill in when it was"'
    expected = set()
    for row in rows(opportunities):
        if row["engage_date"]:
            left = day(row["close_date"]) if row["deal_stage"] in ("Won", "Lost") else None
            expected.add((f"crm:{row['opportunity_id']}", "sales", "engaging", day(row["engage_date"]), left, True))
    assert {
        (deal, pipeline, stage, entered, left and left.replace(microsecond=0), known)
        for deal, pipeline, stage, entered, left, known in await place.fetch(VISITS)
    } == expected
    assert len(expected) == 8300


def day(text: str) -> datetime:
    from zoneinfo import ZoneInfo

    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)


async def test_strict_lets_nothing_in_where_a_row_is_bad(place: Place, opportunities: Path) -> None:
    code, said = await place.let_in(opportunities, OPPORTUNITIES, "--strict")

    assert code == 1
    assert "500 of 8800 rows have faults, so nothing was published" in said
    assert await place.fetch("SELECT count(*) FROM flow.event") == [(0,)]
    assert await held(place.dsn) is False


async def test_killed_in_the_middle_it_goes_on(place: Place, incidents: Path) -> None:
    journal = place.folder / "events.csv.gz.import.json"
    number = events_of(incidents)
    for least in (number // 30, number // 3, number // 4 * 3):
        process = place.start(incidents, INCIDENTS)

        async def far_enough(process: CommandProcess = process, least: int = least) -> bool:
            return process.has_ended() or (
                journal.exists() and ImportJournal.model_validate_json(journal.read_text()).rows >= least
            )

        await eventually(far_enough, within=120)
        assert not process.has_ended(), "it was over before it was killed"
        process.kill()
        assert await held(place.dsn) is True
    rows_before = ImportJournal.model_validate_json(journal.read_text()).rows

    code, said = await place.let_in(incidents, INCIDENTS)

    assert code == 0, said
    assert f"Continuing an import that was interrupted after {rows_before} rows." in said
    assert f"{number} rows are {number} events" in said
    assert await held(place.dsn) is False
    assert json.loads(journal.read_text())["done"] is True
    code, said = await place.let_in(incidents, INCIDENTS, "--dry-run", "--out", str(place.folder / "all"))
    assert code == 0, said
    assert f"would be {number} events" in said
    with (place.folder / "all").open() as lines:
        meant = {(one["subject"], one["id"]) for one in map(json.loads, lines)}
    assert set(await place.fetch("SELECT deal, id FROM flow.event")) == meant


async def test_cut_off_after_the_last_row_it_still_comes_to_its_end(place: Place) -> None:
    """Everything is published but not yet read: the continued run has no row left, and must still end the wait."""
    table = place.folder / "deals.csv"
    table.write_text("id,stage,at\n1,in_progress,2026-03-04T10:00:00Z\n1,resolved,2026-03-05T10:00:00Z\n")
    mapping = "version: 1\nshape: changes\ncolumns: {deal: id, stage: stage, time: at}\npipeline: incidents\n"
    place.detector.stop()
    process = place.start(table, mapping)
    journal = place.folder / "deals.csv.import.json"

    async def all_safe() -> bool:
        return journal.exists() and ImportJournal.model_validate_json(journal.read_text()).rows == 2

    await eventually(all_safe)
    process.kill()
    assert await held(place.dsn) is True
    place.detector.start().ready()

    code, said = await place.let_in(table, mapping)

    assert (code, "interrupted after 2 rows" in said) == (0, True), said
    assert await held(place.dsn) is False
    assert len(await place.fetch(VISITS)) == 2
