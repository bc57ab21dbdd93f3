"""A real enricher fills gaps, makes no needless request, finds what was lost, and publishes nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.simulator.company import PIPELINES
from services.simulator.model import DealChange
from shared.contracts.events import DealData, DealEvent
from shared.contracts.stages import StageEvent, StageOutcome
from shared.contracts.topics import ALL_TOPICS, EVENTS, STAGES, dead
from tests.integration.enricher.support import EnricherRig, stays
from tests.integration.intake.test_line_to_kafka import records
from tests.support.crms.base import FakeCrm, Trouble
from tests.support.crms.world import FAKES, running
from tests.support.processes import CommandProcess, ServiceProcess
from tests.support.waiting import eventually
from tests.unit.connectors.test_round_trip import history, plain

PARTITIONS = next(topic.partitions for topic in ALL_TOPICS if topic.name == STAGES)
EVERY = pytest.mark.parametrize("crm", sorted(FAKES), indirect=True)


@pytest.fixture
def crm(request: pytest.FixtureRequest) -> Iterator[FakeCrm]:
    """HubSpot, where a test does not ask for others."""
    with running(getattr(request, "param", "hubspot")) as fake:
        yield fake


@pytest.fixture
async def line(kafka: str, dsn: str, prefix: str, tmp_path: Path, crm: FakeCrm) -> EnricherRig:
    return EnricherRig(kafka, dsn, prefix, tmp_path, crm)


@asynccontextmanager
async def serving(line: EnricherRig, **settings: str) -> AsyncIterator[ServiceProcess]:
    process = line.replica(**settings)
    try:
        yield process
    finally:
        assert await asyncio.to_thread(process.stop) == 0


def of_deals(count: int, skip: int = 0, newest: bool = False) -> list[DealChange]:
    """All that happens to a few deals that move at least twice."""
    moved = [one.deal for one in history() if not one.created]
    often = sorted(deal for deal in set(moved) if moved.count(deal) >= 2)
    deals = (often[::-1] if newest else often)[skip : skip + count]
    return [one for one in history() if one.deal in deals]


def last_of(happenings: list[DealChange]) -> list[DealChange]:
    """The last happening of each deal."""
    return list({one.deal: one for one in happenings}.values())


def subject(line: EnricherRig, deal: int) -> str:
    return f"crm:{line.crm.number(deal)}"


def thin(line: EnricherRig, happenings: list[DealChange]) -> list[DealEvent]:
    """The event of a webhook that only has a deal's stage."""
    return [
        DealEvent.model_validate(
            {
                "id": f"hook/{one.deal}",
                "source": "crm",
                "type": "andon.deal.moved",
                "subject": subject(line, one.deal),
                "time": one.time,
                "data": {"stage": one.properties["dealstage"]},
            }
        )
        for one in last_of(happenings)
    ]


def all_in(states: dict[str, str], count: int, state: str) -> bool:
    return len(states) == count and set(states.values()) == {state}


@EVERY
async def test_a_thin_deal_is_completed_with_its_history(line: EnricherRig) -> None:
    some = of_deals(3)
    line.crm.take(some)
    await line.publish(thin(line, some))
    async with serving(line) as service:
        await line.states(lambda states: all_in(states, 3, "whole"))
        text = service.get("/metrics")

    assert stays(await line.told()) == stays(plain(some))
    assert 'andon_enricher_deals_total{result="read",source="crm"} 3.0' in text
    named = {e.subject for e in await line.events() if e.data.name}
    assert named == {subject(line, one.deal) for one in some}


async def test_without_credentials_nothing_is_asked_and_gaps_stay_marked(line: EnricherRig) -> None:
    some = of_deals(2)
    line.crm.take(some)
    line.credentials(asked=False)
    await line.publish(thin(line, some))
    async with serving(line):
        await line.states(lambda states: all_in(states, 2, "thin"))
    assert line.asked() == []

    line.credentials()
    async with serving(line):
        await line.states(lambda states: all_in(states, 2, "whole"))


async def test_a_deal_that_webhooks_complete_is_not_asked_for(line: EnricherRig) -> None:
    some = of_deals(3)
    line.crm.take(some)
    async with serving(line, patience_seconds="3"):
        await line.publish(thin(line, some))
        await line.states(lambda states: all_in(states, 3, "wanted"))
        await line.webhooks(some)
        await line.states(lambda states: all_in(states, 3, "whole"))
    assert line.asked() == []


async def test_an_outage_and_limits_are_waited_for(line: EnricherRig, monkeypatch: pytest.MonkeyPatch) -> None:
    some = of_deals(2)
    line.crm.take(some)
    line.crm.stop()
    await line.publish(thin(line, some))
    async with serving(line) as service:

        async def deferred() -> bool:
            return 'result="deferred",source="crm"} 2.0' in service.get("/metrics")

        await eventually(deferred)
        line.crm.troubles += [Trouble(429, {"Retry-After": "1"}), Trouble(502)]
        line.crm.start()
        await line.rows("UPDATE crm.deal SET due = now()")
        await line.states(lambda states: all_in(states, 2, "whole"))
    assert not line.crm.troubles


