"""Studies behind a real Kafka: two services, in the clock of the log, one of them killed on the way."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from services.tickets.store import studies, tickets
from services.tickets.study.record import Study
from shared.contracts.topics import RELOCKS, TICKETS
from shared.flow.statistics.interim_looks import WINDOW
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.postgres.pool import Pool
from shared.runtime.instants import moment
from tests.integration.tickets.records import TOPICS
from tests.integration.tickets.studied import StudyCase, StudyParts, judged
from tests.support.problems import POLICY, event
from tests.support.processes import ServiceProcess
from tests.support.topics import values_of
from tests.support.variation_cases import SeriesCase, cases, same
from tests.support.waiting import eventually
from tests.support.week_messages import WEEKS

NAMES = ("no difference", "balancing measure withholds", "held")


class PlayedLog:
    """Puts messages on their topics, and waits until the services have handled them."""

    def __init__(self, kafka: str, prefix: str, pool: Pool) -> None:
        self._publisher, self._prefix, self._pool = Publisher(KafkaAccess(kafka), deadline_seconds=60), prefix, pool

    async def play(self, messages: Iterable[Any]) -> None:
        await self._publisher.publish_all(
            [
                OutgoingMessage(self._prefix + TOPICS[type(one).__name__], one.subject.encode(), one.to_json())
                for one in messages
            ]
        )

    async def count(self, query: str, expected: int) -> None:
        async def found() -> int:
            return int(await self._pool.fetchval(query))

        await eventually(found, lambda number: number == expected)

    async def stop(self) -> None:
        await self._publisher.stop()


def service(kafka: str, dsn: str, prefix: str, folder: Path) -> ServiceProcess:
    (folder / "policy.yaml").write_text(POLICY)
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_POLICY": str(folder / "policy.yaml"),
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_CLOCK": "log",
    }
    return ServiceProcess("tickets", environment, folder)


async def play_whole(live: StudyCase, log: PlayedLog, parts: StudyParts, both: list[ServiceProcess]) -> None:
    """Weeks before, ticket, plan, change, and weeks after in any order, while one of both services is killed."""
    before = live.points(range(live.weeks_before + 1))
    await log.play([*before, judged(moment(WEEKS.start(live.weeks_before + 1))), event(live.problem())])
    await log.count("SELECT count(*) FROM weekly_point", len(before))
    await log.count("SELECT count(*) FROM ticket CROSS JOIN judged", 1)
    await parts.seal(1, live.draft())
    await log.play([*live.points([live.first - 1]), judged(live.changes_at)])
    after = live.points(live.weeks_after)
    random.Random(live.weeks_before).shuffle(after)
    await log.play(after[: len(after) // 2])
    both[0].kill()
    await log.play(after[len(after) // 2 :])
    both[0].start()


@pytest.mark.slow
@pytest.mark.parametrize("case", [one for one in cases("verification") if one.name in NAMES], ids=lambda one: one.name)
async def test_the_services_answer_as_andon_verify_does(
    case: SeriesCase, kafka: str, dsn: str, prefix: str, pool: Pool, tmp_path: Path
) -> None:
    live, log, parts = StudyCase.of(case.question), PlayedLog(kafka, prefix, pool), StudyParts(pool)
    both = [service(kafka, dsn, prefix, tmp_path).start() for _ in range(2)]
    try:
        for one in both:
            one.ready()
        await play_whole(live, log, parts, both)

        async def study() -> Study | None:
            return await studies.newest(pool, 1)

        weeks = len(live.weeks_after)
        found = await eventually(study, lambda one: bool(one and one.findings and one.findings.weeks_over == weeks))
        assert found is not None
        assert found.findings is not None
        answer = found.findings.answer
        assert all(same(answer[name], value) for name, value in case.expected.items()), (answer, case.expected)
        changes = [row["change"] for row in await tickets.history(pool, 1)]
        assert changes[:5] == ["opened", "acknowledged", "planned", "verifying", "verdict"]
        size = ["updated"] if case.expected["week"] < WINDOW else []
        assert changes[5:] == size + [one for one in (case.expected["hold"],) if one]
        await log.count("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM ticket_message)", 0)
        assert len(await values_of(kafka, prefix + TICKETS)) == len(changes)
        is_verified = case.expected["verdict"] == "verified"
        assert bool(await values_of(kafka, prefix + RELOCKS)) == is_verified
    finally:
        for one in both:
            one.stop()
        await log.stop()
