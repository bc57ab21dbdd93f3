"""The draft of a plan: what a person has written so far, as it was typed. It may lack anything until it is sealed.

Fields, the same in forms, in the API and in faults: `aim`, `measure` (a chart's name), `change`, `countermeasure`,
`task_1_what`, `task_1_who`, `task_1_by` and so on (`tasks` in the API), `predicted_size` (in the unit in which the
measure is shown, or in percent of its value), `predicted_unit` (difference, share), `predicted_why`, `change_date`,
`new_entries_only`, `balancing`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.tickets.domain.faults import NotPossibleError
from services.tickets.domain.plan import Countermeasure, Plan, Predicted, Task
from services.tickets.domain.planning import date_fault
from services.tickets.domain.typed import storable, trimmed
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit
from shared.policy import Policy
from shared.wording.measures import DEALS, SHARE, day_of, unit_of

MAX_LETTERS, MAX_TASKS = 2000, 20
_SIZE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")


def _typed(text: str) -> str:
    kept = storable(text)
    if len(kept) > MAX_LETTERS:
        raise ValueError(f"has {len(kept):,} letters; write it with {MAX_LETTERS:,} at most")
    return kept


Typed = Annotated[str, AfterValidator(_typed)]


class DraftTask(BaseModel):
    """Who does what by when, as typed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: Typed = ""
    who: Typed = Field("", description="a role or a team, no person")
    by: Typed = Field("", description="a day, as 2026-03-31")

    @property
    def is_empty(self) -> bool:
        return not (self.what.strip() or self.who.strip() or self.by.strip())


