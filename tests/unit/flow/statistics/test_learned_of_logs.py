"""Limits, counts, problems of aging-learned, and chances of two whole logs."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import pytest

from services.cli.what_if import read_log
from services.cli.what_if_json import interval_json
from shared.flow.fold import fold
from shared.flow.known_visits import known_before
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver, source_of
from shared.flow.statistics.aging_learned import LearnedRule, problem_intervals
from shared.flow.statistics.chance import chances
from shared.flow.statistics.learned_limits import (
    LearnedVersion,
    StageHistory,
    learn,
    learned_limit,
    relearning_instants,
)
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Event, Visit, WithdrawnVisit
from shared.policy import load
from shared.runtime.instants import micros
from tests.support.outside import data

pytestmark = pytest.mark.slow
LOGS = ["shop", "bpic2012", "bpic2012/variation"]


@cache
def read(name: str) -> list[Event]:
    return read_log(str(data(name.split("/")[0], "events.jsonl.gz")), with_receipts=False).events


class WholeLog:
    """The history of each open stage of a log."""

    def __init__(self, name: str) -> None:
        self._folder, events = data(*name.split("/")), read(name)
        self.policy = load(self._folder / "policy.yaml")
        self.ruleset = Ruleset(self.policy)
        self.weeks = Weeks(min(event.key.time for event in events), self.policy.timezone)
        self.as_of = max(event.key.time for event in events)
        self.sources = {source_of(event.deal) for event in events}
        visits, withdrawn = _by_stage(events, StageResolver(self.policy, StageMap()))
        self.histories = {
            stage: StageHistory(visits[stage], withdrawn[stage], self.ruleset.clocks.of(*stage))
            for stage in self.ruleset.stages
        }

    def expected(self, name: str) -> Any:
        return json.loads((self._folder / f"expected-{name}.json").read_text())

    def learned_rules(self) -> Mapping[str, LearnedRule]:
        return {
            f"{name}/{stage}": LearnedRule(name, stage, rule, self.ruleset.clocks)
            for name, pipeline in self.policy.pipelines.items()
            for stage, rule in pipeline.learned_rules.items()
        }

    def versions(self, rule: LearnedRule) -> list[LearnedVersion]:
        history = self.histories[rule.pipeline, rule.stage]
        instants = relearning_instants(self.weeks, self.as_of)
        return learn(history, self.weeks.first_event, instants, rule.policy.budget)


log = cache(WholeLog)
Stages = defaultdict[tuple[str, str], list[Any]]


def _by_stage(events: list[Event], resolver: StageResolver) -> tuple[Stages, Stages]:
    deals, visits, withdrawn = defaultdict[str, list[Event]](list), Stages(list), Stages(list)
    for event in events:
        deals[event.deal].append(event)
    for deal in deals.values():
        state = fold(deal, resolver)
        one: Visit | WithdrawnVisit
        for one in state.visits:
            visits[one.pipeline, one.stage].append(one)
        for one in state.withdrawn:
            withdrawn[one.visit.pipeline, one.visit.stage].append(one)
    return visits, withdrawn


def near(found: Any, expected: Any) -> bool:
    if isinstance(expected, float):
        return found is not None and math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(near(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(near, found, expected))
    return bool(found == expected)


@pytest.mark.parametrize("name", LOGS)
def test_limits_as_of_some_instants(name: str) -> None:
    it, found = log(name), dict[str, Any]()
    for written in it.expected("learned"):
        at = micros(datetime.fromisoformat(written))
        rows = found[written] = {}
        for stage, (visits, withdrawn, clock) in it.histories.items():
            # What happens at the instant is known at it.
            limit = learned_limit(known_before(visits, withdrawn, at + 1), clock, at)
            seconds = None if limit.limit is None else limit.limit / 1_000_000
            rows["/".join(stage)] = {"finished": limit.finished, "open": limit.open, "limit_s": seconds}

    assert near(found, it.expected("learned"))


@pytest.mark.parametrize("name", ["shop", "bpic2012/variation"])
def test_limits_and_counts_of_every_week(name: str) -> None:
    it = log(name)
    found = {stage: [version.fields() for version in it.versions(rule)] for stage, rule in it.learned_rules().items()}

    assert near(found, it.expected("learned-counts"))


def test_problems_of_aging_learned() -> None:
    it, found = log("shop"), dict[str, Any]()
    for rule in it.learned_rules().values():
        visits = it.histories[rule.pipeline, rule.stage].visits
        intervals = problem_intervals(rule, visits, it.versions(rule), it.as_of)
        found[rule.key] = [{**interval_json(interval), "cause": "special"} for interval in intervals]

    assert found == {key: some for key, some in it.expected("problems")["problems"].items() if key in found}
    assert len(found) == 4


@pytest.mark.parametrize("name", ["shop", "bpic2012/variation"])
def test_chances_of_every_rule(name: str) -> None:
    it = log(name)
    found = chances(it.policy, it.histories, it.weeks, it.as_of, it.sources)

    assert near({key: chance.fields() for key, chance in found.items()}, it.expected("chance"))
