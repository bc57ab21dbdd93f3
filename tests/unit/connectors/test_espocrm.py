"""Requests that a real EspoCRM 9.2.7 sent: genuine, and read in the order of their changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.connectors.base.messages import to_messages
from shared.connectors.base.source import Request, Unauthenticated
from shared.connectors.config import parse
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.what_if import find
from shared.runtime.instants import micros
from tests.support.webhooks import SAMPLES, sample
from tests.unit.connectors.test_round_trip import POLICY

VECTORS = {v["body_file"]: v for v in json.loads((SAMPLES / "espocrm-captured-vectors.json").read_text())["vectors"]}
HOOKS = {v["webhook_id"]: {"event": v["event"], "secrets": [v["secret_key"]]} for v in VECTORS.values()}
ESPO = parse(json.dumps({"sources": {"crm": {"kind": "espocrm", "webhooks": HOOKS}}}))["crm"]
CAME = datetime(2026, 11, 25, 3, 47, 30, tzinfo=UTC)


def request(name: str, without: str = "", body: bytes | None = None) -> Request:
    """A captured request, as it came or without one of its headers."""
    vector = VECTORS[f"espocrm-captured-{name}.json"]
    headers = {key.lower(): value for key, value in vector["headers"].items() if key.lower() != without}
    return Request("POST", headers, "", sample(vector["body_file"]) if body is None else body, CAME)


def told(name: str, body: bytes | None = None) -> list[DealEvent]:
    result = to_messages("crm", ESPO.translate(request(name, body=body)), CAME, "")
    assert not result.invalid, result.invalid
    return [DealEvent.model_validate_json(message.value) for message in result.messages]


def stage(events: list[DealEvent]) -> list[Any]:
    return [visit.stage for _, visit in find([event_of(event) for event in events], POLICY, micros(CAME)).visits]


@pytest.mark.parametrize("name", ["create", "update", "two-moves", "lost", "delete"])
@pytest.mark.parametrize("without", ["", "signature", "x-signature"])
def test_captured_requests_are_genuine_by_either_signature(name: str, without: str) -> None:
    ESPO.verify(request(name, without))

    with pytest.raises(Unauthenticated):
        ESPO.verify(request(name, without, request(name).body + b" "))


def test_what_is_understood_of_captured_requests() -> None:
    (created,), (moved,), (gone,) = told("create"), told("update"), told("delete")

    assert (created.type.value, created.time.isoformat()) == ("andon.deal.created", "2026-11-25T03:47:09+00:00")
    said = created.data.model_dump(exclude_none=True)
    assert said == {
        "stage": "Prospecting",
        "name": "Müller & Söhne – Erweiterung",
        "amount": said["amount"],
        "currency": "USD",
        "expected_close": created.data.expected_close,
    }
    assert (moved.type.value, moved.data.stage) == ("andon.deal.moved", "Proposal")
    assert (gone.type.value, gone.subject) == ("andon.deal.deleted", "crm:6b065a3d058a5c504")


def test_two_moves_of_a_deal_in_one_request_count_in_their_order() -> None:
    """Qualification, then Negotiation, between two runs of EspoCRM's job; and the other way round."""
    body = json.dumps(json.loads(request("two-moves").body)[::-1]).encode()

    assert stage(told("two-moves")) == stage(told("two-moves")[::-1]) == ["Negotiation"]
    assert stage(told("two-moves", body)) == ["Qualification"]


def test_there_and_back_in_one_request_ends_where_it_began() -> None:
    records = json.loads(request("two-moves").body)
    body = json.dumps([*records, records[0]]).encode()

    assert stage(told("two-moves", body)) == ["Qualification"]
