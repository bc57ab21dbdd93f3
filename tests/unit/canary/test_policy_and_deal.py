"""The canary's deal under the canary's policy: each run opens a problem anew, whatever an earlier run left behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.connectors.base.facts import DealFact
from shared.connectors.base.source import Request, Unauthenticated
from shared.connectors.canary import canary_source, webhook
from shared.connectors.config import parse as parse_sources
from shared.contracts.canary import CANARY, CANARY_DEAL, CANARY_STAGE
from shared.contracts.events import DealData, DealEvent, EventType
from shared.flow.events import event_of
from shared.flow.fold import fold
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import Event
from shared.policy import PolicyError, parse
from shared.policy.canary import canary_policy
from shared.runtime.instants import micros
from shared.runtime.yaml_file import FaultsError
from tests.support.problems import POLICY

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECRET = "any long text"
RESOLVER = StageResolver(canary_policy(), StageMap())


def run(minute: int, leaves: bool) -> list[Event]:
    """The events of one run. `leaves`: it was not stopped half-way."""
    at = NOW + timedelta(minutes=minute)
    kinds = [(EventType.LOST, at), (EventType.MOVED, at + timedelta(milliseconds=1))]
    kinds += [(EventType.WON, at + timedelta(seconds=9))] if leaves else []
    return [event_of(_event(f"{minute}-{kind}", kind, when)) for kind, when in kinds]


def _event(name: str, kind: EventType, at: datetime) -> DealEvent:
    where = DealData(pipeline=CANARY, stage=CANARY_STAGE) if kind is EventType.MOVED else DealData()
    return DealEvent.new(id=name, source=CANARY, type=kind, subject=CANARY_DEAL, time=at, data=where)


@pytest.mark.parametrize("first_leaves", [True, False])
def test_each_run_enters_the_stage_anew(first_leaves: bool) -> None:
    visits = fold([*run(0, first_leaves), *run(5, True), *run(10, False)], RESOLVER).visits

    entered = [micros(NOW + timedelta(minutes=minute, milliseconds=1)) for minute in (0, 5, 10)]
    assert sorted(visit.entered for visit in visits) == entered
    assert {(visit.pipeline, visit.stage) for visit in visits} == {(CANARY, CANARY_STAGE)}
    assert [visit.left is None for visit in sorted(visits, key=lambda visit: visit.entered)] == [False, False, True]


def test_one_deal_in_its_stage_is_a_problem_at_once() -> None:
    (rule,) = Ruleset(canary_policy()).rules

    assert (rule.threshold, rule.hold, rule.clear_hold) == (0, 0, 0)


def request(secret: str, kind: EventType) -> Request:
    sent = webhook(secret, "run-", kind, NOW, NOW)
    return Request("POST", dict(sent.headers), "", sent.body, NOW)


@pytest.mark.parametrize("kind", [EventType.LOST, EventType.MOVED, EventType.WON])
def test_its_source_accepts_what_it_signs(kind: EventType) -> None:
    source = canary_source(SECRET)[CANARY]
    source.verify(request(SECRET, kind))
    (fact,) = source.translate(request(SECRET, kind))

    assert isinstance(fact, DealFact)
    assert (fact.type, fact.deal, fact.time) == (kind, "deal", NOW)


def test_its_source_refuses_what_another_secret_signed() -> None:
    with pytest.raises(Unauthenticated):
        canary_source(SECRET)[CANARY].verify(request("another long text", EventType.MOVED))


def test_without_a_secret_there_is_no_source() -> None:
    assert canary_source("") == {}


def test_no_sources_file_and_no_policy_may_use_its_name() -> None:
    with pytest.raises(FaultsError, match="this name is the canary's"):
        parse_sources(f"sources: {{{CANARY}: {{kind: cloudevents, secrets: [a-long-secret]}}}}")
    with pytest.raises(PolicyError, match="this name is the canary's"):
        parse(POLICY.replace("  new:", f"  {CANARY}:"))
