"""The small cases with their reasoning, and the real log, through the pure core."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from services.cli.what_if_json import interval_json
from shared.contracts.envelope import iso
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.what_if import Found, find
from shared.policy import load, parse
from shared.runtime.instants import micros, moment

CASES = json.loads((Path(__file__).parents[2] / "data" / "edge-cases.json").read_text())["cases"]


def problems(found: Found) -> dict[str, list[dict[str, Any]]]:
    return {key: [interval_json(i) for i in some] for key, some in found.problems.items()}


def visits(found: Found) -> list[list[Any]]:
    return sorted(
        [deal, v.pipeline, v.stage, iso(moment(v.entered)), None if v.left is None else iso(moment(v.left)), v.known]
        for deal, v in found.visits
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_edge_case(case: dict[str, Any]) -> None:
    policy = parse(json.dumps(case["policy"]))
    events = [event_of(DealEvent.model_validate(event)) for event in case["events"]]

    found = find(events, policy, micros(datetime.fromisoformat(case["as_of"])))

    assert problems(found) == case["problems"], case["why"]
    assert visits(found) == sorted(case["visits"]), case["why"]


@pytest.mark.slow
def test_the_real_log_gives_exactly_the_expected_intervals(bpic2012: Path) -> None:
    with gzip.open(bpic2012 / "events.jsonl.gz") as lines:
        events = [event_of(DealEvent.model_validate_json(line)) for line in lines]
    expected = json.loads((bpic2012 / "expected-problems.json").read_text())

    found = find(events, load(bpic2012 / "policy.yaml"), events[-1].key.time)

    assert problems(found) == expected["problems"]
    assert iso(moment(found.as_of)) == expected["as_of"]
    assert len(found.visits) == 52_506
