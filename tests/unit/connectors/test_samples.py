"""The samples of each CRM, byte for byte: genuine by the published vectors, and what is understood of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.connectors.base.facts import DealFact, Ignored, Invalid, StageFact
from shared.connectors.base.source import Request, Source
from shared.connectors.config import parse
from tests.support.webhooks import SAMPLES, sample
from tests.support.webhooks import SAMPLES_RECEIVED_AT as NOW
from tests.unit.connectors.expected_facts import EXPECTED

KEY = "key=a-key-that-is-long-enough"
CLOSE, TWENTY, ATTIO, ESPO, BASIC = (
    json.loads((SAMPLES / f"{name}.json").read_text())
    for name in (
        "close-signature-vectors",
        "twenty-signature-vectors",
        "attio-signature-vector",
        "espocrm-signature-vectors",
        "pipedrive-basic-auth-vector",
    )
)
HOOKS = {v["webhook_id"]: {"event": v["event"], "secrets": [ESPO["secret_key"]]} for v in ESPO["vectors"]}
SETTINGS: dict[str, dict[str, Any]] = {
    "pipedrive": {"secrets": [f"{BASIC['user']}:{BASIC['password']}"]},
    "close": {"secrets": [CLOSE["signature_key_hex"]]},
    "salesforce": {"secrets": [KEY[4:]], "organization": "00D5g000004T0CkEAK"},
    "dynamics": {"secrets": [KEY[4:]]},
    "freshsales": {"secrets": [KEY[4:]]},
    "zoho": {"secrets": ["tok-3f9c0f5e-not-a-signature"]},
    "twenty": {"secrets": [TWENTY["secret"]]},
    "espocrm": {"webhooks": HOOKS},
    "odoo": {"secrets": [KEY[4:]]},
    "attio": {"secrets": [ATTIO["secret"]], "deals": "3bdd5e1a-a195-50f5-a48e-6e334913721d"},
    "copper": {"secrets": ["shared-secret-value"]},
    "monday": {"secrets": [KEY[4:]], "board": "1771800001"},
}


def source(kind: str, **settings: Any) -> Source:
    text = json.dumps({"sources": {"crm": {"kind": kind, **SETTINGS[kind], **settings}}})
    return parse(text)["crm"]


def posted(body: bytes, headers: dict[str, str] | None = None, query: str = KEY) -> Request:
    return Request("POST", {name.lower(): value for name, value in (headers or {}).items()}, query, body, NOW)


def understood(kind: str, file: str, headers: dict[str, str] | None = None) -> list[Any]:
    return [_shown(one) for one in source(kind).translate(posted(sample(file), headers))]


def _shown(one: Any) -> Any:
    match one:
        case DealFact():
            return one.type.value.rpartition(".")[2], one.deal, one.time.isoformat(), one.data
        case StageFact():
            return "described", one.time.isoformat(), one.data, one.incidental
    return one


VECTORS = [
    *(("close", v["body_file"], v["headers"]) for v in CLOSE["vectors"]),
    *(("twenty", v["body_file"], v["headers"]) for v in TWENTY["vectors"]),
    *(("espocrm", v["body_file"], v["headers"]) for v in ESPO["vectors"]),
    *(("espocrm", v["body_file"], {"X-Signature": v["headers"]["X-Signature"]}) for v in ESPO["vectors"]),
    ("attio", ATTIO["body_file"], ATTIO["headers"]),
    ("attio", ATTIO["body_file"], {"X-Attio-Signature": ATTIO["headers"]["X-Attio-Signature"]}),
    ("pipedrive", "pipedrive-v2-deal-create.json", {"Authorization": BASIC["expected_header"].partition(": ")[2]}),
    ("zoho", "zoho-deals-insert.json", {}),
    ("copper", "copper-opportunity-update.json", {}),
    ("salesforce", "salesforce-outbound-opportunity.xml", {}),
    ("odoo", "odoo-crm-lead-17.json", {}),
    ("dynamics", "dynamics-opportunity-update.json", {"x-webhook-key": KEY[4:]}),
    ("monday", "monday-change-column-value.json", {}),
]


@pytest.mark.parametrize(("kind", "file", "headers"), VECTORS)
def test_samples_are_genuine(kind: str, file: str, headers: dict[str, str]) -> None:
    source(kind).verify(posted(sample(file), headers))


@pytest.mark.parametrize(
    ("kind", "file", "expected"), EXPECTED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_understood_of_a_sample(kind: str, file: str, expected: list[Any]) -> None:
    assert understood(kind, file) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (
            0,
            [
                (
                    "created",
                    "65f0a1b2c3d4e5f01",
                    "2026-03-02T08:15:00+00:00",
                    {
                        "stage": "Prospecting",
                        "name": "Müller & Söhne / Erweiterung",
                        "amount": "45000.5",
                        "currency": "EUR",
                        "expected_close": "2026-04-30",
                    },
                )
            ],
        ),
        (
            1,
            [
                ("moved", "65f0a1b2c3d4e5f01", NOW.isoformat(), {"stage": "Proposal"}),
                ("changed", "65f0a1b2c3d4e5f02", NOW.isoformat(), {"amount": "51000.5", "currency": "EUR"}),
            ],
        ),
    ],
)
def test_what_espocrm_means_is_known_by_its_webhook(number: int, expected: list[Any]) -> None:
    vector = ESPO["vectors"][number]

    assert understood("espocrm", vector["body_file"], vector["headers"]) == expected


def test_a_context_too_large_for_dynamics_is_kept_and_explained() -> None:
    (unclear,) = understood("dynamics", "dynamics-opportunity-update-size-exceeded.json")

    assert isinstance(unclear, Invalid)
    assert "256 KB" in unclear.detail


def test_salesforce_wants_its_acknowledgement() -> None:
    import xml.etree.ElementTree as Xml

    reply = source("salesforce").success_reply
    assert reply is not None
    assert reply.status == 200
    expected = Xml.canonicalize(sample("salesforce-outbound-response-ack.xml").decode(), strip_text=True)
    assert Xml.canonicalize(reply.body.decode(), strip_text=True) == expected


def test_a_session_id_and_tokens_are_not_kept() -> None:
    body = sample("salesforce-outbound-opportunity.xml").replace(
        b'<SessionId xsi:nil="true"/>', b"<SessionId>00D!live.credential</SessionId>"
    )
    kept = source("salesforce").archived_body(posted(body))
    assert b"live.credential" not in kept
    assert [one for one in source("salesforce").translate(posted(kept)) if isinstance(one, DealFact)]
    assert b"tok-3f9c0f5e" not in source("zoho").archived_body(posted(sample("zoho-deals-insert.json")))
    assert b"shared-secret" not in source("copper").archived_body(posted(sample("copper-opportunity-update.json")))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-le"])
def test_an_outbound_message_in_another_encoding_is_not_taken_and_keeps_no_session_id(encoding: str) -> None:
    body = (
        sample("salesforce-outbound-opportunity.xml")
        .decode()
        .replace('<SessionId xsi:nil="true"/>', "<SessionId>00D!live.credential</SessionId>")
        .replace('encoding="UTF-8"', f'encoding="{encoding.upper()}"')
        .encode(encoding)
    )
    (said,) = source("salesforce").translate(posted(body))

    assert isinstance(said, Invalid)
    assert "not XML in UTF-8" in said.detail
    for kept in (said.raw, source("salesforce").archived_body(posted(body))):
        assert b"live.credential" not in kept.replace(b"\0", b"")
        assert b"StageName" in kept


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_an_outbound_message_may_begin_with_a_byte_order_mark(mark: bytes) -> None:
    body = mark + sample("salesforce-outbound-opportunity.xml")
    assert any(isinstance(one, DealFact) for one in source("salesforce").translate(posted(body)))


def test_monday_gets_its_challenge_back_and_nothing_else() -> None:
    reply = source("monday").challenge(posted(sample("monday-challenge.json")))
    assert reply is not None
    assert json.loads(reply.body) == json.loads(sample("monday-challenge.json"))
    long = json.dumps({"challenge": "x" * 300}).encode()
    for body in (long, b'{"challenge": 7}', b"{", b'{"challenge": "a", "event": {}}'):
        assert source("monday").challenge(posted(body)) is None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (
            "pipedrive",
            b'{"meta": {"entity": "person", "version": "2.0", "id": "x", "timestamp": "2026-03-10T09:00:00Z"}}',
        ),
        ("close", b'{"event": {"object_type": "lead"}}'),
        ("dynamics", b'{"PrimaryEntityName": "account"}'),
        ("zoho", b'{"module": "Leads"}'),
        ("twenty", b'{"eventName": "person.created"}'),
        ("odoo", b'{"_model": "res.partner"}'),
        ("copper", b'{"type": "person"}'),
        ("monday", b'{"event": {"boardId": 5}}'),
        ("attio", b'{"events": [{"event_type": "task.created", "id": {}}]}'),
    ],
)
def test_what_is_no_deal_is_ignored(kind: str, body: bytes) -> None:
    (said,) = source(kind).translate(posted(body))

    assert isinstance(said, Ignored)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<Notification>", b"<Notification><!-- a remark --><?and an instruction?>"),
        (b"https://example-org.my", b"https://[example-org.my"),
        (b"<sf:Amount>48500.0</sf:Amount>", b""),
        (b'<?xml version="1.0" encoding="UTF-8"?>', b'\xef\xbb\xbf<?xml version="1.0"?>'),
    ],
)
def test_salesforce_is_read_by_namespace_and_not_by_looks(old: bytes, new: bytes) -> None:
    body = sample("salesforce-outbound-opportunity.xml")
    assert old in body
    (told,) = source("salesforce").translate(posted(body.replace(old, new)))

    assert isinstance(told, DealFact)
    assert (told.deal, told.data["stage"]) == ("0065g00000XyZ01AAF", "Proposal/Price Quote")


def test_a_hundred_notifications_are_read_and_one_that_is_wrong_costs_only_itself() -> None:
    body = sample("salesforce-outbound-opportunity.xml").decode()
    start, end = body.index("   <Notification>"), body.index("  </notifications>")
    one = body[start:end]
    many = "".join(
        one.replace("04l5g00003AAAA1AAO", f"04l{n:015}").replace("0065g00000XyZ01AAF", f"006{n:015}") for n in range(99)
    )
    wrong = one.replace("2026-03-10T09:00:01.000Z", "yesterday")
    said = source("salesforce").translate(posted((body[:start] + many + wrong + body[end:]).encode()))

    assert [type(part) for part in said] == [DealFact] * 99 + [Invalid]
    assert "SystemModstamp" in said[-1].detail
