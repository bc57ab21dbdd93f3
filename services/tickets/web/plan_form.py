"""The form of a plan: what is typed is kept as a draft, field by field, and read as a plan once it is whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from services.tickets.domain.plan import Countermeasure, Plan, Predicted, Task
from services.tickets.study.measures import is_higher_better, measures_of
from services.tickets.web.forms import MAX_LETTERS
from shared.contracts.problems import ProblemData
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit
from shared.policy import Policy
from shared.wording.measures import day_of, is_share, is_time

MAX_TASKS = 12
# Text that is longer is refused; a draft keeps it all the same, so that nothing typed is lost.
MAX_KEPT = 4 * MAX_LETTERS
NOTHING = "none"
ALL, ONLY_NEW = "all", "new"
# Digits with a point; or with a comma that no reader takes for one of thousands.
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,6}|,\d{1,2})?")


class PlanStep(NamedTuple):
    """One question of the form and its fields."""

    name: str
    question: str
    fields: tuple[str, ...]


_TASK_FIELDS = tuple(f"{name}_{row}" for row in range(1, MAX_TASKS + 1) for name in ("what", "who", "by"))
STEPS = (
    PlanStep("aim", "What is to become better?", ("aim",)),
    PlanStep("measure", "Which measure will show it?", ("measure",)),
    PlanStep("change", "What will you change?", ("change", "countermeasure")),
    PlanStep("tasks", "Who does what, by when?", _TASK_FIELDS),
    PlanStep("when", "When does the change take effect?", ("change_date", "entries")),
    PlanStep("prediction", "What do you predict?", ("size", "unit", "why")),
    PlanStep("balancing", "What must not become worse?", ("balancing",)),
)
FIELDS = tuple(name for step in STEPS for name in step.fields)
STEP_OF = {name: step.name for step in STEPS for name in step.fields}
COUNTERMEASURES = {
    Countermeasure.POLICY: "A rule or policy",
    Countermeasure.CAPACITY: "Capacity: more or fewer people or hours",
    Countermeasure.TRAINING: "Training or instruction",
    Countermeasure.TOOL: "A tool or automation",
    Countermeasure.STEP: "A step of the process: added, removed or moved",
    Countermeasure.LIMIT: "A limit, such as on deals in work",
    Countermeasure.OTHER: "Something else",
}


@dataclass(frozen=True)
class PlanReading:
    """What a draft says. `plan`: None while something is missing or cannot be read; `faults` say what, by field."""

    plan: Plan | None
    faults: Mapping[str, str] = field(default_factory=dict)

    def of_step(self, step: str) -> Mapping[str, str]:
        """The faults of one step."""
        return {name: text for name, text in self.faults.items() if STEP_OF.get(name) == step}

    def is_answered(self, step: str) -> bool:
        return not self.of_step(step)


def draft_of(form: Mapping[str, str]) -> dict[str, str]:
    """What a form's fields hold, as it is kept: without what Postgres keeps not, and empty fields."""
    kept = {name: form.get(name, "").replace("\x00", "").replace("\r\n", "\n")[:MAX_KEPT] for name in FIELDS}
    return {name: text for name, text in kept.items() if text.strip()}


def read_plan(draft: Mapping[str, str], problem: ProblemData, policy: Policy) -> PlanReading:
    """Read a draft as a plan about a problem; all faults at once."""
    reader = _Reader(draft, problem, policy)
    plan = reader.plan()
    return PlanReading(None if reader.faults else plan, reader.faults)


class _Fault(Exception):
    """A field that cannot be used; the text says the way out."""


