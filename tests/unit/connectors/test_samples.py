"""The samples of each CRM, byte for byte: genuine by the published vectors, and what is understood of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.connectors.base.facts import DealFact, Ignored, Invalid, StageFact
from shared.connectors.base.source import Request, Source
from shared.connectors.config import parse
from tests.support.webhooks import SAMPLES, sample

NOW = datetime.fromtimestamp(1773133202.5, UTC)
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


PIPEDRIVE = {
    "pipeline": "1",
    "name": "Müller & Söhne – Erweiterung",
    "amount": "48500",
    "currency": "EUR",
    "expected_close": "2026-04-30",
    "reason": None,
    "url": "https://acme-sandbox.pipedrive.com/deal/801",
}
SINCE = {n: f"2026-03-{n:02}T0{h}:{m}:00.000000Z" for n, h, m in ((2, 8, "15"), (10, 9, "00"))} | {
    5: "2026-03-05T10:00:00.000000Z"
}
CLOSE_DEAL = "oppo_FlowSampleOppo0000000000000000000000000001"
DYNAMICS, TWENTY_DEAL = "76b780d9-e97c-5fad-86bf-d7b3f480cc4a", "4b5c6d7e-8f90-4123-a456-789abcdef012"
TWENTY_SAID = {
    "name": "Müller & Söhne – Erweiterung",
    "expected_close": "2026-04-30",
    "amount": "48500",
    "currency": "EUR",
}
STAGE = {"pipeline": "1", "stage": "3", "name": "Proposal"}
ODOO = {"stage": "3", "name": "Müller & Söhne", "amount": "48500.0"}
ODOO_CAPTURED = {
    "pipeline": "1",
    "name": "Müller & Söhne – Erweiterung",
    "amount": "48500.0",
    "expected_close": "2026-12-31",
}
EXPECTED: list[tuple[str, str, list[Any]]] = [
    (
        "pipedrive",
        "pipedrive-v2-deal-create.json",
        [
            ("created", "801", "2026-03-02T08:15:00.412000+00:00", {**PIPEDRIVE, "stage": "1", "entered_at": SINCE[2]}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v2-deal-change-stage.json",
        [
            ("moved", "801", "2026-03-10T09:00:00.724000+00:00", {**PIPEDRIVE, "stage": "3", "entered_at": SINCE[10]}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v2-deal-change-won.json",
        [
            ("won", "801", "2026-03-11T14:00:00.101000+00:00", {**PIPEDRIVE, "stage": "3", "entered_at": SINCE[10]}),
        ],
    ),
    ("pipedrive", "pipedrive-v2-deal-delete.json", [("deleted", "801", "2026-03-12T08:00:00.010000+00:00", {})]),
    (
        "pipedrive",
        "pipedrive-v2-deal-merge-delete.json",
        [
            ("merged", "802", "2026-03-12T09:00:00.020000+00:00", {"into": "crm:801"}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v2-activity-create.json",
        [
            ("touched", "801", "2026-03-10T11:00:00.461000+00:00", {"activity": "call"}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v1-deal-added.json",
        [
            ("created", "801", "2026-03-02T08:15:00.000509+00:00", {**PIPEDRIVE, "stage": "1", "entered_at": SINCE[2]}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v1-deal-updated-stage.json",
        [
            ("moved", "801", "2026-03-10T09:00:00.000509+00:00", {**PIPEDRIVE, "stage": "3", "entered_at": SINCE[10]}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v1-deal-updated-won.json",
        [
            ("won", "801", "2026-03-11T14:00:00.000509+00:00", {**PIPEDRIVE, "stage": "2", "entered_at": SINCE[5]}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v2-stage-change.json",
        [
            ("described", "2026-03-10T09:30:00.512000+00:00", {**STAGE, "order": 2, "probability": 0.6}, False),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v2-pipeline-create.json",
        [
            ("described", "2026-03-10T09:40:00.112000+00:00", {"pipeline": "2", "pipeline_name": "Renewals"}, False),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v1-stage-updated.json",
        [
            (
                "described",
                "2026-03-10T09:30:00.000509+00:00",
                {
                    **STAGE,
                    "order": 2,
                    "probability": 0.6,
                    "pipeline_name": "Pipeline",
                },
                False,
            ),
        ],
    ),
    ("pipedrive", "pipedrive-v1-deal-deleted.json", [("deleted", "801", "2026-03-12T16:33:20.000509+00:00", {})]),
    (
        "close",
        "close-opportunity-created.json",
        [
            (
                "created",
                CLOSE_DEAL,
                "2026-03-02T08:15:00.395000+00:00",
                {
                    "stage": "stat_FlowSampleProposal000000000000000000000001",
                    "amount": "48500.00",
                    "currency": "EUR",
                    "name": "Müller & Söhne",
                    "expected_close": None,
                    "url": "https://app.close.com/lead/lead_FlowSampleLead0000000000000000000000000001/",
                },
            ),
            (
                "described",
                "2026-03-02T08:15:00.395000+00:00",
                {
                    "stage": "stat_FlowSampleProposal000000000000000000000001",
                    "name": "New",
                    "outcome": "open",
                },
                True,
            ),
        ],
    ),
    ("close", "close-opportunity-deleted.json", [("deleted", CLOSE_DEAL, "2026-03-12T08:00:00.395000+00:00", {})]),
    (
        "salesforce",
        "salesforce-outbound-opportunity.xml",
        [
            (
                "moved",
                "0065g00000XyZ01AAF",
                "2026-03-10T09:00:01+00:00",
                {
                    "stage": "Proposal/Price Quote",
                    "name": "Müller & Söhne – Erweiterung",
                    "amount": "48500.0",
                    "expected_close": "2026-04-30",
                    "url": "https://example-org.my.salesforce.com/0065g00000XyZ01AAF",
                },
            ),
        ],
    ),
    (
        "dynamics",
        "dynamics-opportunity-update.json",
        [
            (
                "moved",
                DYNAMICS,
                "2026-03-10T09:00:02+00:00",
                {
                    "stage": "3-Propose",
                    "name": "Müller & Söhne",
                    "amount": "48500.0",
                    "expected_close": "2026-04-30",
                },
            ),
        ],
    ),
    (
        "dynamics",
        "dynamics-opportunity-win.json",
        [
            ("won", DYNAMICS, "2026-03-11T09:00:00+00:00", {"amount": "51000.0", "reason": "Opportunity won"}),
        ],
    ),
    ("dynamics", "dynamics-opportunity-delete.json", [("deleted", DYNAMICS, "2026-03-12T09:00:00+00:00", {})]),
    ("zoho", "zoho-deals-insert.json", [("changed", "6100200000000771001", "2026-03-10T09:00:00+00:00", {})]),
    (
        "zoho",
        "zoho-deals-update-with-values.json",
        [
            ("moved", "6100200000000771001", "2026-03-10T09:00:01+00:00", {"stage": "Negotiation/Review"}),
            ("moved", "6100200000000771002", "2026-03-10T09:00:01+00:00", {"stage": "Closed Won", "amount": "48500"}),
        ],
    ),
    (
        "twenty",
        "twenty-opportunity-created.json",
        [
            ("created", TWENTY_DEAL, "2026-03-02T08:15:00.040000+00:00", {**TWENTY_SAID, "stage": "NEW"}),
        ],
    ),
    (
        "twenty",
        "twenty-opportunity-updated.json",
        [
            ("moved", TWENTY_DEAL, "2026-03-10T09:00:00.123000+00:00", {**TWENTY_SAID, "stage": "PROPOSAL"}),
        ],
    ),
    (
        "odoo",
        "odoo-crm-lead-17.json",
        [
            ("moved", "4711", "2026-03-10T09:00:00+00:00", ODOO),
            ("described", "2026-03-10T09:00:00+00:00", {"stage": "3", "name": "Proposition"}, True),
        ],
    ),
    (
        "odoo",
        "odoo-crm-lead-newer.json",
        [
            ("moved", "4711", "2026-03-10T09:00:00+00:00", {**ODOO, "expected_close": "2026-04-30"}),
        ],
    ),
    (
        "odoo",
        "odoo-captured-17-created.json",
        [
            (
                "created",
                "11",
                "2026-11-25T03:30:20.054771+00:00",
                {
                    **ODOO_CAPTURED,
                    "stage": "1",
                    "entered_at": "2026-11-25T03:30:20.054771Z",
                },
            ),
        ],
    ),
    (
        "odoo",
        "odoo-captured-17-moved.json",
        [
            (
                "moved",
                "11",
                "2026-11-25T03:30:21.663679+00:00",
                {
                    **ODOO_CAPTURED,
                    "stage": "2",
                    "entered_at": "2026-11-25T03:30:21.663679Z",
                },
            ),
        ],
    ),
    (
        "odoo",
        "odoo-captured-17-won.json",
        [
            (
                "won",
                "11",
                "2026-11-25T03:30:26.735857+00:00",
                {
                    **ODOO_CAPTURED,
                    "stage": "4",
                    "entered_at": "2026-11-25T03:30:26.735857Z",
                    "amount": "51000.5",
                    "expected_close": None,
                },
            ),
        ],
    ),
    (
        "odoo",
        "odoo-captured-18-moved.json",
        [
            (
                "moved",
                "11",
                "2026-11-25T03:30:22.279577+00:00",
                {
                    **ODOO_CAPTURED,
                    "stage": "2",
                    "entered_at": "2026-11-25T03:30:22.279577Z",
                },
            ),
        ],
    ),
    (
        "odoo",
        "odoo-captured-19-moved.json",
        [
            (
                "moved",
                "13",
                "2026-11-25T03:30:22.156963+00:00",
                {
                    **ODOO_CAPTURED,
                    "stage": "2",
                    "entered_at": "2026-11-25T03:30:22.156963Z",
                },
            ),
        ],
    ),
    (
        "attio",
        "attio-record-updated.json",
        [
            ("changed", "67a6469b-7fc8-524d-9586-5ef7bfc7cbb1", NOW.isoformat(), {}),
        ],
    ),
    (
        "copper",
        "copper-opportunity-update.json",
        [
            ("moved", "27140001", "2026-03-10T09:00:00+00:00", {"stage": "4", "amount": "48500"}),
        ],
    ),
    (
        "monday",
        "monday-change-column-value.json",
        [
            (
                "moved",
                "1772000001",
                "2026-03-10T09:00:00.368000+00:00",
                {"name": "Müller & Söhne", "stage": "Proposal"},
            ),
        ],
    ),
]


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
    assert "no XML in UTF-8" in said.detail
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
