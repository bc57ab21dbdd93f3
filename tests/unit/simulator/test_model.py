"""The simulated company is the same for the same seed, tells its stories, and speaks HubSpot as HubSpot does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import orjson
import pytest

from services.simulator import dialects, run
from services.simulator.run import SimulationJournal
from shared.connectors.base.facts import Ignored
from shared.connectors.base.messages import to_messages
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.whatif import find
from shared.policy import load
from tests.support.webhooks import request, sample, source

END = datetime(2026, 7, 1, 9, tzinfo=UTC)
POLICY = load(Path(dialects.__file__).parents[2] / "demo" / "policy.yaml")


def canonical(end: datetime = END, seed: int = 7) -> list[bytes]:
    return [orjson.dumps(event) for one in run.history(seed, 180, end) for event in dialects.canonical(one)]


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    assert canonical() == canonical()
    assert canonical() != canonical(seed=8)


@pytest.mark.parametrize("end", [END, datetime(2026, 3, 30, 22, tzinfo=UTC), datetime(2026, 12, 28, 6, tzinfo=UTC)])
def test_a_manager_would_recognise_what_goes_wrong(end: datetime) -> None:
    events = [event_of(DealEvent.model_validate_json(line)) for line in canonical(end)]
    instant = int(end.timestamp() * 1_000_000)

    problems = find(events, POLICY, instant).problems

    open_now = {key for key, found in problems.items() if found and found[-1].cleared_at is None}
    assert {"aging/new/proposal", "wip-low/enterprise/discovery"} <= open_now
    assert problems["aging/enterprise/legal"]
    assert any(i.cleared_at for key, found in problems.items() if key.startswith("wip-high/new/") for i in found)
    assert len(problems["wip-low/enterprise/discovery"]) >= 2


def test_nothing_of_a_person_is_in_it() -> None:
    assert not any(word in line.lower() for line in canonical() for word in (b"owner", b"userid"))


def test_webhooks_have_the_fields_of_real_ones() -> None:
    real = {tuple(sorted(event)) for event in json.loads(sample("hubspot-deal-batch-legacy.json"))}
    told = islice(dialects.hubspot_events(run.history(7, 180, END)), 500)

    assert all(set(event) <= {name for fields in real for name in fields} for event in told)


def test_intake_understands_every_webhook_and_says_what_the_file_says() -> None:
    door = source("hubspot", "hubspot-demo", public_url="http://x.example/y")
    happened = list(run.history(7, 180, END))
    body = orjson.dumps(list(dialects.hubspot_events(happened)))

    said = door.translate(request(body, {}, END))
    result = to_messages("hubspot-demo", said, END, "")

    assert not result.invalid
    assert not [one for one in said if isinstance(one, Ignored)]
    moves = [m for m in map(orjson.loads, (m.value for m in result.messages)) if m["type"] == "andon.deal.moved"]
    written = [orjson.loads(line) for line in canonical()]
    assert [(m["subject"], m["time"], m["data"]["stage"]) for m in moves] == [
        (w["subject"], w["time"], w["data"]["stage"]) for w in written if w["type"] == "andon.deal.moved"
    ]


def test_the_journal_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file = tmp_path / "crm.json"
    journal = SimulationJournal.open(file, 7, 180, END)
    first = list(islice(run.ahead(journal), 60))
    journal.history, journal.live = True, 45
    journal.keep(file)

    again = SimulationJournal.open(file, 99, 1, datetime.now(UTC))

    assert again == journal
    assert list(islice(run.ahead(again), again.live, 60)) == first[45:]
