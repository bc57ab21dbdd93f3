"""The simulated company: reproducible by its seed, with the intended problems, and in HubSpot's own format."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path

import orjson
import pytest

from services.simulator import dialects, run
from services.simulator.dialects import DIALECTS
from services.simulator.model import DealChange
from services.simulator.run import SimulationJournal
from shared.connectors.base.facts import Ignored
from shared.connectors.base.messages import to_messages
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.what_if import find
from shared.policy import load
from tests.support.webhooks import request, sample, source

END = datetime(2026, 7, 1, 9, tzinfo=UTC)
POLICY = load(Path(dialects.__file__).parents[2] / "demo" / "policy.yaml")


@cache
def canonical(end: datetime = END) -> list[bytes]:
    return simulated(end)


def simulated(end: datetime = END, seed: int = 7) -> list[bytes]:
    return [orjson.dumps(event) for change in run.history(seed, 180, end) for event in dialects.canonical(change)]


def test_the_history_depends_on_the_seed_only() -> None:
    assert simulated() == canonical()
    assert simulated(seed=8) != canonical()


@pytest.mark.parametrize("end", [END, datetime(2026, 3, 30, 22, tzinfo=UTC), datetime(2026, 12, 28, 6, tzinfo=UTC)])
def test_every_disruption_becomes_a_problem(end: datetime) -> None:
    events = [event_of(DealEvent.model_validate_json(line)) for line in canonical(end)]
    instant = int(end.timestamp() * 1_000_000)

    problems = find(events, POLICY, instant).problems

    open_now = {key for key, found in problems.items() if found and found[-1].cleared_at is None}
    assert {"aging/new/proposal", "wip-low/enterprise/discovery"} <= open_now
    assert problems["aging/enterprise/legal"]
    assert any(i.cleared_at for key, found in problems.items() if key.startswith("wip-high/new/") for i in found)
    assert len(problems["wip-low/enterprise/discovery"]) >= 2


def test_no_person_occurs() -> None:
    assert not any(word in line.lower() for line in canonical() for word in (b"owner", b"userid"))


def test_webhooks_have_the_fields_of_real_ones() -> None:
    real = {tuple(sorted(event)) for event in json.loads(sample("hubspot-deal-batch-legacy.json"))}
    events = islice(dialects.hubspot_events(run.history(7, 180, END)), 500)

    assert all(set(event) <= {name for fields in real for name in fields} for event in events)


def test_intake_translates_every_webhook_to_the_events_of_the_file() -> None:
    hubspot = source("hubspot", "hubspot-demo", public_url="http://x.example/y")
    changes = list(run.history(7, 180, END))
    events = iter(dialects.hubspot_events(changes))

    facts = []
    while part := list(islice(events, 100)):
        facts += hubspot.translate(request(orjson.dumps(part), {}, END))
    result = to_messages("hubspot-demo", facts, END, "")

    assert not result.invalid
    assert not [fact for fact in facts if isinstance(fact, Ignored)]
    moves = [m for m in map(orjson.loads, (m.value for m in result.messages)) if m["type"] == "andon.deal.moved"]
    written = [orjson.loads(line) for line in canonical()]
    assert [(m["subject"], m["time"], m["data"]["stage"]) for m in moves] == [
        (w["subject"], w["time"], w["data"]["stage"]) for w in written if w["type"] == "andon.deal.moved"
    ]


def test_a_journal_resumes_where_it_stopped(tmp_path: Path) -> None:
    file = tmp_path / "crm.json"
    journal = SimulationJournal.open(file, 7, 180, END)
    first = list(islice(run.ahead(journal), 60))
    journal.history, journal.live = True, 45
    journal.save(file)

    again = SimulationJournal.open(file, 99, 1, datetime.now(UTC))

    assert again == journal
    assert list(islice(run.ahead(again), again.live, 60)) == first[45:]


@cache
def past_and_coming() -> tuple[list[DealChange], list[DealChange]]:
    """A month, and what comes after it."""
    ahead = run.ahead(SimulationJournal(seed=7, days=30, end=END))
    return list(run.history(7, 30, END)), list(islice(ahead, 60))


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_a_restarted_dialect_continues_with_the_deals_it_knew(kind: str) -> None:
    past, coming = past_and_coming()
    running, restarted = DIALECTS[kind](), DIALECTS[kind]()
    deque(running.history(past), maxlen=0)
    restarted.restore(past)

    for number, change in enumerate(coming):
        assert list(restarted.live(change, number)) == list(running.live(change, number))


def test_hubspot_sends_its_history_in_arrays_of_a_hundred_events() -> None:
    changes = list(run.history(7, 30, END))

    arrays = list(DIALECTS["hubspot"]().history(changes))

    assert {len(array) for array in arrays[:-1]} == {100}
    assert [event for array in arrays for event in array] == list(dialects.hubspot_events(changes))
