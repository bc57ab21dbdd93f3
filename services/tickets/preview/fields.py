"""Which numbers of a pipeline's rules a page lets people try, how they are read, and the policy that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from shared.policy import AgingLearnedRule, CountRule, Mode, Pipeline
from shared.policy.durations import parse_duration
from shared.policy.edit import RuleChange
from shared.policy.model import BottleneckRule
from shared.policy.numbers import decimal, positive

_MOST = 1_000_000
MODES = tuple(mode.value for mode in Mode)
# The rules that can be added: a kind with the fields that it needs.
NEW_KINDS: Mapping[str, tuple[str, ...]] = {
    get_args(rule.model_fields["kind"].annotation)[0]: tuple(
        name for name in ("limit", "count", "max", "min") if name in rule.model_fields
    )
    for rule in get_args(CountRule)
}


@dataclass(frozen=True)
class TriedField:
    """One number that can be tried. `name`: of the form's field; `written`: its value in force."""

    name: str
    key: str
    label: str
    written: str
    check: Callable[[str], object]


@dataclass(frozen=True)
class TriedRule:
    """One entry of the policy. `stage`: None for the one that covers all stages without an entry of their own."""

    kind: str
    stage: str | None
    is_learned: bool
    fields: Sequence[TriedField]


@dataclass(frozen=True)
class TriedWish:
    """What a form asks: the changed fields by name, as typed, and what is wrong with them, by name."""

    changed: dict[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    rules: Sequence[RuleChange] = ()
    pipeline: Mapping[str, str] = field(default_factory=dict)


FALSE_ALARMS = "false_alarms"
NEW_KIND, NEW_STAGE, NEW_LIMIT, NEW_NUMBER = "new.kind", "new.stage", "new.limit", "new.number"


def rules_of(pipeline: Pipeline) -> list[TriedRule]:
    """The rules on counts, those that learn their limits, and those on bottlenecks."""
    found = []
    for rule in pipeline.rules:
        if isinstance(rule, CountRule | AgingLearnedRule | BottleneckRule):
            stage = rule.stage
            fields = [_field(rule.kind, stage, *one) for one in _written(rule)]
            found.append(TriedRule(rule.kind, stage, isinstance(rule, AgingLearnedRule), fields))
    return found


def read_wish(query: Mapping[str, str], pipeline: Pipeline) -> TriedWish:
    """Read a form. A field that is empty, or as in force, asks for nothing."""
    changed, faults = dict[str, str](), dict[str, str]()
    changes = []
    for rule in rules_of(pipeline):
        values = {}
        for one in rule.fields:
            typed = query.get(one.name, "").strip()
            if typed and typed != one.written:
                changed[one.name] = values[one.key] = typed
                _note(faults, one.name, one.label, one.check, typed)
        if values:
            changes.append(RuleChange(rule.kind, rule.stage, values))
    own = {}
    typed = query.get(FALSE_ALARMS, "").strip()
    if typed and typed != decimal(pipeline.false_alarms):
        changed[FALSE_ALARMS] = own[FALSE_ALARMS] = typed
        _note(faults, FALSE_ALARMS, "False tickets", positive, typed)
    if query.get(NEW_KIND):
        changed |= {name: query[name].strip() for name in _NEW if query.get(name, "").strip()}
        changes += _new_rule(changed, faults, pipeline)
    return TriedWish(changed, faults, changes, own)


_NEW = (NEW_KIND, NEW_STAGE, NEW_LIMIT, NEW_NUMBER)


def _new_rule(typed: Mapping[str, str], faults: dict[str, str], pipeline: Pipeline) -> Iterator[RuleChange]:
    kind, stage = typed[NEW_KIND], typed.get(NEW_STAGE, "")
    if kind not in NEW_KINDS:
        faults[NEW_KIND] = f"{kind[:40]!r} is no kind that can be added here; choose one of the list."
        return
    if stage not in pipeline.open_stages:
        faults[NEW_STAGE] = f"{stage[:40]!r} is no open stage of this pipeline; choose one of the list."
    if any((rule.kind, rule.stage) == (kind, stage) for rule in rules_of(pipeline)):
        faults[NEW_STAGE] = "This stage has such a rule already; change its numbers above."
    values, (number, *_) = {}, NEW_KINDS[kind][::-1]
    if "limit" in NEW_KINDS[kind]:
        values["limit"] = typed.get(NEW_LIMIT, "")
        _note(faults, NEW_LIMIT, _LABELS["limit"], parse_duration, values["limit"])
    values[number] = typed.get(NEW_NUMBER, "")
    _note(faults, NEW_NUMBER, "Number of deals", _CHECKS[number], values[number])
    yield RuleChange(kind, stage, values, is_new=True)


def _note(faults: dict[str, str], name: str, label: str, check: Callable[[str], object], typed: str) -> None:
    try:
        check(typed)
    except ValueError as error:
        text = str(error)
        told = text if text.startswith(repr(typed)) else f"{typed[:40]!r} {text}"
        faults[name] = f"{label}: {told[:200]}."


def _field(kind: str, stage: str | None, key: str, written: str) -> TriedField:
    return TriedField(f"{kind}.{stage or ''}.{key}", key, _LABELS[key], written, _CHECKS[key])


def _written(rule: CountRule | AgingLearnedRule | BottleneckRule) -> Iterator[tuple[str, str]]:
    """The fields that decide what the rule finds, as they are written."""
    known: dict[str, Any] = {name: getattr(rule, name, None) for name in _LABELS}
    for name, value in known.items():
        if name == "hold" and isinstance(rule, CountRule):
            yield name, rule.hold_length.text
        elif name == "clear_hold" and not isinstance(rule, BottleneckRule):
            yield name, (rule.clear_hold_length if isinstance(rule, CountRule) else rule.clear_hold).text
        elif name == "budget" and isinstance(rule, AgingLearnedRule):
            yield name, decimal(rule.budget)
        elif name == "mode":
            yield name, rule.mode.value
        elif name in type(rule).model_fields and name not in ("hold", "clear_hold", "budget"):
            yield name, value.text if name == "limit" else str(value)


def _whole(least: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) and least <= int(text) <= _MOST:
            return int(text)
        raise ValueError(f"is not a whole number from {least} to {_MOST:,}; write one, such as {max(least, 5)}")

    return check


def _mode(text: str) -> str:
    if text in MODES:
        return text
    raise ValueError(f"is no mode; choose {', '.join(MODES)}")


_LABELS = {
    "limit": "Older than",
    "count": "From how many deals on",
    "max": "More deals than",
    "min": "Fewer deals than",
    "hold": "Lasting for",
    "clear_hold": "Over after a break of",
    "budget": "Openings a quarter by chance",
    "mode": "Mode",
}
_CHECKS: Mapping[str, Callable[[str], object]] = {
    "limit": parse_duration,
    "count": _whole(1),
    "max": _whole(0),
    "min": _whole(1),
    "hold": parse_duration,
    "clear_hold": parse_duration,
    "budget": positive,
    "mode": _mode,
}
