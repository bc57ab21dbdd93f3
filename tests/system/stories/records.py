"""What the database keeps of the ticket of a story, against what the pure functions find."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from shared.flow.statistics.sealing import NotShown
from shared.flow.statistics.verification import Verification
from shared.runtime.instants import micros, moment
from tests.system.stories.replay import Connection
from tests.system.stories.stories import ENDS, Story

_STUDY = "SELECT verdict, reason, week, verdict_at FROM report.study WHERE ticket = $1"
_SEALED = "SELECT ground::text, hash FROM report.sealed_plan WHERE ticket = $1"
_CHANGES = "SELECT change, actor FROM report.change WHERE ticket = $1 ORDER BY seq"
# What the flow does to a ticket meanwhile.
_OF_THE_FLOW = {"opened", "grew", "updated", "cleared", "reopened"}
_BY_SYSTEM = {"verifying", "verdict", "held", "decayed"}


class TicketRecord:
    """One ticket in schema `report`."""

    def __init__(self, connection: Connection, story: Story, number: int) -> None:
        self.number = number
        self._connection, self._story = connection, story

    async def check_sealed(self) -> str:
        """The seal holds the weeks, the memory and the smallest effect of the pure functions. Returns its hash."""
        row = await self._connection.fetchrow(_SEALED, self.number)
        assert row is not None
        weeks, opening = self._story.at_change.statistics.weeks, self._story.opening
        ground = json.loads(row["ground"])
        assert ground["trigger"] == [weeks.name(week) for week in opening.trigger]
        assert ground["opened"] == ground["trigger"][-1]
        self._check_measure(ground, self._story.planned(self._story.sealing_day))
        return str(row["hash"])

    def _check_measure(self, ground: dict[str, Any], known: Verification) -> None:
        weeks, measure = self._story.at_change.statistics.weeks, ground["measure"]
        if known.seal is None:
            assert measure["untestable"] == NotShown.TOO_FEW_WEEKS_BEFORE
            return
        assert measure["reference"] == [weeks.name(week + 1) for week in known.weeks.reference]
        assert measure["history"] == [weeks.name(week + 1) for week in known.weeks.history]
        assert measure["phi"] == pytest.approx(known.seal.phi)
        assert float(Fraction(ground["smallest"])) == pytest.approx(float(known.smallest or 0))

    async def check_verdict(self) -> None:
        """The verdict is that of the pure functions, of the week in which they have it."""
        row, story = await self._connection.fetchrow(_STUDY, self.number), self._story
        ((week, conclusion),) = ENDS[story.name].conclusions.items()
        assert row is not None
        assert (row["verdict"], row["reason"], row["week"]) == conclusion
        weeks = story.at_end.statistics.weeks
        over = moment(weeks.end(weeks.of(micros(story.in_force)) + week - 1))
        assert over <= row["verdict_at"] < over + timedelta(days=1)

    async def check_changes(self, *after_verdict: str) -> None:
        """Each step is in the history once, in order, with who made it: a person, whoever it was, or the system."""
        steps = ("acknowledged", "planned", "started", "verifying", "verdict", *after_verdict)
        rows = await self._connection.fetch(_CHANGES, self.number)
        assert [tuple(row) for row in rows if row["change"] not in _OF_THE_FLOW] == [
            (step, "system" if step in _BY_SYSTEM else "person") for step in steps
        ]
