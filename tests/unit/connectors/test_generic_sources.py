"""CloudEvents and Standard Webhooks: samples, vectors, what other libraries send, and refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks import Webhook

from shared.connectors.base.facts import DealFact, Ignored, Invalid
from shared.connectors.base.source import Unauthenticated
from tests.support.webhooks import NOW, STANDARD, TOKEN, request, sample, source

BEARER = {"Authorization": f"Bearer {TOKEN}"}
STRUCTURED = {**BEARER, "Content-Type": "application/cloudevents+json; charset=utf-8"}
MOVED = {"specversion": "1.0", "id": "1", "source": "x", "type": "andon.deal.moved", "time": "2026-03-10T09:00:00Z"}


def cloud(body: bytes, headers: dict[str, str] | None = None) -> list[Any]:
    door, came = source("cloudevents"), request(body, STRUCTURED if headers is None else headers)
    door.verify(came)
    return door.translate(came)


def http_sample(name: str) -> tuple[dict[str, str], bytes]:
    head, _, body = sample(name).replace(b"\r\n", b"\n").partition(b"\n\n")
    return dict(line.split(": ", 1) for line in head.decode().split("\n")[1:]), body.rstrip(b"\n")


def test_the_structured_sample_moves_a_deal() -> None:
    (told,) = cloud(sample("cloudevents-structured.json"))

    assert (told.type.value, told.deal, told.data) == ("andon.deal.moved", "801", {"stage": "proposal"})
    assert told.time == datetime(2026, 3, 10, 9, tzinfo=UTC)


def test_the_binary_sample_is_the_same_event_as_the_structured_one() -> None:
    headers, body = http_sample("cloudevents-binary-request.txt")

    assert cloud(body, headers | BEARER) == cloud(sample("cloudevents-structured.json"))


def test_a_binary_header_that_is_no_text_is_told_the_way_out() -> None:
    headers, body = http_sample("cloudevents-binary-request.txt")

    (unclear,) = cloud(body, headers | BEARER | {"ce-subject": "deal/\xff"})

    assert isinstance(unclear, Invalid)
    assert unclear.detail == "header ce-subject: 'deal/ÿ' is not UTF-8; send it percent-encoded"


def test_the_batch_sample_is_two_events() -> None:
    first, second = cloud(
        sample("cloudevents-batch.json"), {**BEARER, "Content-Type": "application/cloudevents-batch+json"}
    )

    assert [first] == cloud(sample("cloudevents-structured.json"))
    assert (second.type.value, second.data) == ("andon.deal.won", {"amount": "51000.00", "currency": "EUR"})


def test_data_that_is_not_about_a_deal_is_unclear_or_ignored_never_guessed() -> None:
    assert cloud(sample("cloudevents-structured-data-base64.json")) == [Ignored("not-a-deal")]
    (one,) = cloud(json.dumps({**MOVED, "data": None, "data_base64": "/w=="}).encode())
    assert isinstance(one, Invalid)
    assert cloud(json.dumps({**MOVED, "type": "org.example.invoice.paid", "data": {}}).encode()) == [
        Ignored("not-a-deal")
    ]


def test_the_handshake_sample_is_answered() -> None:
    headers = http_sample("cloudevents-options-handshake.txt")[0]
    door = source("cloudevents")

    answer = door.handshake(request(b"", headers, method="OPTIONS"))

    assert answer == {
        "Allow": "POST, OPTIONS",
        "WebHook-Allowed-Origin": "eventemitter.example.com",
        "WebHook-Allowed-Rate": "120",
    }
    assert door.handshake(request(b"", {}, method="OPTIONS")) is None


@pytest.mark.parametrize("binding", [to_binary_event, to_structured_event])
def test_what_the_cloudevents_library_sends_is_understood(binding: Any) -> None:
    attributes = {k: v for k, v in MOVED.items() if k != "time"} | {
        "time": datetime(2026, 3, 10, 9, tzinfo=UTC),
        "subject": "deal/801 – Müller",
        "datacontenttype": "application/json",
    }
    message = binding(CloudEvent(attributes, {"id": 801, "stage": "won", "name": "Müller"}))

    (told,) = cloud(message.body, dict(message.headers) | BEARER)

    assert (told.deal, told.data) == ("801", {"stage": "won", "name": "Müller"})


def test_our_own_form_is_taken_as_it_is() -> None:
    body = json.dumps(
        {
            **MOVED,
            "source": "acme",
            "id": "e7",
            "subject": "acme:801",
            "data": {"pipeline": "new", "stage": "offer", "entered_at": "2026-03-09T10:00:00+01:00", "buyer": True},
        }
    ).encode()

    (told,) = cloud(body)

    assert (told.id, told.deal) == ("e7", "801")
    assert told.data == {
        "pipeline": "new",
        "stage": "offer",
        "entered_at": "2026-03-09T09:00:00.000000Z",
        "buyer": True,
    }


def test_a_merge_names_the_primary_deal_and_only_andon_says_that_a_place_was_taken() -> None:
    data = {"id": "801", "into": "acme:803", "primary": True, "merged_from": "acme:802"}

    (merged,) = cloud(json.dumps({**MOVED, "source": "acme", "type": "deal.merged", "data": data}).encode())

    assert (merged.deal, merged.data["primary"]) == ("801", True)
    assert merged.data.keys() == {"into", "primary"}


def test_the_same_id_of_two_senders_are_two_events() -> None:
    first, second = (
        cloud(json.dumps({**MOVED, "source": source, "data": {"id": "1"}}).encode())[0] for source in ("a", "b")
    )

    assert first.id != second.id


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": None}, "id"),
        ({"source": ""}, "source"),
        ({"specversion": "0.3"}, "specversion"),
        ({"time": None}, "time"),
        ({"time": "2026-03-10T09:00:00"}, "time"),
        ({"time": 1773133200}, "time"),
        ({"time": "2026-13-10T09:00:00Z"}, "time"),
        ({"type": "deal.exploded"}, "type"),
        ({"data": []}, "data"),
        ({"data": {}}, "data.id"),
        ({"subject": 4}, "subject"),
        ({"data": {"id": "1", "stage": 4.5}}, "data.stage"),
        ({"data": {"id": "1", "into": "2", "primary": "yes"}}, "data.primary"),
        ({"data_base64": "e30="}, "data_base64"),
        ({"data": {"id": "x\0"}}, "data.id"),
    ],
)
def test_every_fault_is_named(change: dict[str, Any], named: str) -> None:
    (one,) = cloud(json.dumps({**MOVED, "data": {"id": "1"}} | change).encode())

    assert isinstance(one, Invalid)
    assert one.detail.startswith(f"{named}:")


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Content-Type": "application/cloudevents+json"}, "", 401),
        ({"Authorization": "Bearer wrong", "Content-Type": "application/cloudevents+json"}, "", 401),
        ({"Authorization": f"Basic {TOKEN}", "Content-Type": "application/cloudevents+json"}, "", 401),
        ({"Content-Type": "application/cloudevents+json"}, "access_token=wrong", 401),
        ({**BEARER, "Content-Type": "application/json"}, "", 415),
    ],
)
def test_cloudevents_without_the_token_or_of_no_form_are_refused(
    headers: dict[str, str], query: str, status: int
) -> None:
    with pytest.raises(Unauthenticated) as refused:
        source("cloudevents").verify(request(b"{}", headers, query=query))

    assert refused.value.status == status


def test_the_token_may_come_as_a_query_parameter() -> None:
    headers = {"Content-Type": "application/cloudevents+json"}

    source("cloudevents").verify(request(b"{}", headers, query=f"access_token={TOKEN}"))


@pytest.mark.parametrize("name", ["headers_v1", "headers_rotation_two_secrets", "headers_mixed", "svix_spelling"])
def test_standard_webhooks_vectors_are_genuine(name: str) -> None:
    came = request(sample("standardwebhooks-deal.json"), STANDARD[name])
    door = source("standardwebhooks")

    door.verify(came)
    (told,) = door.translate(came)

    assert (told.id, told.deal) == ("msg_FlowSample00000000000000001", "801")
    assert told.data == {"stage": "proposal", "name": "Müller & Söhne"}


@pytest.mark.parametrize("headers", ["headers_v1a", "headers_mixed"])
def test_the_asymmetric_version_is_taken_by_the_public_key(headers: str) -> None:
    door = source("standardwebhooks", secrets=[STANDARD["ed25519_public"]])
    door.verify(request(sample(STANDARD["body_file"]), STANDARD[headers]))

    with pytest.raises(Unauthenticated, match="no matching v1 or v1a entry"):
        door.verify(request(sample(STANDARD["body_file"]) + b" ", STANDARD[headers]))
    with pytest.raises(Unauthenticated, match="no matching v1 or v1a entry"):
        source("standardwebhooks").verify(request(sample(STANDARD["body_file"]), STANDARD["headers_v1a"]))


def test_what_the_standard_webhooks_library_signs_is_genuine() -> None:
    body = json.dumps({"type": "deal.created", "timestamp": "2026-03-10T09:00:00Z", "data": {"id": "9"}})
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": Webhook(STANDARD["secret"]).sign("msg_1", NOW, body),
    }
    door, came = source("standardwebhooks"), request(body.encode(), headers)

    door.verify(came)

    assert [one.type.value for one in door.translate(came) if isinstance(one, DealFact)] == ["andon.deal.created"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"webhook-signature": ""}, "no-signature"),
        ({"webhook-signature": "v1,"}, "wrong-signature"),
        ({"webhook-signature": "not,a,list v1"}, "wrong-signature"),
        ({"webhook-id": "msg_other"}, "wrong-signature"),
        ({"webhook-timestamp": "1773133202"}, "wrong-signature"),
    ],
)
def test_standard_webhooks_refusals(change: dict[str, str], reason: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        source("standardwebhooks").verify(
            request(sample("standardwebhooks-deal.json"), STANDARD["headers_v1"] | change)
        )

    assert refused.value.reason == reason
