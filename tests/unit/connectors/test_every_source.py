"""What every source does with bodies that are a little wrong: the flow is read, and the fault costs only itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from services.simulator.dialects import DIALECTS
from shared.connectors.base.facts import DealFact, Ignored, Invalid, Parsed, UnreadableField
from shared.connectors.base.fields import InvalidField, date_of, id_of, text_of, time_of, time_of_ms, utc_time_of
from shared.connectors.base.json_body import parse_json
from tests.unit.connectors.test_hostile import genuine, request_of
from tests.unit.connectors.test_meanings import translated
from tests.unit.connectors.test_round_trip import source_of

# Fields that decide nothing, by the names that each CRM has for them.
WEIGHTLESS: dict[str, tuple[str, ...]] = {
    "close": ("lead_name", "value", "value_currency", "date_won"),
    "cloudevents": ("name", "amount", "currency", "url", "next_step_at"),
    "copper": ("name", "monetary_value", "close_date"),
    "dynamics": ("name", "estimatedvalue", "estimatedclosedate"),
    "espocrm": ("name", "amount", "amountCurrency", "closeDate"),
    "freshsales": ("name", "amount", "currency", "expected_close"),
    "monday": ("pulseName",),
    "odoo": ("name", "expected_revenue", "date_deadline"),
    "pipedrive": ("title", "value", "currency", "expected_close_date", "stage_change_time"),
    "standardwebhooks": ("name", "amount", "currency", "url", "next_step_at"),
    "twenty": ("name", "closeDate"),
    "zoho": ("Deal_Name", "Amount", "Closing_Date"),
}
JSON_KINDS = sorted(DIALECTS.keys() - {"salesforce"})


def changed(document: Any, names: tuple[str, ...], value: Any) -> Any:
    """The document with another value in each of these fields."""
    if isinstance(document, list):
        return [changed(one, names, value) for one in document]
    if not isinstance(document, dict):
        return document
    if document.get("key") in names and "value" in document:
        return document | {"value": value}
    return {key: value if key in names else changed(one, names, value) for key, one in document.items()}


def flow_of(parsed: list[Parsed]) -> list[Any]:
    """What decides the flow."""
    assert not any(isinstance(one, Invalid) for one in parsed), parsed
    deals = [one for one in parsed if isinstance(one, DealFact)]
    return [(one.type, one.deal, one.time, one.data.get("stage"), one.data.get("pipeline")) for one in deals]


def each(kind: str, change: Callable[[Any], Any]) -> list[tuple[list[Parsed], list[Parsed]]]:
    """The facts of genuine requests, as they came and changed."""
    source = source_of(DIALECTS[kind])
    return [
        (
            source.translate(request_of(webhook, now)),
            source.translate(request_of(webhook, now, json.dumps(change(json.loads(webhook.body))).encode())),
        )
        for now, webhook in genuine(kind)
    ]


@pytest.mark.parametrize("kind", sorted(WEIGHTLESS))
def test_a_field_of_no_weight_that_cannot_be_read_costs_nothing_else(kind: str) -> None:
    bad: Any = [None, True] if kind == "copper" else True
    left_out = 0
    for whole, without in each(kind, lambda document: changed(document, WEIGHTLESS[kind], bad)):
        assert flow_of(without) == flow_of(whole)
        left_out += sum(
            isinstance(v, UnreadableField) for one in without if isinstance(one, DealFact) for v in one.data.values()
        )
    assert left_out


@pytest.mark.parametrize("kind", sorted(WEIGHTLESS))
@pytest.mark.parametrize(("text", "kept"), [("A\x00B", "AB"), ("A\ud83d", "A\ufffd")])
def test_a_broken_character_in_a_name_costs_only_itself(kind: str, text: str, kept: str) -> None:
    given: Any = [None, text] if kind == "copper" else text
    names: set[Any] = set()
    for whole, broken in each(kind, lambda document: changed(document, WEIGHTLESS[kind][:1], given)):
        assert flow_of(broken) == flow_of(whole)
        names |= {one.data.get("name") for one in broken if isinstance(one, DealFact)}
    assert kept in names


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_a_byte_order_mark_is_passed_over(kind: str) -> None:
    source = source_of(DIALECTS[kind])
    for now, webhook in genuine(kind)[:10]:
        marked = source.translate(request_of(webhook, now, b"\xef\xbb\xbf" + webhook.body))
        assert flow_of(marked) == flow_of(source.translate(request_of(webhook, now)))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_number_of_another_languages_json_costs_only_itself(text: str) -> None:
    document = parse_json(b'{"amount": %s, "name": "x"}' % text.encode())

    assert document["name"] == "x"


@pytest.mark.parametrize(
    ("body", "text"),
    [(b'["Z\xfcrich"]', "Z\ufffdrich"), (b'["\xed\xa0\xbd"]', "\ufffd\ufffd\ufffd"), (b'["\\ude00"]', "\ufffd")],
)
def test_bytes_that_are_no_utf8_cost_only_their_text(body: bytes, text: str) -> None:
    assert parse_json(body) == [text]


@pytest.mark.parametrize("body", [b"[1,]", b"{'a': 1}", b"[1] 2", b"\xef\xbb\xbf", b"[tru]", b"[01]"])
def test_what_is_no_json_stays_none(body: bytes) -> None:
    with pytest.raises(InvalidField, match="not JSON"):
        parse_json(body)


UNDATED: dict[str, tuple[Any, dict[str, str]]] = {
    "attio": ({"events": [{"event_type": "note.created"}]}, {}),
    "close": ({"event": {"object_type": "lead"}}, {}),
    "copper": ({"type": "lead", "event": "new"}, {}),
    "dynamics": ({"PrimaryEntityName": "account"}, {}),
    "monday": ({"event": {"boardId": 5}}, {}),
    "odoo": ({"_model": "res.partner"}, {}),
    "pipedrive": ({"meta": {"version": "2.0", "entity": "organization"}}, {}),
    "twenty": ({"eventName": "person.created"}, {}),
    "zoho": ({"module": "Leads"}, {}),
}


@pytest.mark.parametrize("kind", sorted(UNDATED))
def test_what_is_about_no_deal_is_ignored_before_its_time_is_read(kind: str) -> None:
    (one,) = translated(kind, *UNDATED[kind])

    assert isinstance(one, Ignored)


NEARLY = {
    "close": {"event": {"object_type": "Opportunity"}},
    "copper": {"type": "opportunities"},
    "dynamics": {"PrimaryEntityName": "Opportunity"},
    "odoo": {"_model": "CRM.lead"},
    "pipedrive": {"meta": {"version": "2.0", "entity": "deals"}},
    "twenty": {"eventName": "opportunities.created"},
    "zoho": {"module": "deal"},
}


@pytest.mark.parametrize("kind", sorted(NEARLY))
def test_what_is_nearly_about_a_deal_is_kept_and_not_ignored(kind: str) -> None:
    (one,) = translated(kind, NEARLY[kind])

    assert isinstance(one, Invalid)
    assert "is expected" in one.detail


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-10t09:00:00z", (2026, 3, 10, 9, 0, 0)),
        ("2026-03-10T09:00Z", (2026, 3, 10, 9, 0, 0)),
        ("2026-03-10 09:00:00+00:00", (2026, 3, 10, 9, 0, 0)),
        ("2026-03-10T09:00:00.000+0000", (2026, 3, 10, 9, 0, 0)),
        ("2026-03-10T10:30:00+01:30", (2026, 3, 10, 9, 0, 0)),
        ("2026-03-10T09:00:00.123456789Z", (2026, 3, 10, 9, 0, 0, 123456)),
        ("2025-12-31T23:59:60Z", (2025, 12, 31, 23, 59, 59, 999999)),
        ("2025-12-31t23:59:60.5z", (2025, 12, 31, 23, 59, 59, 999999)),
        ("2026-01-01T00:59:60+01:00", (2025, 12, 31, 23, 59, 59, 999999)),
    ],
)
def test_a_time_is_rfc_3339_as_it_is(text: str, moment: tuple[int, ...]) -> None:
    assert time_of(text, "time") == utc_time_of(text, "time") == datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    "text",
    [
        *("2026-W11-2T09:00:00Z", "2026-03-10T09:00:00 Z", "20260310T090000Z", "2026-03-10", "2026-03-10T09:00:61Z"),
        *("2026-03-10T12:30:60Z", "2026-069T09:00:00Z", "2026-03-10T24:00:01Z", "2026-03-10T09Z", "", None, 1773133200),
        *("٢٠٢٦-03-10T09:00:00Z", "2026-03-10T09:00:00+25:00", "2026-03-10_09:00:00Z", " 2026-03-10T09:00:00Z"),
    ],
)
def test_what_is_no_rfc_3339_is_refused(text: Any) -> None:
    for parse in (time_of, utc_time_of):
        with pytest.raises(InvalidField, match="is not a time"):
            parse(text, "time")


@pytest.mark.parametrize(
    "text", ["2026-04-30", "2026-04-30T23:00:00-05:00", "2026-04-30 ", "2026-04-30Z", "2026-04-30٣"]
)
def test_a_date_is_what_the_text_starts_with(text: str) -> None:
    assert date_of(text, "date") == "2026-04-30"


@pytest.mark.parametrize(
    "text",
    [
        *("2026-W18-4", "2026W184", "20260430", "2026-04-301", "2026-04-31", "2026-4-30", " 2026-04-30", "20260430T1"),
        *("٢٠٢٦-04-30", "2026-04", "2026-W18-1T", "\ud800026-04-30", "", None, 20260430),
    ],
)
def test_what_is_no_date_is_refused(text: Any) -> None:
    with pytest.raises(InvalidField, match="is not a date"):
        date_of(text, "date")


@pytest.mark.parametrize("value", [1773133200, "1773133200", 0, -5])
def test_seconds_are_not_taken_for_milliseconds(value: Any) -> None:
    with pytest.raises(InvalidField, match="milliseconds since 1970"):
        time_of_ms(value, "time")


@pytest.mark.parametrize(
    "text",
    [
        *("{{deal.stage}}", "${stage}", "{stage}", "{!Opportunity.StageName}", "%stage%", "[[stage]]", "<%= stage %>"),
        *("*|STAGE|*", " {{ stage }} ", "undefined", "null", "[object Object]", "{{deal.stage | default: x}}"),
    ],
)
def test_a_placeholder_that_was_not_filled_in_is_no_stage_and_no_name(text: str) -> None:
    for parse in (id_of, text_of):
        with pytest.raises(InvalidField, match="was not filled in"):
            parse(text, "stage")


@pytest.mark.parametrize("text", ["50 % sure", "{new} deal", "nullable", "<3", "Undefined scope", "100%"])
def test_a_stage_that_only_looks_like_a_placeholder_is_one(text: str) -> None:
    assert id_of(text, "stage") == text


@pytest.mark.parametrize("text", ["Propos\ufffdl", "\ufffd"])
def test_a_stage_with_a_broken_character_is_not_guessed(text: str) -> None:
    with pytest.raises(InvalidField, match="not UTF-8"):
        id_of(text, "stage")


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_an_empty_name_is_null(kind: str) -> None:
    for whole, emptied in each(kind, lambda document: changed(document, WEIGHTLESS.get(kind, ())[:1], "")):
        if kind not in ("copper", "monday"):
            assert flow_of(emptied) == flow_of(whole)
        assert "" not in {one.data.get("name") for one in emptied if isinstance(one, DealFact)}


@pytest.mark.parametrize("broken", ["&#0;", "&#xD83D;", "\x08", "&#31;", "\ufffe", "&#55357;"])
def test_a_character_that_xml_forbids_costs_a_name_only_itself(broken: str) -> None:
    now, webhook = genuine("salesforce")[0]
    crm = source_of(DIALECTS["salesforce"])
    text = webhook.body.decode()
    start, end = text.index("<sf:Name>") + 9, text.index("</sf:Name>")
    body = f"{text[:start]}Fair {broken}{text[end:]}".encode()

    parsed = crm.translate(request_of(webhook, now, body))

    assert flow_of(parsed) == flow_of(crm.translate(request_of(webhook, now)))
    assert {one.data["name"] for one in parsed if isinstance(one, DealFact)} == {"Fair \ufffd"}


@pytest.mark.parametrize("kind", ["zoho", "copper"])
def test_an_id_that_is_none_costs_only_its_own_record(kind: str) -> None:
    now, webhook = genuine(kind)[0]
    document = json.loads(webhook.body)
    document["ids"] = [None, *document["ids"], ["x"]]
    parsed = source_of(DIALECTS[kind]).translate(request_of(webhook, now, json.dumps(document).encode()))

    assert [type(one) for one in parsed].count(Invalid) == 2
    assert any(isinstance(one, DealFact) for one in parsed)