class _Reader:
    """Reads one draft; what is wrong goes to `faults`."""

    def __init__(self, draft: Mapping[str, str], problem: ProblemData, policy: Policy) -> None:
        self._draft, self._kind, self._policy = draft, problem.kind, policy
        self._measures = {chart.name: chart for chart in measures_of(problem, policy)}
        self.faults: dict[str, str] = {}

    def plan(self) -> Plan | None:
        aim = self._text("aim", "Write what is to become better, for whom.")
        measure = self._measure("measure", "Choose the measure that will show whether the change worked.")
        change = self._text("change", "Write what will be done otherwise.")
        countermeasure = self._countermeasure()
        tasks = self._tasks()
        change_date = self._date("change_date", "Choose the day from which the change is in effect.")
        new_entries_only = self._entries()
        predicted = self._predicted(measure)
        balancing = self._balancing(measure)
        if self.faults or measure is None or countermeasure is None or change_date is None or predicted is None:
            return None
        return Plan(
            aim=aim,
            measure=measure,
            change=change,
            countermeasure=countermeasure,
            tasks=tasks,
            predicted=predicted,
            change_date=change_date,
            new_entries_only=new_entries_only,
            balancing=balancing,
        )

    def _get(self, name: str) -> str:
        return self._draft.get(name, "").strip()

    def _text(self, name: str, missing: str) -> str:
        text = self._get(name)
        if not text:
            self.faults[name] = missing
        elif len(text) > MAX_LETTERS:
            self.faults[name] = f"This has {len(text):,} letters; write it with {MAX_LETTERS:,} at most."
        return text

    def _measure(self, name: str, missing: str) -> Chart | None:
        text = self._get(name)
        found = self._measures.get(text)
        if found is None:
            self.faults[name] = (
                f"{text[:60]!r} is no measure of this ticket; choose one of the list." if text else missing
            )
        return found

    def _countermeasure(self) -> Countermeasure | None:
        text = self._get("countermeasure")
        found = next((one for one in Countermeasure if one.value == text), None)
        if found is None:
            self.faults["countermeasure"] = "Choose what kind of change it is."
        return found

    def _tasks(self) -> tuple[Task, ...]:
        rows = [
            row for row in range(1, MAX_TASKS + 1) if any(self._get(f"{one}_{row}") for one in ("what", "who", "by"))
        ]
        if not rows:
            self.faults["what_1"] = "Write at least one thing that somebody has to do for the change."
        found = (self._task(row) for row in rows)
        return tuple(task for task in found if task is not None)

    def _task(self, row: int) -> Task | None:
        what = self._text(f"what_{row}", "Write what is to be done.")
        who = self._text(f"who_{row}", "Write which role or team does it.")
        if "@" in who:
            self.faults[f"who_{row}"] = "This looks like the address of a person; write a role or a team."
        by = self._date(f"by_{row}", "Choose the day by which it is done.")
        return Task(what=what, who=who, by=by) if what and who and by else None

    def _date(self, name: str, missing: str) -> date | None:
        text = self._get(name)
        if not text:
            self.faults[name] = missing
            return None
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            self.faults[name] = f"{text[:40]!r} is no day; choose one in the calendar, as 2026-03-31."
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self.faults[name] = f"There is no day {text}; choose one in the calendar."
            return None

    def _entries(self) -> bool:
        text = self._get("entries")
        if text not in (ALL, ONLY_NEW):
            self.faults["entries"] = "Choose which deals the change is for."
        return text == ONLY_NEW

    def _predicted(self, measure: Chart | None) -> Predicted | None:
        why = self._text("why", "Write why you expect this: it is what the outcome will teach you about.")
        unit = next((one for one in SizeUnit if one.value == self._get("unit")), None)
        if unit is None:
            self.faults["unit"] = "Choose what the size is counted in."
        if measure is None or unit is None:
            return None
        size = self._size(measure, unit)
        return None if size is None else Predicted(size=size, unit=unit, why=why)

    def _size(self, measure: Chart, unit: SizeUnit) -> Fraction | None:
        try:
            return size_of(self._get("size"), measure, unit, self._kind, self._policy)
        except _Fault as fault:
            self.faults["size"] = str(fault)
            return None

    def _balancing(self, measure: Chart | None) -> Chart | None:
        if self._get("balancing") == NOTHING:
            return None
        found = self._measure("balancing", "Choose a measure that the change might harm, or that none can suffer.")
        if found is not None and found == measure:
            self.faults["balancing"] = "This is the measure that is to become better; choose another one."
        return found


def size_of(text: str, measure: Chart, unit: SizeUnit, kind: str, policy: Policy) -> Fraction:
    """A size in the unit of messages: a share of 1, seconds, or a count."""
    if not text:
        raise _Fault("Write how much better it will be: without a size, nobody can be wrong and learn from it.")
    if not _NUMBER.fullmatch(text):
        raise _Fault(f"{text[:30]!r} is not a number that is understood; write digits, as 12 or 2.5.")
    size = Fraction(text.replace(",", "."))
    if size == 0:
        raise _Fault("A size of 0 predicts nothing; write a number above 0.")
    if unit is SizeUnit.SHARE and not is_higher_better(measure, kind) and size >= 100:
        raise _Fault("It cannot become smaller by 100 % or more; write less than 100.")
    return size / 100 if unit is SizeUnit.SHARE or is_share(measure.column) else size * _scale(measure, policy)


def _scale(measure: Chart, policy: Policy) -> int:
    return day_of(measure, policy) if is_time(measure.column) else 1


def task_rows(draft: Mapping[str, str], least: int = 2) -> Iterable[int]:
    """The numbers of the rows to show: those with something in them, and an empty one to go on."""
    filled = [row for row in range(1, MAX_TASKS + 1) if any(draft.get(f"{one}_{row}") for one in ("what", "who", "by"))]
    return range(1, min(MAX_TASKS, max(least, max(filled, default=0) + 1)) + 1)
