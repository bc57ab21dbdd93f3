"""Reads the policy file and reports every fault at once, each with its line, what is wrong and the way out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.contracts.canary import CANARY
from shared.policy.model import CALENDAR, Policy
from shared.policy.recipient_checks import check_recipients
from shared.policy.rule_checks import check_budget, check_rules, check_silence
from shared.runtime.validation import error_text, root_causes
from shared.runtime.yaml_file import Fault, FaultsError, KeyPath, Lines, fault_at, read_faulty_yaml, read_text


class PolicyError(FaultsError):
    """The policy cannot be used; `faults` lists everything that is wrong."""


def load(path: Path) -> Policy:
    """Read a policy file; raises PolicyError, also when it cannot be read."""
    try:
        text = read_text(path, "ANDON_POLICY")
    except FaultsError as error:
        raise PolicyError(error.faults) from None
    return parse(text)


@lru_cache(8)
def parse(text: str) -> Policy:
    """Read a policy from text; raises PolicyError. A service asks for the same one several times while it starts."""
    try:
        lines, document, faulty = read_faulty_yaml(text)
    except FaultsError as error:
        raise PolicyError(error.faults) from None
    faults = [*faulty, *(fault_at(path, words, lines) for path, words in _cross_checks(document))]
    try:
        policy = Policy.model_validate(document)
    except ValidationError as error:
        errors = root_causes(error.errors(include_url=False))
        raise PolicyError([*(_fault(one["loc"], error_text(one), lines) for one in errors), *faults]) from None
    if faults:
        raise PolicyError(faults)
    return policy.with_digest(hashlib.sha256(text.encode()).hexdigest()[:10])


def _fault(path: KeyPath, words: str, lines: Lines) -> Fault:
    # Pydantic puts the kind of a rule into the path of its fields; the file has no such level.
    if len(path) > 4 and path[2] == "rules":
        path = (*path[:4], *path[5:])
    return fault_at(path, words, lines)


def _cross_checks(document: Any) -> Iterator[tuple[KeyPath, str]]:
    """What takes more than one field to check. Reads the file as written: other fields may be wrong."""
    clocks = {CALENDAR, *_group(_group(document).get("clocks"))}
    if CALENDAR in _group(_group(document).get("clocks")):
        yield ("clocks", CALENDAR), "this name means 24 x 7; choose another"
    for key, written in _group(_group(document).get("pipelines")).items():
        pipeline, path = _group(written), ("pipelines", key)
        if key == CANARY:
            yield path, "this name is the canary's, which needs no entry; choose another"
        stages = _entries(pipeline.get("stages"))
        yield from _check_clock(pipeline, path, clocks)
        yield from _check_stages(stages, (*path, "stages"), clocks)
        rules = _entries(pipeline.get("rules"))
        yield from check_rules(rules, (*path, "rules"), stages)
        yield from check_budget(key, pipeline, rules, stages, path)
    yield from check_recipients(_group(_group(document).get("pipelines")))
    yield from check_silence(_entries(_group(document).get("silence")), ("silence",))


def _group(written: Any) -> dict[str, Any]:
    return written if isinstance(written, dict) else {}


def _entries(written: Any) -> list[dict[str, Any]]:
    return [_group(entry) for entry in written] if isinstance(written, list) else []


def _check_clock(written: dict[str, Any], path: KeyPath, clocks: set[str]) -> Iterator[tuple[KeyPath, str]]:
    clock = written.get("clock")
    if isinstance(clock, str) and clock not in clocks:
        yield (*path, "clock"), f"clock {clock!r} is not defined; use one of {', '.join(sorted(clocks))}"


def _check_stages(stages: list[dict[str, Any]], path: KeyPath, clocks: set[str]) -> Iterator[tuple[KeyPath, str]]:
    counted = Counter(str(stage.get("id")) for stage in stages)
    for number, stage in enumerate(stages):
        name = stage.get("id")
        if isinstance(name, str) and counted[name] > 1:
            yield (*path, number), f"stage {name!r} appears twice; keep one of them"
        yield from _check_clock(stage, (*path, number), clocks)