async def test_refused_credentials_are_told_once_and_left_alone_for_a_while(line: EnricherRig) -> None:
    line.crm.take(of_deals(3))
    line.crm.allowed = False
    await line.publish(thin(line, of_deals(2)))
    async with serving(line) as service:

        async def suspended() -> bool:
            return 'andon_enricher_suspended{source="crm"} 1.0' in service.get("/metrics")

        await eventually(suspended)
        tried = len(line.asked())
        await line.publish(thin(line, of_deals(1, skip=2)))
        await line.rows("UPDATE crm.deal SET due = now()")
        await line.states(lambda states: all_in(states, 3, "wanted"))
    assert len(line.asked()) == tried
    assert service.log.read_text().count("rejects our credentials") == 1


async def test_credentials_that_the_crm_takes_again_need_no_restart(line: EnricherRig) -> None:
    line.crm.take(of_deals(2))
    line.crm.allowed = False
    await line.publish(thin(line, of_deals(2)))
    async with serving(line, refused_seconds="0.5") as service:

        async def refused_again() -> bool:
            await line.rows("UPDATE crm.deal SET due = now()")
            return len(line.asked()) > 2

        await eventually(refused_again)
        assert 'andon_enricher_suspended{source="crm"} 1.0' in service.get("/metrics")
        line.crm.allowed = True
        await line.rows("UPDATE crm.deal SET due = now()")
        await line.states(lambda states: all_in(states, 2, "whole"))

        async def taken_again() -> bool:
            return 'andon_enricher_suspended{source="crm"} 0.0' in service.get("/metrics")

        await eventually(taken_again)
    assert service.log.read_text().count("rejects our credentials") == 1


async def test_a_deal_that_the_crm_does_not_know_is_asked_for_once(line: EnricherRig) -> None:
    some = of_deals(2)
    known, unknown = sorted({one.deal for one in some})
    line.crm.take(one for one in some if one.deal == known)
    await line.publish(thin(line, some))
    async with serving(line):
        states = await line.states(lambda states: set(states.values()) == {"whole", "refused"})
        tried = len(line.asked())
        await line.publish(thin(line, of_deals(1, skip=2)))
        await line.states(lambda states: sorted(states.values()) == ["refused", "refused", "whole"])
    assert states[str(known)] == "whole"
    ((answer,),) = await line.rows(f"SELECT answer FROM crm.deal WHERE deal = '{unknown}'")
    assert "does not know" in answer
    assert len(line.asked()) <= 2 * tried


async def test_replicas_share_the_reading(line: EnricherRig) -> None:
    some = of_deals(40)
    line.crm.take(some)
    async with serving(line), serving(line) as other:
        await line.publish(thin(line, some))
        await line.states(lambda states: all_in(states, 40, "whole"))
        assert other.get("/readyz")

    mine = [event for event in await line.events() if event.id.startswith("api/")]
    assert len({(event.subject, event.id) for event in mine}) == len(mine), "each deal was told once"


@EVERY
async def test_a_lost_webhook_and_a_deletion_are_found(line: EnricherRig) -> None:
    now = datetime.now(UTC)
    some = shifted(of_deals(8, newest=True), now)
    early, late = some[:-1], some[-1:]
    line.crm.take(early)
    await line.webhooks(early)
    async with serving(line, reconcile_seconds="1"):
        await line.states(lambda states: len(states) == len({one.deal for one in early}))
        line.crm.take(late)
        gone = next(k.deal.id for k in line.crm.deals.values() if k.deal.status == "open" and k.deal.id != late[0].deal)
        deleted = (now - timedelta(seconds=1)).replace(microsecond=0)
        line.crm.delete(gone, deleted)
        expected = stays(plain([one for one in some if one.deal != gone]))

        async def seen() -> tuple[set[tuple[Any, ...]], list[int | None]]:
            found = stays(await line.told())
            others = {visit for visit in found if visit[0] != str(gone)}
            return others, sorted(left or 0 for deal, *_, left in found if deal == str(gone))

        _, ends = await eventually(seen, lambda found: found[0] == expected and found[1][-1:] == [seconds(deleted)])
        assert 0 not in ends, "it has left every stage"


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def shifted(some: list[DealChange], end: datetime) -> list[DealChange]:
    """The same, ending two minutes before `end`, in whole milliseconds."""
    by = end - timedelta(minutes=2) - some[-1].time
    by = timedelta(seconds=int(by.total_seconds()))
    return [DealChange(one.time + by, one.deal, one.created, one.properties) for one in some]


