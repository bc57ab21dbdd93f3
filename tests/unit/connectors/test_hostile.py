"""Every source against what is not genuine, and against bodies of any kind: refused or kept, and always explained."""

from __future__ import annotations

import copy
import json
from base64 import b64decode
from datetime import timedelta
from functools import cache
from time import process_time
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.simulator.dialects import DIALECTS
from services.simulator.dialects.base import Webhook
from shared.connectors.base.facts import Invalid
from shared.connectors.base.fields import InvalidField, amount_of, text_of
from shared.connectors.base.messages import to_messages, translate_request
from shared.connectors.base.source import Request, Source, Unauthenticated
from shared.connectors.config import parse
from shared.connectors.registry import kinds
from shared.contracts.dead import DeadEvent
from shared.contracts.events import DealEvent
from shared.contracts.stages import StageEvent
from tests.support.examples import examples, is_unit
from tests.support.webhooks import SAMPLES
from tests.unit.connectors.test_round_trip import history, requests, source_of

SIGNED = {"hubspot", "close", "twenty", "espocrm", "attio", "standardwebhooks"}
STAMPED = {"hubspot", "close", "twenty", "standardwebhooks"}
OTHER = {
    "close": "ff" * 32,
    "standardwebhooks": "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
    "pipedrive": "somebody:with another password",
}


def request_of(webhook: Webhook, now: Any, body: bytes | None = None, **headers: str) -> Request:
    lower = {name.lower(): value for name, value in webhook.headers.items()} | headers
    return Request("POST", lower, webhook.query, webhook.body if body is None else body, now)


@cache
def genuine(kind: str) -> list[tuple[Any, Webhook]]:
    """Some requests of each kind, the first of which creates a deal."""
    found = []
    for number, one in enumerate(requests(DIALECTS[kind])):
        if number >= 60:
            break
        found.append(one)
    return found


def with_secrets(kind: str, *secrets: str) -> Source:
    text = json.dumps(dict(DIALECTS[kind].settings))
    own = json.loads(text.replace(DIALECTS[kind].secret, secrets[0])) if kind == "espocrm" else json.loads(text)
    if kind == "espocrm":
        for hook in own["webhooks"].values():
            hook["secrets"] = list(secrets)
    else:
        own["secrets"] = list(secrets)
    return parse(json.dumps({"sources": {"crm": {"kind": kind, **own}}}))["crm"]


def test_every_kind_has_its_dialect() -> None:
    assert kinds().keys() == DIALECTS.keys()


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_another_secret_is_refused_and_a_rotation_taken(kind: str) -> None:
    now, webhook = genuine(kind)[0]
    other = OTHER.get(kind, "another-secret-of-somebody-else")

    with pytest.raises(Unauthenticated) as refused:
        with_secrets(kind, other).verify(request_of(webhook, now))
    assert refused.value.status == 401
    assert "secret" in str(refused.value) or "key" in str(refused.value)
    with_secrets(kind, other, DIALECTS[kind].secret).verify(request_of(webhook, now))


@pytest.mark.parametrize("kind", sorted(SIGNED))
@pytest.mark.parametrize("place", [0, 7, -1])
def test_a_changed_byte_is_refused(kind: str, place: int) -> None:
    now, webhook = genuine(kind)[0]
    body = bytearray(webhook.body)
    body[place] ^= 1

    with pytest.raises(Unauthenticated):
        source_of(DIALECTS[kind]).verify(request_of(webhook, now, bytes(body)))


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_without_its_proof_and_with_it_doubled_a_request_is_refused(kind: str) -> None:
    now, webhook = genuine(kind)[0]
    source = source_of(DIALECTS[kind])
    proofs = [name for name in webhook.headers if name.lower() != "content-type"]

    bare = {name: value for name, value in webhook.headers.items() if name not in proofs}
    empty = b"{}" if kind in ("zoho", "copper") else webhook.body
    with pytest.raises(Unauthenticated):
        source.verify(request_of(Webhook(empty, bare), now))
    for name in proofs:
        with pytest.raises(Unauthenticated):
            source.verify(
                request_of(webhook, now, **{name.lower(): f"{webhook.headers[name]}, {webhook.headers[name]}"})
            )


@pytest.mark.parametrize("kind", sorted(STAMPED))
@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_and_a_future_stamp_are_refused(kind: str, minutes: int) -> None:
    now, webhook = genuine(kind)[0]

    with pytest.raises(Unauthenticated, match="more than 5 minutes"):
        source_of(DIALECTS[kind]).verify(request_of(webhook, now + timedelta(minutes=minutes)))


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_another_encoding_is_kept_and_explained(kind: str) -> None:
    now, webhook = genuine(kind)[0]
    check(source_of(DIALECTS[kind]), request_of(webhook, now, webhook.body.decode().encode("utf-16")))


