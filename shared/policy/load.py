"""Reads the policy file. Every fault is told in one go, each with its line, what is wrong and the way out."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shared.policy.model import CALENDAR, Outcome, Pipeline, Policy

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where."""

    line: int
    place: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.place}: {self.text}" if self.place else f"line {self.line}: {self.text}"


class PolicyError(Exception):
    """The policy cannot be used; `faults` holds all that is wrong."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(faults, key=lambda fault: fault.line)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def load(path: Path) -> Policy:
    """Read a policy file; raises PolicyError, also when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError([Fault(0, str(path), f"{error.strerror}; set ANDON_POLICY to the policy file")]) from None
    except UnicodeDecodeError as error:
        raise PolicyError([Fault(0, str(path), f"is not UTF-8 ({error.reason}); save it as UTF-8")]) from None
    return parse(text)


def parse(text: str) -> Policy:
    """Read a policy from text; raises PolicyError."""
    lines, document = _read(text)
    try:
        policy = Policy.model_validate(document)
    except ValidationError as error:
        raise PolicyError([_fault(e["loc"], _words(dict(e)), lines) for e in error.errors(include_url=False)]) from None
    faults = [_fault(place, words, lines) for place, words in _cross_checks(policy)]
    if faults:
        raise PolicyError(faults)
    return policy.sealed(hashlib.sha256(text.encode()).hexdigest()[:10])


class _Loader(yaml.SafeLoader):
    """Safe YAML; `09:00` stays text (YAML 1.1 would read a number in base 60)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:int" or first not in "0123456789"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[0-9]+$"), list("0123456789"))


def _read(text: str) -> tuple[dict[Path_, int], Any]:
    try:
        node = yaml.compose(text, Loader=_Loader)
        document = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise PolicyError([Fault(line, "", f"this is not YAML: {error.problem}; mend the text there")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PolicyError([Fault(0, "", f"this is not YAML: {error}; mend the text")]) from None
    lines: dict[Path_, int] = {}
    faults = list(_walk(node, (), lines))
    if faults:
        raise PolicyError(faults)
    return lines, document


def _walk(node: yaml.Node | None, place: Path_, lines: dict[Path_, int]) -> Iterator[Fault]:
    """Note the line of every place; a key that stands twice is a fault (YAML would take the last)."""
    if node is None:
        return
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            inner = (*place, str(key.value))
            if key.value in seen:
                yield Fault(key.start_mark.line + 1, _name(inner), "stands twice; keep one of them")
            seen.add(key.value)
            yield from _walk(value, inner, lines)
            lines[inner] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _walk(item, (*place, number), lines)


def _fault(place: Path_, words: str, lines: dict[Path_, int]) -> Fault:
    known = tuple(part for part in place)
    # Pydantic puts the rule's kind into the place of a rule's field: it is no place in the file.
    if len(known) > 4 and known[2] == "rules":
        known = (*known[:4], *known[5:])
    near = known
    while near and near not in lines:
        near = near[:-1]
    return Fault(lines.get(near, 1), _name(known), words)


def _name(place: Path_) -> str:
    return ".".join(str(part) for part in place)


def _words(error: dict[str, Any]) -> str:
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return "no such field; remove it or mend its name"
    if kind == "missing":
        return "is missing; add it"
    if kind == "union_tag_invalid":
        named = given.get("kind") if isinstance(given, dict) else given
        return f"kind {named!r} is not known; use aging, wip-high, wip-low or stalled"
    shown = f" (found {given!r})" if isinstance(given, str | int | float | bool) else ""
    return str(error["msg"]).removeprefix("Value error, ") + shown


def _cross_checks(policy: Policy) -> Iterator[tuple[Path_, str]]:
    """What no field can say alone."""
    for name in policy.clocks:
        if name == CALENDAR:
            yield ("clocks", name), "this name means 24 x 7; choose another"
    for key, pipeline in policy.pipelines.items():
        yield from _check_stages(policy, key, pipeline)
        yield from _check_rules(key, pipeline)


def _check_stages(policy: Policy, key: str, pipeline: Pipeline) -> Iterator[tuple[Path_, str]]:
    clocks = {CALENDAR, *policy.clocks}
    named = f"use one of {', '.join(sorted(clocks))}"
    if pipeline.clock not in clocks:
        yield ("pipelines", key, "clock"), f"clock {pipeline.clock!r} is not defined; {named}"
    counted = Counter(stage.id for stage in pipeline.stages)
    for number, stage in enumerate(pipeline.stages):
        place = ("pipelines", key, "stages", number)
        if counted[stage.id] > 1:
            yield place, f"stage {stage.id!r} stands twice; keep one of them"
        if stage.clock is not None and stage.clock not in clocks:
            yield (*place, "clock"), f"clock {stage.clock!r} is not defined; {named}"


def _check_rules(key: str, pipeline: Pipeline) -> Iterator[tuple[Path_, str]]:
    counted = Counter((rule.kind, rule.stage) for rule in pipeline.rules)
    for number, rule in enumerate(pipeline.rules):
        place = ("pipelines", key, "rules", number)
        stage = pipeline.stage(rule.stage)
        if stage is None:
            yield place, f"stage {rule.stage!r} is not a stage of this pipeline; use the id of one"
        elif stage.outcome is not Outcome.OPEN:
            yield place, f"stage {rule.stage!r} is {stage.outcome}: it holds no work; judge an open stage"
        if counted[rule.kind, rule.stage] > 1:
            yield place, f"a second {rule.kind} rule on stage {rule.stage!r}; keep one of them"