async def test_a_pass_by_hand_tells_what_was_lost(line: EnricherRig) -> None:
    some = shifted(of_deals(3), datetime.now(UTC))
    line.crm.take(some)
    await finished(line.andon("reconcile", "--source", "crm"))

    day = datetime.now(UTC) - timedelta(days=1)
    lately = {subject(line, one.deal) for one in some if one.time > day}
    assert lately
    assert {event.subject for event in await line.events()} >= lately


@pytest.fixture
async def detector(line: EnricherRig) -> AsyncIterator[ServiceProcess]:
    process = ServiceProcess("detector", line.environment, line.folder).start().ready()
    yield process
    assert await asyncio.to_thread(process.stop) == 0


@EVERY
async def test_a_back_fill_that_is_killed_and_run_again_gives_what_one_run_gives(
    line: EnricherRig, detector: ServiceProcess
) -> None:
    some = of_deals(20)
    line.crm.take(some)
    line.crm.page = 3
    arguments = ("backfill", "--source", "crm", "--since", "2020-01-01")
    line.crm.slow = 0.05
    process = line.andon(*arguments)

    async def cursor() -> str:
        return "".join(row["cursor"] for row in await line.rows("SELECT cursor FROM crm.crm_cursor"))

    await eventually(cursor)
    await asyncio.to_thread(process.kill)
    first = await line.events()
    assert (await line.rows("SELECT held FROM flow.evaluation_state"))[0]["held"], "half a history is not judged"
    line.crm.slow = 0.0
    _, once_more = [await finished(line.andon(*arguments)) for _ in range(2)]
    assert not (await line.rows("SELECT held FROM flow.evaluation_state"))[0]["held"]

    events = await line.told()
    assert 0 < len(first) < len({(event.deal, event.key.id) for event in events})
    assert stays(events) == stays(plain(some))
    assert "nothing changed" in once_more
    rows = await line.rows("SELECT count(*) AS visits FROM flow.visit")
    assert rows[0]["visits"] == len(stays(plain(some)))
    past = await line.rows("SELECT historic FROM flow.problem WHERE cleared_at IS NOT NULL")
    assert past
    assert all(row["historic"] for row in past)


async def test_records_that_cannot_be_read_are_counted_and_no_page_of_them_is_lost(
    line: EnricherRig, detector: ServiceProcess
) -> None:
    some = of_deals(3)
    line.crm.take(some)
    broken = {"createdAt": None, "properties": {"hs_lastmodifieddate": "2026-02-01T00:00:00Z"}}
    line.crm.broken = dict.fromkeys(line.crm.deals, broken)
    said = await finished(line.andon("backfill", "--source", "crm", "--since", "2020-01-01"))

    assert "3 deals read, 0 events published" in said
    assert "3 records could not be read: andon dead-letters list" in said
    assert len(await records(line.kafka, line.prefix + dead(EVENTS), 1)) == 3
    assert not (await line.rows("SELECT held FROM flow.evaluation_state"))[0]["held"]


async def finished(process: CommandProcess) -> str:
    code, said = await process.ended()
    assert code == 0, said
    return said


@EVERY
async def test_stages_are_told_by_name_and_again_when_one_is_new(line: EnricherRig) -> None:
    line.crm.take(of_deals(1))
    async with serving(line):

        async def named() -> list[StageEvent]:
            found = await records(line.kafka, line.prefix + STAGES, PARTITIONS)
            return [StageEvent.model_validate_json(record.value) for record in found]

        stages = [stage.id for pipeline in PIPELINES for stage in pipeline.stages]
        told = await eventually(named, lambda events: {*stages} <= {event.data.stage for event in events})
        first = {(event.data.pipeline, event.data.stage): event.data for event in told}
        some = next(data for (_, stage), data in first.items() if stage == stages[1])
        assert (some.name, some.outcome) == (stages[1].title(), StageOutcome.OPEN)
        await line.publish([thin(line, of_deals(1))[0].model_copy(update={"data": DealData(stage="brand-new")})])
        await eventually(named, lambda events: len(events) == 2 * len(told))


async def test_what_cannot_be_asked_is_explained(line: EnricherRig) -> None:
    line.credentials(asked=False)
    code, said = await line.andon("backfill", "--source", "crm", "--since", "2020-01-01").ended()
    assert code == 1
    assert "crm: has no `api`" in said

    line.credentials(token="another-token")
    for command in (("backfill", "--since", "2020-01-01"), ("reconcile",)):
        _, said = await line.andon(*command, "--source", "crm").ended()
        assert "401" in said
        assert "docs/sources/hubspot.md" in said
        assert "Evaluation is held" not in said

    line.credentials(token="env:NO_SUCH_VARIABLE")
    code, said = await line.andon("enricher").ended()
    assert code == 1
    assert "sources.crm.api.token" in said
    assert "NO_SUCH_VARIABLE" in said
