"""The simulated half-year gives the same problems in every dialect as in our own format."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.simulator import dialects, run
from services.simulator.dialects import DIALECTS, Dialect
from services.simulator.dialects.base import Webhook
from shared.connectors.base.messages import to_messages
from shared.connectors.base.source import Request, Source
from shared.connectors.config import parse
from shared.contracts.events import DealEvent
from shared.contracts.stages import StageEvent
from shared.contracts.topics import EVENTS, STAGES
from shared.flow.events import event_of
from shared.flow.stage_facts import stage_fields
from shared.flow.stage_map import StageField, StageMap
from shared.flow.visits import Event
from shared.flow.what_if import find
from shared.kafka.publisher import OutgoingMessage
from shared.policy import load
from shared.runtime.instants import micros
from tests.support.examples import is_unit

END = datetime(2026, 6, 30, 12, tzinfo=UTC)
POLICY = load(Path(dialects.__file__).parents[2] / "demo" / "policy.yaml")
# Attio sends neither stages nor anything else that could be counted: docs/sources/attio.md.
KNOWS_NO_STAGES = {"attio"}
# In microseconds; EspoCRM sends the creation of a deal in whole seconds: docs/sources/espocrm.md.
PRECISION = {"espocrm": 1_000_000}
MILLISECOND = 1000


@cache
def source_of(dialect: type[Dialect]) -> Source:
    """The source that understands a dialect."""
    settings = {"kind": dialect.kind, "secrets": [dialect.secret], **dialect.settings}
    return parse(json.dumps({"sources": {"crm": settings}}))["crm"]


def told(source: Source, webhook: Webhook, now: datetime) -> list[DealEvent]:
    """The events that intake makes of a request that came at `now`, once it is shown to be genuine."""
    return [DealEvent.model_validate_json(m.value) for m in messages(source, webhook, now) if m.topic == EVENTS]


def messages(source: Source, webhook: Webhook, now: datetime) -> list[OutgoingMessage]:
    headers = {name.lower(): value for name, value in webhook.headers.items()}
    request = Request("POST", headers, webhook.query, webhook.body, now)
    source.verify(request)
    result = to_messages("crm", source.translate(request), now, "")
    assert not result.invalid, result.invalid
    return result.messages


@cache
def history() -> list[Any]:
    """The half-year before END, in `make unit` a quarter of it."""
    return list(run.history(7, 45 if is_unit() else 180, END))


def requests(dialect: type[Dialect]) -> Iterator[tuple[datetime, Webhook]]:
    crm = dialect()
    for happening in history():
        for webhook in crm.webhooks(happening):
            yield happening.time, webhook


@cache
def translated(kind: str) -> list[OutgoingMessage]:
    source = source_of(DIALECTS[kind])
    return [m for now, webhook in requests(DIALECTS[kind]) for m in messages(source, webhook, now)]


@cache
def events(kind: str) -> list[Event]:
    values = (m.value for m in translated(kind) if m.topic == EVENTS)
    return [event_of(DealEvent.model_validate_json(value)) for value in values]


@cache
def described(kind: str) -> list[StageField]:
    values = dict.fromkeys(m.value for m in translated(kind) if m.topic == STAGES)
    return [fact for value in values for fact in stage_fields(StageEvent.model_validate_json(value))]


def found(
    some: list[Event], unit: int = MILLISECOND, facts: Iterable[StageField] = ()
) -> tuple[dict[str, Any], set[Any]]:
    result = find(some, POLICY, micros(END), StageMap.of(facts))
    visits = {(v.pipeline, v.stage, v.entered // unit, v.left and v.left // unit) for _, v in result.visits}
    problems = {
        key: [(i.opened_at // unit, i.cleared_at and i.cleared_at // unit, i.peak) for i in intervals]
        for key, intervals in result.problems.items()
        if intervals
    }
    return problems, visits


@cache
def plainly(unit: int) -> tuple[dict[str, Any], set[Any]]:
    return found(plain(history()), unit)


def plain(some: list[Any]) -> list[Event]:
    """Happenings as Andon's own events."""
    return [event_of(DealEvent.model_validate(event)) for one in some for event in dialects.canonical(one)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(DIALECTS.keys() - KNOWS_NO_STAGES))
def test_every_dialect_gives_the_same_visits_and_problems(kind: str) -> None:
    unit = PRECISION.get(kind, MILLISECOND)
    problems, visits = plainly(unit)

    assert len(problems) >= 4
    assert found(events(kind), unit, described(kind)) == (problems, visits)


def test_attio_tells_of_deals_and_of_no_stage() -> None:
    assert found(events("attio")) == ({}, set())
    assert len({event.deal for event in events("attio")}) == len({one.deal for one in history()})


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_order_and_repetition_change_nothing(kind: str) -> None:
    mixed = events(kind) + random.Random(kind).sample(events(kind), len(events(kind)) // 3)
    random.Random(kind).shuffle(mixed)
    facts = described(kind) + described(kind)[:100]
    random.Random(kind).shuffle(facts)

    assert found(mixed, facts=facts) == found(events(kind), facts=described(kind))


@pytest.mark.parametrize("kind", ["hubspot", "espocrm"])
def test_arrays_may_be_joined_and_split(kind: str) -> None:
    """Many arrays become one, and one becomes many."""
    dialect = DIALECTS[kind]()
    source = source_of(DIALECTS[kind])
    bodies = [json.loads(w.body) for one in history()[:200] if not one.created for w in dialect.webhooks(one)]
    joined = [one for body in bodies for one in body]
    now = END if kind == "espocrm" else history()[200].time + timedelta(seconds=1)

    def events_of(arrays: list[Any]) -> set[Any]:
        signed = [dialect.sign(json.dumps(array).encode(), now) for array in arrays]
        return {(e.subject, e.type, e.time, str(e.data)) for webhook in signed for e in told(source, webhook, now)}

    assert events_of([joined]) == events_of([[one] for one in joined]) == events_of(bodies)
    assert len(joined) > 50
