"""`andon verify`, question `count`: the count that chance seldom reaches, and how often it reaches others."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import lcm
from typing import Any

from shared.flow.rules.rule import Span
from shared.flow.statistics.columns import Value
from shared.flow.statistics.crossings import CrossingModel, crossings_of
from shared.flow.statistics.questions.fields import Fields
from shared.policy.rule_checks import BUDGET

_MOMENTS = ("mean", "variance", "reached", "busy_rate")
_KNOWN = ("ask", "spans", "window_days", "budget", "at", *_MOMENTS)
# Beyond these the counts that are searched become too many.
_GREATEST_MEAN, _GREATEST_VARIANCE, _GREATEST_RATE, _GREATEST_NUMBER = 100_000, 10**10, 10**9, 1_000_001
_LEAST_WINDOW = Fraction(1, 1000)
_SPAN = "write [from, to] in days, to not before from, or null for one that lasts"


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Rates are of a day. `per_quarter`: at the count; `per_quarter_at`: None for 0."""
    fields = Fields(question, _KNOWN)
    window = _between(fields, "window_days", _LEAST_WINDOW, _GREATEST_RATE)
    model = _from_spans(fields, window) if fields.has("spans") else _from_moments(fields, window)
    count = model.least_number(Fraction(fields.number("budget", BUDGET, above=0)))
    return {
        "usual": float(model.mean),
        "variance_seen": model.seen_variance,
        "reached": model.reached,
        "busy_rate": model.busy_rate,
        "variance": model.variance,
        "count": count,
        "clears_at_count": model.clears_at,
        "per_quarter": model.openings(count),
        "per_quarter_at": {
            str(number): model.openings(number) if number else None
            for number in fields.wholes("at", 0, _GREATEST_NUMBER)
        },
    }


def _from_moments(fields: Fields, window: Value) -> CrossingModel:
    return CrossingModel(
        Fraction(_between(fields, "mean", 0, _GREATEST_MEAN)),
        float(_between(fields, "variance", 0, _GREATEST_VARIANCE)),
        fields.whole("reached", 0, _GREATEST_RATE),
        float(_between(fields, "busy_rate", 0, _GREATEST_RATE, default=0)),
        float(window),
    )


def _from_spans(fields: Fields, window: Value) -> CrossingModel:
    """Times become integers: parts of a day so small that each is a whole number of them."""
    for name in _MOMENTS:
        if fields.has(name):
            raise fields.refused(name, "remove it, or the spans that it would come from")
    spans = [_span(fields, span) for span in fields.items("spans")]
    day = lcm(*(Fraction(end).denominator for end in (window, *(x for span in spans for x in span if x is not None))))
    scaled: list[Span] = [(int(start * day), None if end is None else int(end * day)) for start, end in spans]
    return crossings_of(scaled, 0, int(window * day), day).model


def _span(fields: Fields, written: object) -> tuple[Value, Value | None]:
    if not isinstance(written, list) or len(written) != len(("from", "to")):
        raise fields.refused("spans", _SPAN)
    start, end = written
    if not _is_number(start) or not (end is None or (_is_number(end) and end >= start)):
        raise fields.refused("spans", _SPAN)
    return start, end


def _is_number(value: object) -> bool:
    return isinstance(value, int | Fraction) and not isinstance(value, bool)


def _between(fields: Fields, name: str, least: Value, greatest: int, default: int | None = None) -> Value:
    value = fields.number(name, default)
    if not least <= value <= greatest:
        raise fields.refused(name, f"write a number from {least} to {greatest}")
    return value
