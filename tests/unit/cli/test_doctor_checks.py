"""What each check of `andon doctor` says of what it measured."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from services.cli.doctor.answers import Answer
from services.cli.doctor.check import Check, Site
from services.cli.doctor.checks import backup, crm, disk, rights, schema, sources
from services.cli.doctor.checks.clocks import database_finding, writers_finding
from services.cli.doctor.checks.readers import ReadPositions, findings_of
from services.cli.doctor.examine import GRACE_SECONDS, examine, health_of
from services.cli.doctor.finding import CheckFinding, Health, bad, exit_code, good, worst
from services.cli.doctor.registry import CHECKS
from shared.connectors.base.quota import Quota
from shared.postgres.migrate import SchemaState
from shared.runtime.settings import ServiceSettings

SITE = Site(ServiceSettings(), {})
ONE, TWO = TopicPartition("pipeline.events", 0), TopicPartition("pipeline.events", 1)


def check(name: str, *findings: CheckFinding, needs: tuple[str, ...] = ()) -> Check:
    async def run(site: Site) -> list[CheckFinding]:
        return list(findings)

    return Check(name, run, needs)


def test_the_worst_line_decides() -> None:
    assert worst([]) is Health.GOOD
    assert worst([Health.LOOK, Health.BAD, Health.GOOD]) is Health.BAD
    assert [exit_code(health) for health in Health] == [0, 1, 2]


def test_checks_have_names_of_their_own_and_need_only_first_ones() -> None:
    names = [one.name for one in CHECKS]
    first = {one.name for one in CHECKS if not one.needs}

    assert len(set(names)) == len(names)
    assert all(first.issuperset(one.needs) for one in CHECKS)


def test_all_limits_together_leave_time_within_20_seconds() -> None:
    needed = {name for one in CHECKS for name in one.needs}
    first = max(one.seconds for one in CHECKS if one.name in needed)
    after = max(one.seconds for one in CHECKS if one.needs)
    others = max(one.seconds for one in CHECKS)

    assert first + after + 2 * GRACE_SECONDS <= 18
    assert others + GRACE_SECONDS <= 18


def test_what_needs_a_server_that_is_away_is_not_made() -> None:
    away = check("server", bad("server", "away", "start it"))

    results = examine(SITE, [check("after", good("a", "b"), needs=("server",)), away, check("other", good("c", "d"))])

    assert [(result.name, result.waits_for, len(result.findings)) for result in results] == [
        ("after", ("server",), 0),
        ("server", (), 1),
        ("other", (), 1),
    ]
    assert health_of(results) is Health.BAD


def test_a_check_that_fails_hangs_or_blocks_is_one_bad_line() -> None:
    released = threading.Event()

    async def fails(site: Site) -> list[CheckFinding]:
        raise RuntimeError("unexpected")

    async def hangs(site: Site) -> list[CheckFinding]:
        await asyncio.Event().wait()
        return []

    async def blocks(site: Site) -> list[CheckFinding]:
        released.wait()
        return []

    checks = [Check("fails", fails), Check("hangs", hangs, seconds=0.1), Check("blocks", blocks, seconds=0.1)]
    results = examine(SITE, [*checks, check("well", good("a", "b"))])
    released.set()

    assert [[finding.text for finding in result.findings] for result in results] == [
        ["unexpected"],
        ["no answer within 0.1 s"],
        ["no answer within 0.1 s"],
        ["b"],
    ]


@pytest.mark.parametrize(
    ("ahead", "health"), [(0.2, Health.GOOD), (-0.9, Health.GOOD), (1.5, Health.LOOK), (-40, Health.BAD)]
)
def test_clocks_that_differ_are_told(ahead: float, health: Health) -> None:
    found = database_finding(timedelta(seconds=ahead))

    assert found.health is health
    assert ("ahead of" if ahead > 0 else "behind") in found.text


def test_records_from_the_future_are_told() -> None:
    assert writers_finding([]).health is Health.GOOD
    assert writers_finding([1, 3]).text.endswith("in partition 1, 3")


def test_a_position_that_stands_while_records_wait_is_bad_and_one_that_moves_is_not() -> None:
    bounds = {ONE: (0, 10), TWO: (4, 8)}
    before = ReadPositions("detector", {ONE: 3, TWO: 8})

    (stands,) = findings_of(before, before, bounds)
    (moves,) = findings_of(before, ReadPositions("detector", {ONE: 5, TWO: 8}), bounds)
    (done,) = findings_of(before, ReadPositions("detector", {ONE: 10, TWO: 0}), {ONE: (0, 10), TWO: (4, 4)})

    assert (stands.health, moves.health, done.health) == (Health.BAD, Health.GOOD, Health.GOOD)
    assert "pipeline.events/0: 7 records wait" in stands.text
    assert "5 records behind" in moves.text


def test_a_log_shorter_than_what_was_read_is_bad() -> None:
    reading = ReadPositions("detector", {ONE: 11})

    (found,) = findings_of(reading, reading, {ONE: (0, 10)})

    assert found.health is Health.BAD
    assert "ends at 10, and was read up to 11" in found.text


@pytest.mark.parametrize(
    ("state", "health", "says"),
    [
        (SchemaState("2", (), (), ()), Health.GOOD, "at 2"),
        (SchemaState("1", ("2",), (), ()), Health.BAD, "older"),
        (SchemaState("", ("1", "2"), (), ()), Health.BAD, "no tables"),
        (SchemaState("3", (), ("3",), ()), Health.BAD, "newer"),
        (SchemaState("2", (), (), ("1",)), Health.BAD, "changed"),
    ],
)
def test_schemas_of_another_version_are_told(state: SchemaState, health: Health, says: str) -> None:
    found = schema.finding_of("flow", state)

    assert found.health is health
    assert says in found.text


def test_rights_that_are_missing_are_named() -> None:
    many = rights.role_finding("detector", ["INSERT on a", "INSERT on b", "INSERT on c", "INSERT on d"])

    assert rights.role_finding("detector", []).health is Health.GOOD
    assert rights.role_finding("detector", None).health is Health.LOOK
    assert (many.health, many.text[-10:]) == (Health.BAD, "and 1 more")


def test_few_requests_that_are_left_for_today_are_pointed_out() -> None:
    assert crm.quota_finding("api", "https://crm.example", Quota(100, 5000)).health is Health.LOOK
    assert crm.quota_finding("api", "https://crm.example", Quota(4000, 5000)).health is Health.GOOD


def test_an_old_backup_and_none_are_pointed_out() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)

    assert backup.finding_of(now - timedelta(days=1), now).health is Health.GOOD
    assert backup.finding_of(now - timedelta(days=3), now).health is Health.LOOK
    assert backup.finding_of(None, now).health is Health.LOOK


async def test_a_full_disk_and_a_folder_that_is_not_there_are_bad(tmp_path: Path) -> None:
    async def health(percent: float, folder: Path) -> Health:
        site = Site(ServiceSettings(), {}, disks=(folder,), free_percent=percent)
        return (await disk.CHECK.run(site))[0].health

    assert await health(0, tmp_path) is Health.GOOD
    assert await health(100, tmp_path) is Health.BAD
    assert await health(0, tmp_path / "none") is Health.BAD


def test_sources_tell_their_last_event_and_their_refusals() -> None:
    now = time.time()
    heard = f'andon_source_last_event_timestamp_seconds{{source="a"}} {now - 60}\n'
    heard += f'andon_source_last_event_timestamp_seconds{{source="b"}} {now - 90_000}\n'
    refused = 'andon_intake_third_last_refusal_timestamp_seconds{source="b"} 20\n'
    refused += 'andon_intake_last_genuine_timestamp_seconds{source="b"} 10\n'

    events = sources.last_events(["a", "b", "c"], Answer(200, heard), now)
    refusals = sources.refused(["a", "b"], Answer(200, refused))

    assert [found.health for found in events] == [Health.GOOD, Health.LOOK, Health.LOOK]
    assert [(found.health, found.subject) for found in refusals] == [(Health.BAD, "source b")]
