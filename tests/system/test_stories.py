"""Four stories of a change, through Kafka, Postgres, processes and pages: each ends as the pure functions say."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.flow.statistics.sealing import NotShown
from shared.runtime.instants import moment
from tests.support.waiting import eventually
from tests.system.stories.replay import CATCH_UP, ReplayedStory, draft_of, replayed
from tests.system.stories.stories import DECAYED, ENDS, IMPROVED, KEY, RESTORED, UNCHANGED, Story

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
_STUDY = "SELECT verdict, reason, week, hold, verdict_at FROM report.study WHERE ticket = $1"
_SEALED = "SELECT ground::text, hash FROM report.sealed_plan WHERE ticket = $1"
_CHANGES = "SELECT change, at, actor FROM report.change WHERE ticket = $1 ORDER BY seq"


async def planned(company: ReplayedStory) -> int:
    """Play until a plan can be written, seal it, and begin to carry it out. Returns the ticket."""
    story = company.story
    await company.play(sealing_day(story))
    ((number, _, _),) = await eventually(lambda: company.tickets(KEY), bool, CATCH_UP)
    await company.ask(number, "draft", **draft_of(story))
    await company.ask(number, "seal", draft_version="1", confirmed="yes")
    await company.ask(number, "start")
    return number


def sealing_day(story: Story) -> datetime:
    """The Thursday before the change."""
    return story.in_force - timedelta(days=4)


async def state(company: ReplayedStory, number: int) -> tuple[str, str | None]:
    return next((state, outcome) for one, state, outcome in await company.tickets(KEY) if one == number)


async def is_worked_on(company: ReplayedStory, number: int) -> bool:
    """Whether a lost gain has opened the ticket again, or a newer ticket of the problem is open already."""
    return any(state != "closed" for one, state, _ in await company.tickets(KEY) if one >= number)


async def verdict(company: ReplayedStory, number: int) -> dict[str, Any]:
    """The study of the ticket, once it has a verdict."""

    async def found() -> dict[str, Any]:
        row = await company.connection.fetchrow(_STUDY, number)
        return dict(row) if row else {"verdict": None}

    return await eventually(found, lambda study: study["verdict"] is not None, CATCH_UP)


async def check_sealed(company: ReplayedStory, number: int) -> None:
    """The seal holds the weeks, the memory and the smallest effect that the pure functions find."""
    row = await company.connection.fetchrow(_SEALED, number)
    assert row is not None
    known, weeks = company.story.planned(sealing_day(company.story)), company.story.at_change.statistics.weeks
    ground = json.loads(row["ground"])
    assert ground["trigger"] == [weeks.name(week) for week in company.story.opening.trigger]
    assert ground["opened"] == ground["trigger"][-1]
    assert len(row["hash"]) == 64
    if known.seal is None:
        assert ground["measure"]["untestable"] == NotShown.TOO_FEW_WEEKS_BEFORE
        return
    measure = ground["measure"]
    assert measure["reference"] == [weeks.name(week + 1) for week in known.weeks.reference]
    assert measure["history"] == [weeks.name(week + 1) for week in known.weeks.history]
    assert measure["phi"] == pytest.approx(known.seal.phi)
    assert float(Fraction(ground["smallest"])) == pytest.approx(float(known.smallest or 0))


async def check_verdict(company: ReplayedStory, number: int) -> None:
    """Nothing is said before the week in which the pure functions say it, and then the same."""
    story = company.story
    ((week, conclusion),) = ENDS[story.name].conclusions.items()
    await company.play_weeks(week - 1)
    await eventually(lambda: state(company, number), lambda now: now == ("verifying", None), CATCH_UP)
    await company.play_weeks(week)
    found = await verdict(company, number)
    assert (found["verdict"], found["reason"], found["week"]) == conclusion
    assert await state(company, number) == ("closed", conclusion.verdict)
    weeks = story.at_end.statistics.weeks
    over = moment(weeks.end(weeks.of(round(story.in_force.timestamp() * 1_000_000)) + week - 1))
    assert over <= found["verdict_at"] < over + timedelta(days=1)


async def changes(company: ReplayedStory, number: int) -> list[tuple[str, str]]:
    return [(row["change"], row["actor"]) for row in await company.connection.fetch(_CHANGES, number)]


@pytest.mark.parametrize("story", [UNCHANGED, RESTORED], ids=lambda story: story.name)
async def test_a_change_that_is_not_shown(kafka: str, dsn: str, prefix: str, tmp_path: Path, story: Story) -> None:
    async with replayed(story, kafka, dsn, prefix, tmp_path) as company:
        number = await planned(company)
        await check_sealed(company, number)
        await check_verdict(company, number)
        await company.ask(number, "decide", decision="dropped", reason="It cost more than it brought.")
        told = [one for one in await changes(company, number) if one[0] not in ("opened", "grew", "updated", "cleared")]
        people, system = "person", "system"
        assert told == [
            ("acknowledged", people),
            ("planned", people),
            ("started", people),
            ("verifying", system),
            ("verdict", system),
            ("dropped", people),
        ]


@pytest.mark.parametrize("story", [IMPROVED, DECAYED], ids=lambda story: story.name)
async def test_a_change_that_works(kafka: str, dsn: str, prefix: str, tmp_path: Path, story: Story) -> None:
    hold = ENDS[story.name].hold

    async with replayed(story, kafka, dsn, prefix, tmp_path) as company:
        number = await planned(company)
        await check_sealed(company, number)
        await check_verdict(company, number)
        await company.ask(number, "decide", decision="adopted", reason="")
        await company.play_weeks(story.weeks)

        async def held() -> str | None:
            return (await verdict(company, number))["hold"]

        assert await eventually(held, bool, CATCH_UP) == hold
        assert (hold, "system") in await changes(company, number)
        if story is DECAYED:
            assert await eventually(partial(is_worked_on, company, number), bool, CATCH_UP)
        else:
            assert await state(company, number) == ("closed", "verified")
            assert "reopened" not in [one for one, _ in await changes(company, number)]
