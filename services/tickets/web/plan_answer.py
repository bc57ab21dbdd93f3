"""What became of the form of a plan: its faults, what is to be confirmed, and what somebody else wrote meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.tickets.domain.faults import NotPossibleError, TooLateError
from services.tickets.web import plan_form
from services.tickets.web.plan_form import QUESTIONS, STEP_OF


@dataclass(frozen=True)
class PlanAnswer:
    """What became of a form. `typed`: what it held; `faults`: by field; `opened`: the question to unfold.

    `error`: why nothing was saved; `others`: what somebody else has saved meanwhile. `question`: what is to be
    confirmed before the plan is sealed.
    """

    status: int = 200
    typed: Mapping[str, str] | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    opened: str = ""
    error: str = ""
    others: Mapping[str, str] | None = None
    question: str = ""


class PlanRefused(Exception):
    """A form that was not carried out as it was meant."""

    def __init__(self, answer: PlanAnswer) -> None:
        super().__init__(answer.error)
        self.answer = answer


@dataclass(frozen=True)
class DifferentAnswer:
    """A question that somebody else answers otherwise. `text`: their answer; empty: none."""

    step: str
    question: str
    text: str


@dataclass(frozen=True)
class PlanConflict:
    """Why nothing was saved, and which questions somebody else has answered otherwise meanwhile."""

    text: str
    others: Sequence[DifferentAnswer]


def conflict(answer: PlanAnswer, labels: Mapping[str, str]) -> PlanConflict | None:
    """What to say of a form that was not saved; None where it was. `labels`: of measures, by the name of the chart."""
    if not answer.error:
        return None
    others = answer.others or {}
    names = plan_form.differing(answer.typed or {}, others) if answer.others is not None else []
    found = [
        DifferentAnswer(STEP_OF[name], QUESTIONS[STEP_OF[name]], labels.get(others[name], others[name]))
        for name in names
    ]
    return PlanConflict(answer.error, found)


def refused(error: NotPossibleError, typed: Mapping[str, str]) -> PlanAnswer:
    """The answer to a form with a field that no draft can hold, as a text that is too long, or one that is too late."""
    if error.field in STEP_OF:
        return PlanAnswer(422, typed, {error.field: str(error)})
    return PlanAnswer(409 if isinstance(error, TooLateError) else 422, typed, error=str(error))
