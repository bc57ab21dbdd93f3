"""Versions of the policy: what is found follows from the history and the versions, whenever either becomes known."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.detector.evaluate.evaluator import Evaluator
from services.detector.evaluate.policy_switch import PolicySwitch
from services.detector.publish.problems import ProblemPublisher
from services.detector.settings import DetectorSettings
from services.detector.store import evaluation
from shared.contracts.events import DealEvent
from shared.contracts.policies import PolicyVersionData
from shared.policy import Policy, parse
from shared.postgres.pool import Pool
from shared.runtime.clock import ClockKind
from shared.runtime.instants import EPOCH
from shared.stream import policies
from tests.support.detector_store import Store, emptied, expected, moved
from tests.support.histories import at, policy_text

LATENESS, UNTIL = 8, 60
# By version: from when on it judges, and how many deals its rule allows in each stage.
VERSIONS = ((EPOCH, 2), (at(24), 0), (at(42), 1))


def text_of(most: int) -> str:
    document = policy_text([{"kind": "wip-high", "max": most}])
    return json.dumps(document | {"lateness": f"{LATENESS}s"})


def versions() -> list[PolicyVersionData]:
    return [
        PolicyVersionData(version=n, effective_at=begins, text=text_of(most))
        for n, (begins, most) in enumerate(VERSIONS, 1)
    ]


def random_moves(chance: Random) -> list[tuple[int, int, bytes]]:
    """Moves of six deals, each with when it happened and when it arrives, in seconds."""
    found = []
    for deal in range(6):
        for number, second in enumerate(sorted(chance.sample(range(UNTIL - 10), 6))):
            arrives = second + chance.randrange(LATENESS - 1)
            found.append((arrives, second, moved(deal, second, chance.choice("abx"), number)))
    return sorted(found)


def piecewise(moves: list[tuple[int, int, bytes]]) -> list[tuple[Any, ...]]:
    """Each version decides on intervals that last beyond the lateness before it, as far as the next one leaves them."""
    events = [DealEvent.model_validate_json(value) for _, _, value in moves]
    found = dict[tuple[str, datetime], tuple[Any, ...]]()
    for begins, most in VERSIONS:
        edge = begins - timedelta(seconds=LATENESS)
        found = {key: row for key, row in found.items() if row[2] is not None and row[2] <= edge}
        for row in expected(events, parse(text_of(most)), at(UNTIL))[0]:
            if row[2] is None or row[2] > edge:
                found[row[:2]] = row
    return [found[key] for key in sorted(found)]


class SwitchingStore:
    """One replica that changes over as a service does: with all its parts."""

    def __init__(self, pool: Pool, file: Path, clock: ClockKind = ClockKind.WALL) -> None:
        self._pool, self._clock = pool, clock
        self._switch = PolicySwitch(DetectorSettings(policy=file, policy_managed="browser", clock=clock))
        self.version, self._offset = -1, 0

    async def renew(self) -> None:
        """As a service looks twice a second."""
        if self.version != await self._switch.number(self._pool):
            found = await self._switch.start(self._pool)
            self.version, self.store = found.version, self._store(found.policy)

    def _store(self, policy: Policy) -> Store:
        made = Store(self._pool, policy)
        publisher = ProblemPublisher(made.ruleset)
        made.evaluator = Evaluator(made.ruleset, publisher, self._clock, edge=self._switch.edge)
        made.offset = self._offset
        return made

    async def take(self, values: list[bytes]) -> None:
        await self.store.take(values)
        self._offset = self.store.offset


async def fresh(pool: Pool, folder: Path, clock: ClockKind = ClockKind.WALL) -> SwitchingStore:
    """A replica before the first event and the first version."""
    await emptied(pool)
    await pool.execute("TRUNCATE policy_version; UPDATE evaluation_state SET policy_version = 0")
    (folder / "policy.yaml").write_text(text_of(VERSIONS[0][1]))
    return SwitchingStore(pool, folder / "policy.yaml", clock)


@pytest.fixture
async def replica(pool: Pool, tmp_path: Path) -> SwitchingStore:
    return await fresh(pool, tmp_path)


@pytest.mark.parametrize("seed", range(4))
async def test_problems_are_those_of_the_version_in_force_whenever_it_becomes_known(
    pool: Pool, replica: SwitchingStore, seed: int
) -> None:
    chance, moves = Random(seed), random_moves(Random(seed))
    # In time, late, after all that it judges, or twice and in the wrong order.
    known = [(chance.choice([0, 20, 30, 50, UNTIL]), version) for version in [*versions(), *versions()]]
    await replica.renew()
    for second in range(0, UNTIL + 1, chance.choice([1, 3, 7])):
        await policies.save(pool, [version for at_second, version in known if at_second <= second])
        await replica.take([value for arrives, _, value in moves if arrives <= second])
        moves = [move for move in moves if move[0] > second]
        await replica.store.evaluate_at(at(second))
        await replica.renew()
    await policies.save(pool, versions())
    await replica.take([value for _, _, value in moves])
    for _ in range(8):
        await replica.store.evaluate_at(at(UNTIL))
        await replica.renew()

    assert replica.version == len(VERSIONS)
    assert await replica.store.problems() == piecewise(random_moves(Random(seed)))


async def test_evaluation_stops_before_the_instant_of_a_version_and_goes_on_by_it(
    pool: Pool, replica: SwitchingStore
) -> None:
    await policies.save(pool, versions())
    await replica.renew()
    await replica.renew()
    assert replica.version == 1
    await replica.take([moved(1, 3, "a")])

    await replica.store.evaluate_at(at(30))
    assert (await evaluation.state(pool)).watermark == int(at(24).timestamp()) * 1_000_000 - 1
    assert await replica.store.problems() == []
    await replica.renew()
    await replica.store.evaluate_at(at(30))

    assert (replica.version, await replica.store.problems()) == (2, [("wip-high/p/a", at(3), None, 1)])


async def test_a_version_whose_predecessor_is_not_known_waits_for_it(pool: Pool, replica: SwitchingStore) -> None:
    await policies.save(pool, versions()[1:])
    await replica.renew()
    await replica.take([moved(1, 3, "a")])
    await replica.store.evaluate_at(at(50))
    await replica.renew()

    assert (replica.version, await replica.store.problems()) == (0, [])


async def test_by_the_clock_of_the_log_a_version_judges_from_where_the_log_was_live_and_replayed(
    pool: Pool, tmp_path: Path
) -> None:
    first, *later = versions()
    moves, step = random_moves(Random(7)), 6
    live = await fresh(pool, tmp_path, ClockKind.LOG)
    await policies.save(pool, [first])
    await live.renew()
    for second in range(0, UNTIL + 1, step):
        await live.take([value for arrives, _, value in moves if second - step < arrives <= second])
        await live.store.evaluate_at(at(second))
        # Saved when the log is there: tickets takes the log's present for now.
        await policies.save(pool, [one for one in later if one.effective_at == at(second)])
        await live.renew()
    found = await live.store.problems()
    replayed = await fresh(pool, tmp_path, ClockKind.LOG)
    await policies.save(pool, versions())
    await replayed.renew()
    await replayed.take([value for _, _, value in moves])
    for _ in versions():
        await replayed.store.evaluate_at(at(UNTIL))
        await replayed.renew()
    await replayed.store.evaluate_at(at(UNTIL))

    assert (live.version, replayed.version) == (len(VERSIONS), len(VERSIONS))
    assert found == await replayed.store.problems() == piecewise(moves)