class PlanDraft(BaseModel):
    """A plan as typed; an empty field is still to be written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    aim: Typed = ""
    measure: Typed = Field("", description="pipeline/stage/measure, `-` for the stage of a pipeline's measure")
    change: Typed = ""
    countermeasure: Typed = Field("", description=", ".join(Countermeasure))
    tasks: tuple[DraftTask, ...] = Field((), max_length=MAX_TASKS)
    predicted_size: Typed = Field(
        "", description="how much better, as 2.5: in the measure's unit (days, %, deals) or in % of its value before"
    )
    predicted_unit: Literal["", "difference", "share"] = ""
    predicted_why: Typed = ""
    change_date: Typed = Field("", description="the day from which the change is in force, as 2026-03-31")
    new_entries_only: bool = Field(False, description="the change does not touch deals that are in the stage by then")
    balancing: Typed = Field("", description="the measure that must not get worse")


class PlanFault(NamedTuple):
    """What is wrong with a field of a draft."""

    field: str
    text: str


class IncompletePlanError(NotPossibleError):
    """A draft that cannot be sealed; every fault of it."""

    def __init__(self, faults: list[PlanFault]) -> None:
        super().__init__(faults[0].text, faults[0].field)
        self.faults = tuple(faults)


@dataclass(frozen=True)
class PlanTerms:
    """What a ticket's plan can be about: its measures by name, and those of which more is better.

    `today`: the day in the policy's zone.
    """

    charts: Mapping[str, Chart]
    higher: Collection[Chart]
    policy: Policy
    today: date


def complete(draft: PlanDraft, terms: PlanTerms) -> Plan:
    """The plan of a draft. Raises IncompletePlanError, with every fault, where it is not complete."""
    reading = _Reading(draft, terms)
    plan = reading.plan()
    if reading.faults or plan is None:
        raise IncompletePlanError(reading.faults)
    return plan


class _Reading:
    """Reads a draft field by field, and gathers the faults in the order of the form."""

    def __init__(self, draft: PlanDraft, terms: PlanTerms) -> None:
        self._draft, self._terms = draft, terms
        self.faults: list[PlanFault] = []

    def plan(self) -> Plan | None:
        """The plan; None, or incomplete, where there are faults."""
        aim = self._text("aim", "Write what is to be better, and for whom.")
        measure = self._chart("measure", "Choose the measure that will show it")
        change = self._text("change", "Write what will be done differently.")
        kind = self._countermeasure()
        tasks = tuple(self._tasks())
        predicted = Predicted(self._size(measure), self._unit(), self._why())
        change_date = self._change_date()
        balancing = self._balancing(measure)
        if measure is None or kind is None or change_date is None:
            return None
        new_only = self._draft.new_entries_only
        return Plan(aim, measure, change, kind, tasks, predicted, change_date, new_only, balancing)

    def _fault(self, field: str, text: str) -> None:
        self.faults.append(PlanFault(field, text))

    def _text(self, field: str, ask: str) -> str:
        text = trimmed(getattr(self._draft, field))
        if not text:
            self._fault(field, ask)
        return text

    def _why(self) -> str:
        return self._text("predicted_why", "Write why you expect it: what you know of the cause.")

    def _chart(self, field: str, ask: str) -> Chart | None:
        name = getattr(self._draft, field).strip()
        chart = self._terms.charts.get(name)
        if chart is None:
            listed = ", ".join(self._terms.charts)
            self._fault(field, f"{name[:80]!r} is no measure of this ticket; use {listed}" if name else f"{ask}.")
        return chart

    def _balancing(self, measure: Chart | None) -> Chart | None:
        if not self._draft.balancing.strip():
            return None
        balancing = self._chart("balancing", "Choose a measure")
        if balancing is not None and balancing == measure:
            self._fault("balancing", "It is the measure that is to get better; choose another one, or none.")
        return balancing

    def _countermeasure(self) -> Countermeasure | None:
        typed = self._draft.countermeasure.strip()
        found = next((one for one in Countermeasure if one.value == typed), None)
        if found is None:
            kinds = ", ".join(Countermeasure)
            text = (
                f"{typed[:80]!r} is no kind of change; use {kinds}" if typed else f"Choose the kind of change: {kinds}."
            )
            self._fault("countermeasure", text)
        return found

    def _tasks(self) -> Iterator[Task]:
        listed = [(number, task) for number, task in enumerate(self._draft.tasks, 1) if not task.is_empty]
        if not listed:
            self._fault("task_1_what", "Write who does what by when: one task at least.")
        for number, task in listed:
            what, who = trimmed(task.what), trimmed(task.who)
            if not what:
                self._fault(f"task_{number}_what", f"Write what is to be done in task {number}, or empty its line.")
            if not who:
                self._fault(f"task_{number}_who", f"Write which role or team does task {number}.")
            if "@" in who:
                self._fault(f"task_{number}_who", f"{who[:80]!r} looks like a mail address; write a role or a team.")
            by = self._day(f"task_{number}_by", task.by, f"Write the day by which task {number} is done")
            if by is not None:
                yield Task(what, who, by)

    def _unit(self) -> SizeUnit:
        if self._draft.predicted_size.strip() and not self._draft.predicted_unit:
            self._fault("predicted_unit", "Choose what the size is in: the measure's unit, or % of its value before.")
        return SizeUnit(self._draft.predicted_unit or SizeUnit.DIFFERENCE)

    def _size(self, measure: Chart | None) -> Fraction | None:
        """The predicted size in the printed unit of the measure; None where none is predicted."""
        typed = self._draft.predicted_size.strip()
        if not typed:
            return None
        if not _SIZE.fullmatch(typed) or Fraction(typed) == 0:
            self._fault(
                "predicted_size", f"{typed[:40]!r} is no size; write a number above 0, as 2.5, or leave it empty."
            )
            return None
        return None if measure is None else self._printed(measure, Fraction(typed))

    def _printed(self, measure: Chart, size: Fraction) -> Fraction:
        is_share = self._draft.predicted_unit == SizeUnit.SHARE.value
        day = day_of(measure, self._terms.policy)
        unit = SHARE if is_share else unit_of(measure.column, day)
        if unit == SHARE and size >= 100 and (not is_share or measure not in self._terms.higher):
            self._fault(
                "predicted_size", f"It cannot get better by {self._draft.predicted_size.strip()} %; write less."
            )
        if unit == DEALS:
            return size
        return size / 100 if unit == SHARE else size * day

    def _change_date(self) -> date | None:
        day = self._day("change_date", self._draft.change_date, "Choose the day from which the change is in force")
        if day is not None and (fault := date_fault(day, self._terms.today)):
            self._fault("change_date", fault)
        return day

    def _day(self, field: str, typed: str, ask: str) -> date | None:
        day = parse_day(typed)
        if day is None:
            typed = typed.strip()
            self._fault(field, f"{typed[:40]!r} is no day; write it as 2026-03-31." if typed else f"{ask}.")
        return day


def parse_day(typed: str) -> date | None:
    """A day of the calendar, written as 2026-03-31; None for anything else."""
    text = typed.strip()
    try:
        return date.fromisoformat(text) if re.fullmatch(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}", text) else None
    except ValueError:
        return None


def draft_of(form: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a draft from a form, which numbers its tasks."""
    tasks = [
        {part: form.get(f"task_{number}_{part}", "") for part in DraftTask.model_fields}
        for number in range(1, MAX_TASKS + 1)
    ]
    while tasks and not any(tasks[-1].values()):
        tasks.pop()
    plain = {name: form.get(name, "") for name in PlanDraft.model_fields if name != "tasks"}
    return plain | {"tasks": tasks, "new_entries_only": plain["new_entries_only"] == "yes"}