def refusal(source: Source, request: Request) -> Unauthenticated | None:
    try:
        source.verify(request)
    except Unauthenticated as error:
        return error
    return None


def check(source: Source, request: Request) -> None:
    """Every message about a body can be written and read again, and explains itself."""
    result = to_messages(source.name, source.translate(request), request.received_at, "")
    assert len(result.messages) == result.accepted + result.described + len(result.invalid)
    for message in result.messages:
        if message.topic.endswith(".dead"):
            assert len(DeadEvent.model_validate_json(message.value).data.detail) > 10
        elif message.topic == "pipeline.stages":
            StageEvent.model_validate_json(message.value)
        else:
            DealEvent.model_validate_json(message.value)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "\x00", "x" * 500, "x" * 5000, "NaN", "1e999", "-0", "9" * 40]),
    st.sampled_from([[], {}, [[]], {"": None}, "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2026-02-30"]),
)


def _places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(place for key, value in inner for place in _places(value, (*path, key)))]


def _replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return document


SAMPLE_BODIES = sorted(file for file in SAMPLES.iterdir() if "vector" not in file.name and file.suffix == ".json")
QUICK = settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", sorted(DIALECTS.keys() - {"salesforce"}))
@QUICK
@given(data=st.data())
def test_no_part_of_a_document_can_break_a_translator(kind: str, data: st.DataObject) -> None:
    now, webhook = data.draw(st.sampled_from(genuine(kind)))
    own = [file for file in SAMPLE_BODIES if file.name.startswith(kind)]
    body = data.draw(st.sampled_from([webhook.body, *(file.read_bytes() for file in own)]))
    document = copy.deepcopy(json.loads(body))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(_places(document)))
        document = _replaced(document, place, copy.deepcopy(data.draw(ODD)))
    check(source_of(DIALECTS[kind]), request_of(webhook, now, json.dumps(document).encode()))


@pytest.mark.parametrize("kind", sorted(DIALECTS))
@QUICK
@given(data=st.data())
def test_no_bytes_can_break_a_source(kind: str, data: st.DataObject) -> None:
    """Cut, spliced and random bytes: verify refuses or not, translate answers."""
    now, webhook = data.draw(st.sampled_from(genuine(kind)))
    body = webhook.body
    start = data.draw(st.integers(0, len(body)))
    body = body[:start] + data.draw(st.binary(max_size=30)) + body[data.draw(st.integers(start, len(body))) :]
    source = source_of(DIALECTS[kind])
    query = data.draw(st.sampled_from([webhook.query, "", "key=%ff", "key=a&key=b", "&&=;"]))
    headers = {
        name.lower(): data.draw(st.sampled_from([value, "", "\xff", "é, " * 40]))
        for name, value in webhook.headers.items()
    }
    request = Request("POST", headers, query, body, now)
    source.challenge(request)
    source.archived_body(request)
    refused = refusal(source, request)
    assert refused is None or (refused.status in (401, 415) and len(str(refused)) > 10)
    check(source, request_of(webhook, now, body))


def array_of(kind: str, count: int) -> bytes:
    """A well-formed body with that many meaningless parts."""
    nulls = b",".join([b"null"] * count)
    documents = {
        "attio": b'{"events": [%s]}',
        "zoho": b'{"module": "Deals", "ids": [%s]}',
        "copper": b'{"type": "opportunity", "ids": [%s]}',
    }
    if kind == "salesforce":
        envelope = b'<notifications xmlns="http://soap.sforce.com/2005/09/outbound">%s</notifications>'
        return envelope % (b"<Notification><Id>1</Id></Notification>" * count)
    return documents.get(kind, b"[%s]") % nulls


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_a_body_of_countless_parts_is_one_dead_letter(kind: str) -> None:
    now, webhook = genuine(kind)[0]
    more = {"content-type": "application/cloudevents-batch+json"} if kind == "cloudevents" else {}
    request = request_of(webhook, now, array_of(kind, 200_000), **more)

    (invalid,) = translate_request(source_of(DIALECTS[kind]), request)

    assert isinstance(invalid, Invalid)
    assert "; " in invalid.detail


@pytest.mark.parametrize("kind", ["hubspot", "espocrm", "attio", "cloudevents"])
def test_many_unclear_parts_are_one_dead_letter_and_cost_the_clear_ones_nothing(kind: str) -> None:
    now, webhook = genuine(kind)[0]
    good = json.loads(webhook.body)
    parts = good["events"] if kind == "attio" else good if isinstance(good, list) else [good]
    mixed = [*parts, *[None] * 500]
    body = json.dumps({"events": mixed} if kind == "attio" else mixed).encode()
    more = {"content-type": "application/cloudevents-batch+json"} if kind == "cloudevents" else {}
    source, request = source_of(DIALECTS[kind]), request_of(webhook, now, body, **more)

    parsed = translate_request(source, request)

    assert [part for part in parsed if not isinstance(part, Invalid)]
    (letter,) = [part for part in parsed if isinstance(part, Invalid)]
    assert letter.detail.startswith("500 of ")
    assert letter.raw == body


