"""What a study has found, as it is kept and shown. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from services.tickets.study.change_weeks import ChangeWeeks
from services.tickets.study.evaluate import StudyResult
from shared.flow.statistics.interim_looks import ChangeLook
from shared.flow.statistics.questions.verification import printed
from shared.flow.statistics.verification import Verdict
from shared.wording.studies import (
    FLATTERING,
    LATE,
    TREND,
    StudyNames,
    balancing_note,
    confounded_note,
    effect_sentence,
    hold_sentence,
    look_sentence,
    moved_note,
    needed_of,
    pairs_of,
    result_sentence,
)


class LookFacts(BaseModel):
    """One look. `day`: on which its weeks are over. Of 100 pairs, in how many the later week was better, and needed.

    `pairs`, `needed`: None where the look is skipped; `needed` also where no weeks could show it.
    """

    model_config = ConfigDict(frozen=True)

    week: int
    day: date
    points: int
    pairs: int | None
    needed: int | None
    passed: bool
    sentence: str


class StudyFindings(BaseModel):
    """What a study has found so far. Sentences are ready to be shown; `notes`: what is to be said beside the verdict.

    `weeks_over`: how many whole weeks after the change are over. `answer`: as `andon verify` prints it. `moved`: the
    stage got better and the customer's lead time did not. `is_late`: late events changed the verdict.
    `verdict_seen_at`: when it was found, and `complete_seen_at`: since when nothing more is to be found, both by the
    wall clock. `relocked`: how many weeks the new baseline was given, 0: none yet.
    """

    model_config = ConfigDict(frozen=True)

    weeks_over: int
    sentence: str | None = None
    effect_sentence: str | None = None
    result: str | None = None
    result_sentence: str | None = None
    hold_sentence: str | None = None
    notes: tuple[str, ...] = ()
    looks: tuple[LookFacts, ...] = ()
    confounded_with: tuple[int, ...] = ()
    moved: bool = False
    is_late: bool = False
    verdict_seen_at: datetime | None = None
    complete_seen_at: datetime | None = None
    relocked: int = 0
    answer: dict[str, Any] = {}


class Places(BaseModel):
    """What the stage of a measure, and its pipeline, are called."""

    model_config = ConfigDict(frozen=True)

    stage: str
    pipeline: str


def findings_of(
    result: StudyResult,
    sentence: str | None,
    around: ChangeWeeks,
    names: StudyNames,
    places: Places,
    confounded: tuple[int, ...],
    *,
    higher_is_better: bool,
    is_late: bool,
) -> StudyFindings:
    """The findings of an evaluation, in words. `sentence`: of the verdict."""
    found = result.found
    return StudyFindings(
        weeks_over=result.weeks_over,
        sentence=sentence,
        effect_sentence=effect_sentence(found.effect, names) if found.effect else None,
        result=found.prediction,
        result_sentence=result_sentence(found.prediction, result.predicted, names) if found.prediction else None,
        hold_sentence=hold_sentence(found.hold, names.window) if found.hold else None,
        notes=tuple(_notes(result, names, places, confounded, is_late=is_late)),
        looks=tuple(_look(look, around) for look in found.looks),
        confounded_with=confounded,
        moved=result.lead is not None and result.lead.improved is False,
        is_late=is_late,
        answer=printed(found, higher_is_better=higher_is_better),
    )


def _notes(
    result: StudyResult, names: StudyNames, places: Places, confounded: tuple[int, ...], *, is_late: bool
) -> Iterator[str]:
    found = result.found
    if is_late:
        yield LATE
    if result.lead is not None and (moved := moved_note(result.lead.improved, places.stage, places.pipeline)):
        yield moved
    if note := confounded_note(confounded):
        yield note
    if found.seal is not None and found.seal.slope:
        yield TREND
    if note := balancing_note(found, names):
        yield note
    is_verified = found.conclusion.verdict is Verdict.VERIFIED
    if is_verified and found.effect is not None and found.effect.is_flattering:
        yield FLATTERING


def _look(look: ChangeLook, around: ChangeWeeks) -> LookFacts:
    return LookFacts(
        week=look.week,
        day=around.weeks.first_day(around.first + look.week),
        points=look.points,
        pairs=pairs_of(look),
        needed=needed_of(look),
        passed=look.passed,
        sentence=look_sentence(look),
    )
