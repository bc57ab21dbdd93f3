"""The form of a plan: its questions, one after the other, and what each says so far."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from pydantic import ValidationError

from services.tickets.domain.draft import (
    MAX_TASKS,
    IncompletePlanError,
    PlanDraft,
    PlanFault,
    PlanTerms,
    complete,
    draft_of,
    parse_day,
)
from services.tickets.domain.plan import Countermeasure, Plan

SEAL = "seal"
_PARTS = ("what", "who", "by")
COUNTERMEASURES = {
    Countermeasure.POLICY: "A rule or policy",
    Countermeasure.CAPACITY: "Capacity: more or fewer people or hours",
    Countermeasure.TRAINING: "Training or instruction",
    Countermeasure.TOOL: "A tool or automation",
    Countermeasure.STEP: "A step of the process: added, removed or moved",
    Countermeasure.LIMIT: "A limit, such as on deals in work",
    Countermeasure.OTHER: "Something else",
}
ENTRIES = {False: "for all deals", True: "only for deals that come in from then on"}


class PlanStep(NamedTuple):
    """One question of the form and its fields."""

    name: str
    question: str
    fields: tuple[str, ...]


def task_fields(row: int) -> list[str]:
    """The fields of a task, by its number from 1."""
    return [f"task_{row}_{part}" for part in _PARTS]


STEPS = (
    PlanStep("aim", "What is to become better?", ("aim",)),
    PlanStep("measure", "Which measure will show it?", ("measure",)),
    PlanStep("change", "What will you change?", ("change", "countermeasure")),
    PlanStep(
        "tasks",
        "Who does what, by when?",
        tuple(field for row in range(1, MAX_TASKS + 1) for field in task_fields(row)),
    ),
    PlanStep("when", "When does the change take effect?", ("change_date", "new_entries_only")),
    PlanStep("prediction", "What do you predict?", ("predicted_size", "predicted_unit", "predicted_why")),
    PlanStep("balancing", "What must not become worse?", ("balancing",)),
)
QUESTIONS = {step.name: step.question for step in STEPS}
STEP_NAMES = (*(step.name for step in STEPS), SEAL)
FIELDS = tuple(name for step in STEPS for name in step.fields)
STEP_OF = {name: step.name for step in STEPS for name in step.fields}


@dataclass(frozen=True)
class StepView:
    """A question on the page. `answer`: what it says so far; empty: nothing. `next`: the step that follows."""

    name: str
    number: int
    question: str
    answer: str
    is_open: bool
    next: str


def step_views(
    typed: Mapping[str, str], labels: Mapping[str, str], units: Mapping[str, str], opened: Collection[str]
) -> dict[str, StepView]:
    """The questions in order, by name. `labels`: of measures, by the name of the chart; `units`: of the prediction's
    size; `opened`: steps to unfold.
    """
    said = answers(typed, labels, units)
    return {
        step.name: StepView(step.name, number, step.question, said[step.name], step.name in opened, STEP_NAMES[number])
        for number, step in enumerate(STEPS, 1)
    }


def typed_of(draft: PlanDraft) -> dict[str, str]:
    """The fields of the form as a draft has them."""
    plain = {name: str(value) for name, value in draft if name not in ("tasks", "new_entries_only")}
    tasks = {f"task_{row}_{part}": getattr(task, part) for row, task in enumerate(draft.tasks, 1) for part in _PARTS}
    return plain | tasks | {"new_entries_only": "yes" if draft.new_entries_only else ""}


def typed_in(form: Mapping[str, str]) -> dict[str, str]:
    """What a form's fields hold."""
    return {name: form.get(name, "") for name in FIELDS}


def task_rows(typed: Mapping[str, str], least: int = 2) -> range:
    """The numbers of the rows to show: up to the last with something in it, and an empty one to go on."""
    filled = [row for row in range(1, MAX_TASKS + 1) if any(typed.get(name) for name in task_fields(row))]
    return range(1, min(MAX_TASKS, max(least, max(filled, default=0) + 1)) + 1)


def first_open(typed: Mapping[str, str], labels: Mapping[str, str]) -> str:
    """The first question without an answer; else the check of the whole."""
    return next((step for step, answer in answers(typed, labels, {}).items() if not answer), SEAL)


def answers(typed: Mapping[str, str], labels: Mapping[str, str], units: Mapping[str, str]) -> Mapping[str, str]:
    """What each step says so far, shortly; empty where nothing is answered."""
    kinds = {one.value: label for one, label in COUNTERMEASURES.items()}
    what = [typed.get(task_fields(row)[0], "") for row in range(1, MAX_TASKS + 1)]
    when = typed.get("change_date", "")
    day, size = parse_day(when), typed.get("predicted_size", "").strip()
    only_new = typed.get("new_entries_only") == "yes"
    found: dict[str, list[str]] = {
        "aim": [typed.get("aim", "")],
        "measure": [labels.get(typed.get("measure", ""), "")],
        "change": [typed.get("change", ""), kinds.get(typed.get("countermeasure", ""), "")],
        "tasks": ["; ".join(one for one in what if one.strip())],
        "when": [day_words(day) if day else when, ENTRIES[only_new]] if when else [],
        "prediction": [
            f"by {size} {units.get(typed.get('predicted_unit', ''), '')}" if size else "",
            typed.get("predicted_why", ""),
        ],
        "balancing": [labels.get(typed.get("balancing", ""), "no other measure")],
    }
    return {step: _short(" · ".join(one for one in parts if one.strip())) for step, parts in found.items()}


def day_words(day: date) -> str:
    """`12 December 2026`"""
    return f"{day.day} {day:%B %Y}"


def _short(text: str, letters: int = 90) -> str:
    text = " ".join(text.split())
    return text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…"


def differing(typed: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """The fields that two drafts have differently, in the order of the form."""
    return [name for name in FIELDS if typed.get(name, "") != others.get(name, "")]


def read(draft: PlanDraft, terms: PlanTerms) -> tuple[Plan | None, Mapping[str, str]]:
    """The plan of a draft, or what is missing or wrong, by field."""
    try:
        return complete(draft, terms), {}
    except IncompletePlanError as error:
        return None, first_faults(error.faults)


def read_typed(typed: Mapping[str, str], terms: PlanTerms) -> tuple[Plan | None, Mapping[str, str]]:
    """The same of what a form holds, which may be no draft."""
    try:
        return read(PlanDraft.model_validate(draft_of(typed)), terms)
    except ValidationError:
        return None, {}


def first_faults(faults: Sequence[PlanFault]) -> Mapping[str, str]:
    """The first fault of each field of the form, in the order of the form."""
    found: dict[str, str] = {}
    for fault in faults:
        found.setdefault(fault.field, fault.text)
    return {name: found[name] for name in FIELDS if name in found}


def address(ticket: int, step: str) -> str:
    """Where a question of the form is; its beginning for a step that there is not."""
    return f"/tickets/{ticket}/plan?step={step}#step-{step}" if step in STEP_NAMES else f"/tickets/{ticket}/plan"