DEEP = b"[" * 10_000 + b"]" * 10_000
BOMB = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><l>&b;</l>'
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>'
EVILS = [b"", b"null", b"[]", b"{}", b"0", DEEP, BOMB, OUTSIDE, b"\xff\xfe", b"[1e400]"]
NESTED = b"<a>" * 20_000 + b"</a>" * 20_000
EVILS.append(NESTED)


@pytest.mark.parametrize("kind", sorted(DIALECTS))
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b"0", DEEP, BOMB, OUTSIDE, NESTED, b"\xff\xfe", b"[1e400]"]
)
def test_known_evils_are_kept_and_explained(kind: str, body: bytes) -> None:
    now, webhook = genuine(kind)[0]
    check(source_of(DIALECTS[kind]), request_of(webhook, now, body))


def first_object(document: Any) -> dict[str, Any]:
    return document if isinstance(document, dict) else first_object(document[0])


@pytest.mark.parametrize("kind", sorted(DIALECTS.keys() - {"salesforce"}))
@pytest.mark.parametrize("levels", [250, 300, 1000])
def test_a_document_nested_too_deep_is_kept_and_explained(kind: str, levels: int) -> None:
    now, webhook = genuine(kind)[0]
    document = json.loads(webhook.body)
    first_object(document)["more"] = "DEEP"
    body = json.dumps(document).replace('"DEEP"', "[" * levels + "]" * levels).encode()
    request = request_of(webhook, now, body)

    said = source_of(DIALECTS[kind]).translate(request)

    assert levels < 254 or ["254 levels" in one.detail for one in said if isinstance(one, Invalid)] == [True]
    check(source_of(DIALECTS[kind]), request)


@pytest.mark.parametrize("value", [7, None, ["text"]])
def test_what_is_no_text_is_told_the_way_out(value: Any) -> None:
    with pytest.raises(InvalidField, match=r"name: .* is not a text; a text is expected"):
        text_of(value, "name")


@pytest.mark.parametrize("value", ["1e1000000", "9" * 1_000_001, "-1e" + "9" * 20, "sNaN", "-Infinity", 1e308])
def test_no_amount_is_too_much_for_the_reader(value: Any) -> None:
    with pytest.raises(InvalidField, match=r"amount: .* is not an amount; a decimal is expected"):
        amount_of(value, "amount")


@pytest.mark.parametrize("body", [b"", b"<a", b"<a b></a>", BOMB, b"<a/>", b"\xff"])
def test_what_is_no_outbound_message_is_told_the_way_out(body: bytes) -> None:
    now, webhook = genuine("salesforce")[0]
    (unclear,) = source_of(DIALECTS["salesforce"]).translate(request_of(webhook, now, body))

    assert isinstance(unclear, Invalid)
    assert "; an Outbound Message" in unclear.detail


@pytest.mark.parametrize("kind", ["zoho", "copper"])
@pytest.mark.parametrize("secret", ["a-secret-in-the-body", 'a "sécret" \\ in the body'])
@pytest.mark.parametrize("spelled", [True, False])
def test_a_secret_in_the_body_is_in_no_dead_letter_and_not_kept(kind: str, secret: str, spelled: bool) -> None:
    now, webhook = genuine(kind)[0]
    source = with_secrets(kind, secret)
    document = json.loads(webhook.body) | {"ids": "none", "token": secret, "secret_field": secret}
    request = request_of(webhook, now, json.dumps(document, ensure_ascii=spelled).encode())
    source.verify(request)

    (letter,) = to_messages(source.name, source.translate(request), now, "").messages

    body = b64decode(DeadEvent.model_validate_json(letter.value).data.body)
    assert set(json.loads(body)) == set(document)
    assert "secret" not in str(list(json.loads(body).values())).replace("sécret", "secret")
    assert body == source.archived_body(request)


@pytest.mark.parametrize(
    "part", [b"<SessionId ", b"<a:SessionId>", b"<" + b"a" * 1000, b"OrganizationId> ", b"<SessionId/>"]
)
def test_no_body_keeps_the_search_for_a_session_busy(part: bytes) -> None:
    now, webhook = genuine("salesforce")[0]
    source, request = source_of(DIALECTS["salesforce"]), request_of(webhook, now, part * (2**20 // len(part)))
    began = process_time()

    # What follows a session id that does not end is left out.
    unended = part == b"<a:SessionId>"
    assert source.archived_body(request) == (b"<a:" if unended else request.body)
    check(source, request)

    assert process_time() - began < 10


def test_the_history_is_long_enough_to_be_worth_it() -> None:
    assert len(history()) > (400 if is_unit() else 1000)
    assert orjson.loads(genuine("hubspot")[0][1].body)
