"""A ticket whose change is studied: weeks played in as points of flow.measures, in the clock of the log."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from services.tickets.changes import TicketChanges
from services.tickets.domain.draft import DraftTask, PlanDraft
from services.tickets.domain.seal import SealedGround
from services.tickets.domain.ticket import Ticket
from services.tickets.plan_changes import PlanChanges
from services.tickets.present import clock_of
from services.tickets.store import studies, tickets
from services.tickets.study.loop import StudyLoop
from services.tickets.study.record import Study
from services.tickets.study.student import Student
from shared.contracts.measures import Column, MeasureData, MeasureEvent
from shared.contracts.now import NowData, NowEvent
from shared.contracts.problems import CauseClass, ProblemData, ProblemReason, SignalDetail
from shared.contracts.relocks import RelockData, RelockEvent
from shared.flow.statistics.columns import Chart
from shared.policy import Policy
from shared.postgres.pool import Pool
from shared.runtime.clock import ClockKind, SystemClock
from shared.runtime.health import Progress
from shared.runtime.instants import moment
from tests.integration.tickets.records import TicketParts, nothing, records
from tests.support.problems import event, policy, problem
from tests.support.week_messages import WEEKS

Values = Sequence[Fraction | int | None]
LOWER, HIGHER = Chart("new", "demo", Column.WIP_END), Chart("new", "", Column.THROUGHPUT)
OTHER_LOWER, OTHER_HIGHER = Chart("new", "demo", Column.OPEN_AGE_MEAN), Chart("new", "demo", Column.DEPARTURES)
OPENER = Chart("new", "demo", Column.TIME_IN_STAGE_P85)
LEAD = Chart("new", "", Column.LEAD_TIME_MEDIAN)
# A value that no study may look at: of week 0, and of the week in which the change falls.
NEVER = Fraction(123_456)
RELOCKS = "flow.relocks"


@dataclass
class StudyCase:
    """A question of `andon verify`, as what a live ticket meets. Index 0 before the change is week 1 of the log."""

    question: Mapping[str, Any]
    measure: Chart = LOWER
    charts: dict[Chart, tuple[Values, Values]] = field(default_factory=dict)

    @classmethod
    def of(cls, question: Mapping[str, Any]) -> StudyCase:
        measure = HIGHER if question["better"] == "higher" else LOWER
        found = cls(question, measure, {measure: (numbers(question["before"]), numbers(question["after"]))})
        if other := question.get("balancing"):
            lead = len(question["before"]) - len(other["before"])
            before = [*[None] * lead, *numbers(other["before"])]
            found.charts[found.balancing] = before, numbers(other["after"])
        if (opening := question.get("opening")) and "baseline" in opening:
            baseline = numbers(opening["baseline"])
            rest = len(question["before"]) - len(baseline)
            found.charts[OPENER] = [*baseline, *[None] * rest], numbers(question["after"])
        return found

    @property
    def balancing(self) -> Chart:
        return OTHER_HIGHER if self.question["balancing"]["better"] == "higher" else OTHER_LOWER

    @property
    def weeks_before(self) -> int:
        return len(self.question["before"])

    @property
    def first(self) -> int:
        """The first whole week after the change, which falls into the week before it."""
        return self.weeks_before + 2

    @property
    def changes_at(self) -> datetime:
        return moment(WEEKS.start(self.weeks_before + 1)) + timedelta(hours=36)

    def end_of(self, number: int) -> datetime:
        """The end of a week after the change, by its number from 1."""
        return moment(WEEKS.end(self.first + number - 1))

    def points(self, weeks: Iterable[int], **fields: Any) -> list[MeasureEvent]:
        """The points of all charts in some weeks of the log."""
        return [point(chart, week, self.value(chart, week), **fields) for week in weeks for chart in self.charts]

    def value(self, chart: Chart, week: int) -> Fraction | None:
        before, after = self.charts[chart]
        if week == 0 or week == self.first - 1:
            return NEVER
        return before[week - 1] if week < self.first else after[week - self.first]  # type: ignore[return-value]

    @property
    def weeks_after(self) -> range:
        return range(self.first, self.first + len(self.question["after"]))

    def draft(self) -> PlanDraft:
        predicted = self.question.get("prediction")
        size = "" if predicted is None else Fraction(predicted["size"]) * (100 if predicted["as"] == "share" else 1)
        return PlanDraft(
            aim="Fewer deals wait.",
            measure=self.measure.name,
            change="Nobody starts a deal while five are in work.",
            countermeasure="limit",
            tasks=(DraftTask(what="Say so", who="Head of sales", by=self.changes_at.date().isoformat()),),
            predicted_size=str(float(size)) if size else "",
            predicted_unit=predicted["as"] if predicted else "",
            predicted_why="Too much is begun at once.",
            change_date=self.changes_at.date().isoformat(),
            balancing=self.balancing.name if "balancing" in self.question else "",
        )

    def problem(self) -> ProblemData:
        """The problem of the ticket, with the trigger weeks, the opening and the class of the question."""
        q, opening = self.question, self.question.get("opening", {})
        is_special, trigger = q.get("class") == "special", [WEEKS.name(one + 1) for one in q.get("trigger", ())]
        opened = moment(WEEKS.end(q["opened"] + 1 if is_special else max(self.weeks_before - 1, 1)))
        cause = CauseClass.SPECIAL if is_special else CauseClass.UNKNOWN
        if "silent" in opening:
            at = opened - timedelta(days=2)
            return problem(
                key="aging/new/demo", stage="demo", opened_at=at, detected_at=at, cause_class=cause, evidence=None
            )
        column = OPENER.column if opening else Column.REWORK_RATE
        detail = SignalDetail(
            measure=column,
            weeks=tuple(trigger),
            baseline=tuple(WEEKS.name(one + 1) for one in range(len(opening.get("baseline", ())))),
            pairs=90,
            pairs_needed=80,
        )
        return problem(
            key=f"shift/new/demo/{column.measure}",
            kind="shift",
            stage="demo",
            opened_at=opened,
            detected_at=opened,
            cause_class=cause,
            chance=float(26 * Fraction(opening["level"])) if opening else 0.125,
            signal=detail,
            evidence=None,
        )


def numbers(values: Iterable[Any]) -> list[Fraction | None]:
    return [None if value is None else Fraction(value) for value in values]


def point(chart: Chart, week: int, value: Fraction | int | None, **fields: Any) -> MeasureEvent:
    data = MeasureData(
        pipeline=chart.pipeline,
        stage=chart.stage or None,
        measure=chart.column,
        period="week",
        start=moment(WEEKS.start(week)),
        end=moment(WEEKS.end(week)),
        value=None if value is None else float(value),
        exact=None if value is None else str(Fraction(value)),
        **{"week": week, "numbering": 1} | fields,
    )
    return MeasureEvent.new(source="andon/detector", subject=data.key, time=data.end, data=data)


def judged(at: datetime) -> NowEvent:
    """Time in the log goes on."""
    data = NowData(pipeline="new", stage="demo", as_of=at, wip=1)
    return NowEvent.new(source="andon/detector", subject=data.key, time=at, data=data)


class WindowedPlans(PlanChanges):
    """Seals plans that are studied for another number of weeks."""

    def __init__(self, changes: TicketChanges, used: Policy, window: int) -> None:
        super().__init__(changes, used)
        self._window = window

    async def _ground(self, *arguments: Any, is_confirmed: bool) -> SealedGround:
        return replace(await super()._ground(*arguments, is_confirmed=is_confirmed), window=self._window)


class StudyParts(TicketParts):
    """The parts of one replica that study changes, in the clock of the log."""

    def __init__(self, pool: Pool, used: Policy | None = None) -> None:
        used = used or policy()
        clock = clock_of(ClockKind.LOG, SystemClock())
        super().__init__(pool, used, clock)
        self.student = Student(self.changes, used, clock, SystemClock(), RELOCKS)
        self.loop = StudyLoop(pool, self.student, self.metrics, Progress(), nothing, 0)

    async def play(self, *messages: Any) -> None:
        await self.handle(*records(messages))

    async def seal(self, number: int, draft: PlanDraft, window: int = 13) -> Ticket:
        """Seal a plan as a person does, who insists where it cannot be tested."""

        plans = WindowedPlans(self.changes, self.policy, window)
        async with self.pool.acquire() as connection, connection.transaction():
            saved = await plans.save_draft(connection, number, draft, 0)
            ticket = await tickets.get(connection, number)
            assert saved is not None
            assert ticket is not None
            sealed = await plans.seal(connection, number, ticket.seq, saved.version, is_confirmed=True)
        assert sealed is not None
        return sealed

    async def begin(self) -> int:
        async with self.pool.acquire() as connection, connection.transaction():
            return await self.changes.begin_studies(connection)

    async def study(self, number: int = 1) -> Study:
        found = await studies.newest(self.pool, number)
        assert found is not None
        return found

    async def ticket(self, number: int = 1) -> Ticket:
        found = await tickets.get(self.pool, number)
        assert found is not None
        return found

    async def history(self, number: int = 1) -> list[str]:
        return [row["change"] for row in await tickets.history(self.pool, number)]


async def planned(parts: StudyParts, case: StudyCase) -> None:
    """The weeks before the change have come, the plan is sealed, and the change date has come."""
    before = range(case.weeks_before + 1)
    await parts.play(*case.points(before), judged(moment(WEEKS.start(case.weeks_before + 1))))
    if "relock" in case.question:
        await parts.play(relock(case.measure, case.question["relock"] + 1))
    await parts.play(event(case.problem()))
    await parts.seal(1, case.draft(), case.question.get("window", 13))
    await parts.play(*case.points([case.first - 1]), judged(case.changes_at))
    assert await parts.begin() == 1


def relock(chart: Chart, week: int) -> RelockEvent:
    data = RelockData(
        chart=chart.name, from_week=WEEKS.name(week), reason="Another team.", actor="person", at=moment(0)
    )
    return RelockEvent.new(source="andon/tickets", subject=data.key, time=data.at, data=data)


def silences(case: StudyCase, weeks: Collection[int]) -> list[Any]:
    """A source of the pipeline is silent for an hour of each of these weeks after the change."""
    found = []
    for number in weeks:
        at = case.end_of(number) - timedelta(days=2)
        data = problem(
            key="silence/crm",
            kind="silence",
            pipeline="",
            stage=None,
            source="crm",
            pipelines=("new",),
            opened_at=at,
            detected_at=at,
            evidence=None,
        )
        over = data.model_copy(update={"cleared_at": at + timedelta(hours=1), "reason": ProblemReason.CLEARED})
        found += [event(data), event(over)]
    return found


def ends(case: StudyCase) -> list[Any]:
    """The ticket's problem is over before the first week after the change, where the question says so."""
    data = case.problem()
    over = data.model_copy(
        update={"cleared_at": case.changes_at, "reason": ProblemReason.CLEARED, "detected_at": case.changes_at}
    )
    return [event(over)]
