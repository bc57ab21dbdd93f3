"""For any input, every message is a valid event or dead letter, and order and splitting change nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connectors.base.facts import DealFact, StageFact
from shared.connectors.base.messages import MAX_ID_LENGTH, TranslationResult, to_messages
from shared.contracts.dead import DeadEvent, DeadReason
from shared.contracts.events import DealEvent, EventType
from shared.contracts.stages import StageEvent
from tests.support.histories import wild
from tests.support.webhooks import NOW, request, sample, source

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ANY_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
_TYPES = [
    f"{a}.{b}" for a in ("deal", "object") for b in ("creation", "deletion", "restore", "merge", "propertyChange")
]
_PROPERTIES = ["dealstage", "pipeline", "amount", "dealname", "closedate", "notes_next_activity_date", "x"]


def almost(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return right | ANY_JSON


HUBSPOT_EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "subscriptionType": almost(st.sampled_from(_TYPES)),
            "objectId": almost(st.integers(1, 5)),
            "portalId": almost(st.just(1)),
            "eventId": almost(st.integers(1, 9)),
            "occurredAt": almost(st.integers(0, 2 * 10**12)),
        },
        optional={
            "objectTypeId": almost(st.just("0-3")),
            "propertyName": almost(st.sampled_from(_PROPERTIES)),
            "propertyValue": almost(st.text(max_size=8) | st.integers(0, 10**13).map(str)),
            "mergedObjectIds": almost(st.lists(st.integers(1, 5), max_size=3)),
            "newObjectId": almost(st.integers(1, 5)),
        },
    )
    | ANY_JSON,
    max_size=6,
)


def messages(kind: str, body: bytes, headers: dict[str, str]) -> TranslationResult:
    door = source(kind)
    return to_messages("acme", door.translate(request(body, headers)), NOW, "t.")


def check(result: TranslationResult) -> None:
    """Everything that goes to Kafka can be read by the contract, under its key."""
    for message in result.messages:
        if message.topic == "t.pipeline.events":
            event = DealEvent.model_validate_json(message.value)
            assert event.subject.encode() == message.key
            assert event.time <= NOW + timedelta(minutes=5)
        elif message.topic == "t.pipeline.stages":
            described = StageEvent.model_validate_json(message.value)
            assert described.data.key.encode() == message.key
            assert described.time <= NOW + timedelta(minutes=5)
        else:
            assert message.topic == "t.pipeline.events.dead"
            assert DeadEvent.model_validate_json(message.value).data.detail
    assert len(result.messages) == result.accepted + result.described + len(result.invalid)


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


@given(HUBSPOT_EVENTS)
def test_whatever_hubspot_sends_becomes_valid_messages(events: list[Any]) -> None:
    check(messages("hubspot", dumps(events), {}))


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "source", "specversion", "type", "time", "subject", "data"]),
            almost(st.sampled_from(["1.0", "deal.moved", "2026-03-10T09:00:00Z", {"id": "1", "stage": "s"}])),
        ),
        max_size=4,
    )
)
def test_whatever_comes_as_a_batch_of_cloudevents_becomes_valid_messages(events: list[Any]) -> None:
    check(messages("cloudevents", dumps(events), {"Content-Type": "application/cloudevents-batch+json"}))


@given(
    st.dictionaries(
        st.sampled_from(["type", "timestamp", "data"]),
        almost(st.sampled_from(["deal.moved", "2026-03-10T09:00:00Z", {"id": "1", "stage": "s"}])),
    )
)
def test_whatever_comes_as_a_standard_webhook_becomes_valid_messages(document: Any) -> None:
    check(messages("standardwebhooks", dumps(document), {"webhook-id": "m1"}))


@given(st.binary(max_size=200), st.sampled_from(["hubspot", "cloudevents", "standardwebhooks"]))
def test_whatever_bytes_come_are_kept_and_never_crash(body: bytes, kind: str) -> None:
    headers = {"webhook-id": "m1", "Content-Type": "application/cloudevents+json"}

    check(messages(kind, body, headers))


def facts(result: TranslationResult) -> set[bytes]:
    return {message.value for message in result.messages}


@given(st.permutations(json.loads(sample("hubspot-deal-batch-generic.json"))), st.integers(0, 6))
def test_order_splitting_and_repeating_give_the_same_set_of_events(events: list[Any], cut: int) -> None:
    whole = facts(messages("hubspot", sample("hubspot-deal-batch-generic.json"), {}))

    parts = [events[:cut], events[cut:], events[:2]]

    assert set().union(*(facts(messages("hubspot", dumps(part), {})) for part in parts)) == whole


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe[]",
        b"[" * 10_000,
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":1e999}',
        b'"\\ud800"',
        "ä".encode("latin-1"),
    ],
)
def test_what_is_not_json_is_a_dead_letter_that_says_so(body: bytes) -> None:
    result = messages("hubspot", body, {})

    assert result.accepted == 0
    assert [letter.raw for letter in result.invalid] == [body]


def test_a_time_in_the_future_is_refused_to_the_dead_letters() -> None:
    ahead = int((NOW + timedelta(minutes=6)).timestamp() * 1000)
    body = dumps(
        [{"subscriptionType": "deal.creation", "objectId": 1, "portalId": 1, "eventId": 1, "occurredAt": ahead}]
    )

    result = messages("hubspot", body, {})

    assert [letter.reason for letter in result.invalid] == [DeadReason.IN_THE_FUTURE]


@pytest.mark.parametrize("year", [1969, 1970])
def test_a_time_of_a_wrong_clock_or_unit_is_told_the_way_out(year: int) -> None:
    time = NOW.replace(year=year)
    result = to_messages("acme", [DealFact(EventType.MOVED, "1", "7", time, {"stage": "a"})], NOW, "")

    (letter,) = [DeadEvent.model_validate_json(message.value) for message in result.messages]
    assert (result.accepted, letter.data.reason) == (0, DeadReason.UNTRANSLATABLE)
    assert "is before 1971; correct" in letter.data.detail


@pytest.mark.parametrize("time", ["1969-12-31T23:59:59.999000Z", "9999-01-01T00:00:00.000000Z"])
def test_an_entry_that_nothing_can_be_counted_from_is_left_out_and_reported(time: str) -> None:
    data = {"stage": "a", "entered_at": time}
    result = to_messages("acme", [DealFact(EventType.MOVED, "1", "7", NOW, data)], NOW, "")

    assert json.loads(result.messages[0].value)["data"] == {"stage": "a"}
    ((field, detail),) = result.left_out
    assert field == "entered_at"
    assert f"{time} is outside" in detail


@pytest.mark.parametrize("longest", [wild(200), "/" * 200], ids=["four bytes", "escaped"])
def test_the_longest_ids_that_a_source_takes_are_no_dead_letters(longest: str) -> None:
    name = "a" * 60
    data = {"pipeline": longest, "stage": longest, "into": f"{name}:{longest}"}
    said = [
        DealFact(EventType.MOVED, wild(MAX_ID_LENGTH), longest, NOW, data),
        StageFact(NOW, {"pipeline": longest, "stage": longest, "name": "x", "pipeline_name": "y"}),
    ]

    result = to_messages(name, said, NOW, "t.")

    check(result)
    assert (result.accepted, result.described) == (1, 1)
