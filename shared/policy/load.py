"""Reads the policy file and reports every fault at once, each with its line, what is wrong and the way out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from shared.policy.model import CALENDAR, Pipeline, Policy, StageOutcome
from shared.runtime.validation import error_text, root_causes
from shared.runtime.yaml_file import Fault, FaultsError, KeyPath, Lines, fault_at, read_text, read_yaml


class PolicyError(FaultsError):
    """The policy cannot be used; `faults` lists everything that is wrong."""


def load(path: Path) -> Policy:
    """Read a policy file; raises PolicyError, also when it cannot be read."""
    try:
        text = read_text(path, "ANDON_POLICY")
    except FaultsError as error:
        raise PolicyError(error.faults) from None
    return parse(text)


def parse(text: str) -> Policy:
    """Read a policy from text; raises PolicyError."""
    try:
        lines, document = read_yaml(text)
        policy = Policy.model_validate(document)
    except FaultsError as error:
        raise PolicyError(error.faults) from None
    except ValidationError as error:
        errors = root_causes(error.errors(include_url=False))
        faults = [_fault(one["loc"], error_text(one), lines) for one in errors]
        raise PolicyError(faults) from None
    faults = [_fault(path, words, lines) for path, words in _cross_checks(policy)]
    if faults:
        raise PolicyError(faults)
    return policy.with_digest(hashlib.sha256(text.encode()).hexdigest()[:10])


def _fault(path: KeyPath, words: str, lines: Lines) -> Fault:
    # Pydantic puts the kind of a rule into the path of its fields; the file has no such level.
    if len(path) > 4 and path[2] == "rules":
        path = (*path[:4], *path[5:])
    return fault_at(path, words, lines)


def _cross_checks(policy: Policy) -> Iterator[tuple[KeyPath, str]]:
    """What takes more than one field to check."""
    for name in policy.clocks:
        if name == CALENDAR:
            yield ("clocks", name), "this name means 24 x 7; choose another"
    for key, pipeline in policy.pipelines.items():
        yield from _check_stages(policy, key, pipeline)
        yield from _check_rules(key, pipeline)


def _check_stages(policy: Policy, key: str, pipeline: Pipeline) -> Iterator[tuple[KeyPath, str]]:
    clocks = {CALENDAR, *policy.clocks}
    named = f"use one of {', '.join(sorted(clocks))}"
    if pipeline.clock not in clocks:
        yield ("pipelines", key, "clock"), f"clock {pipeline.clock!r} is not defined; {named}"
    counted = Counter(stage.id for stage in pipeline.stages)
    for number, stage in enumerate(pipeline.stages):
        path = ("pipelines", key, "stages", number)
        if counted[stage.id] > 1:
            yield path, f"stage {stage.id!r} appears twice; keep one of them"
        if stage.clock is not None and stage.clock not in clocks:
            yield (*path, "clock"), f"clock {stage.clock!r} is not defined; {named}"


def _check_rules(key: str, pipeline: Pipeline) -> Iterator[tuple[KeyPath, str]]:
    counted = Counter((rule.kind, rule.stage) for rule in pipeline.rules)
    for number, rule in enumerate(pipeline.rules):
        path = ("pipelines", key, "rules", number)
        stage = pipeline.stage(rule.stage)
        if stage is None:
            yield path, f"stage {rule.stage!r} is not a stage of this pipeline; use the id of one"
        elif stage.outcome is not StageOutcome.OPEN:
            yield path, f"stage {rule.stage!r} is {stage.outcome}: it holds no work; judge an open stage"
        if counted[rule.kind, rule.stage] > 1:
            yield path, f"a second {rule.kind} rule on stage {rule.stage!r}; keep one of them"
