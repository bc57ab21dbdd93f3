"""Did a change work? The question that `andon verify` answers where none is named."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from shared.flow.statistics.columns import Value
from shared.flow.statistics.effect import Effect, Prediction, SizeUnit
from shared.flow.statistics.interim_looks import WINDOW, ChangeLook
from shared.flow.statistics.questions.fields import Fields
from shared.flow.statistics.sealing import Ground
from shared.flow.statistics.verification import (
    BalancingResult,
    BalancingSeries,
    StudiedChange,
    Verdict,
    Verification,
    verify,
)
from shared.flow.statistics.windows import WindowTest
from shared.policy.watchable import Side

_FIELDS = (
    *("ask", "better", "before", "after", "trigger", "class", "opened", "silence", "relock", "window", "prediction"),
    *("balancing", "opening"),
)
_BETTER = ("lower", "higher")
_CLASSES = ("special", "common", "unknown")
# Below 3 weeks the looks fall together; two years is beyond any study.
_LEAST_WINDOW, _GREATEST_WINDOW = 3, 104
_LEAST_BASELINE, _GREATEST_BASELINE = 12, 20
_GREATEST_WEEK = 10_000


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Verdict, looks, effect and the rest, as printed. Raises QuestionError."""
    change = _change(Fields(question, _FIELDS))
    return printed(verify(change), higher_is_better=change.higher_is_better)


def printed(found: Verification, *, higher_is_better: bool) -> dict[str, Any]:
    """All that is known of a change, as JSON."""
    verdict, reason, week = found.conclusion
    sealed = found.seal
    return {
        "verdict": verdict,
        "reason": reason,
        "week": week,
        "reference": list(found.weeks.reference),
        "history": len(found.weeks.history),
        "phi": sealed and sealed.phi,
        "trend_z": sealed and sealed.trend_z,
        "slope": sealed and float(-sealed.slope if higher_is_better else sealed.slope),
        "looks": [_look(look) for look in found.looks],
        "placebo": found.placebo,
        "balancing": found.balancing and _balancing(found.balancing),
        "smallest": _float(found.smallest),
        "effect": found.effect and _effect(found.effect, found),
        "prediction": found.prediction,
        "hold": found.hold,
    }


def _change(fields: Fields) -> StudiedChange:
    before, after = fields.weeks("before"), fields.weeks("after")
    return StudiedChange(
        higher_is_better=_is_higher(fields),
        before=before,
        after=after,
        ground=_ground(fields, len(before)),
        silent_weeks=frozenset(fields.wholes("silence", 1, _GREATEST_WEEK)),
        window=fields.whole("window", _LEAST_WINDOW, _GREATEST_WINDOW, WINDOW),
        prediction=_prediction(fields),
        balancing=_balancing_series(fields),
        opening=_opening(fields),
    )


def _ground(fields: Fields, weeks: int) -> Ground:
    trigger = frozenset(fields.wholes("trigger", 0, weeks - 1))
    is_special = fields.choice("class", _CLASSES, "unknown") == "special"
    opened = fields.whole("opened", 0, weeks - 1) if is_special or fields.has("opened") else None
    return Ground(trigger, opened if is_special else None, fields.whole("relock", 0, weeks, 0))


def _prediction(fields: Fields) -> Prediction | None:
    part = fields.part("prediction", ("size", "as"))
    if part is None:
        return None
    return Prediction(part.number("size", above=0), SizeUnit(part.choice("as", tuple(SizeUnit))))


def _balancing_series(fields: Fields) -> BalancingSeries | None:
    part = fields.part("balancing", ("better", "before", "after", "relock"))
    if part is None:
        return None
    before = part.weeks("before")
    return BalancingSeries(_is_higher(part), before, part.weeks("after"), part.whole("relock", 0, len(before), 0))


def _opening(fields: Fields) -> WindowTest | bool | None:
    part = fields.part("opening", ("baseline", "level", "bad", "silent"))
    if part is None:
        return None
    if part.has("silent"):
        return part.flag("silent")
    baseline, level = part.numbers("baseline"), part.number("level", above=0)
    if not _LEAST_BASELINE <= len(baseline) <= _GREATEST_BASELINE:
        raise part.refused("baseline", f"write {_LEAST_BASELINE} to {_GREATEST_BASELINE} numbers")
    if level >= 1:
        raise part.refused("level", "write a number less than 1")
    side = Side.HIGH if part.choice("bad", ("higher", "lower")) == "higher" else Side.LOW
    return WindowTest.of(baseline, side, Fraction(level))


def _is_higher(fields: Fields) -> bool:
    return fields.choice("better", _BETTER) == "higher"


def _look(look: ChangeLook) -> dict[str, Any]:
    return {
        "week": look.week,
        "points": look.points,
        "u": None if look.twice_u is None else look.twice_u / 2,
        "critical": look.critical,
        "needed": look.needed,
        "passed": look.passed,
    }


def _balancing(found: BalancingResult) -> dict[str, Any]:
    return {"worse_at": found.worse and found.worse.week, "unknown": found.unknown}


def _effect(effect: Effect, found: Verification) -> dict[str, Any]:
    return {
        "as": effect.unit,
        "estimate": float(effect.estimate),
        "low": _float(effect.low),
        "high": _float(effect.high),
        "flattering": found.conclusion.verdict is Verdict.VERIFIED and effect.is_flattering,
    }


def _float(value: Value | None) -> float | None:
    return None if value is None else float(value)
