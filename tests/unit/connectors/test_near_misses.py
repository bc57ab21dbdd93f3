"""Requests that are nearly right: one odd field or text costs no deal its event, and no near miss is ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.connectors.base.facts import DealFact, Ignored, Invalid, Parsed, UnreadableField
from shared.contracts.events import EventType
from tests.unit.connectors.test_meanings import OPPORTUNITY, copper, told, translated, unclear
from tests.unit.connectors.test_samples import SETTINGS, posted
from tests.unit.intake.test_cases import sources

STRUCTURED = {"content-type": "application/cloudevents+json"}
EVENT = {"specversion": "1.0", "id": "1", "source": "erp", "time": "2026-03-10T09:00:00Z"}


def cloudevent(body: bytes) -> Parsed:
    (one,) = sources()["cloudevents"].translate(posted(body, STRUCTURED))
    return one


@pytest.mark.parametrize("name", ["name", "monetary_value", "close_date"])
def test_a_field_of_copper_in_another_form_is_left_out(name: str) -> None:
    changed = copper("10", pipeline_stage_id=[1, 2], **{name: "no pair"})

    fact = told("copper", changed)

    assert (fact.type, fact.data["stage"]) == (EventType.MOVED, "2")
    assert [type(value) for value in fact.data.values()].count(UnreadableField) == 1


@pytest.mark.parametrize("name", ["pipeline_stage_id", "pipeline_id", "status"])
def test_a_field_of_copper_that_decides_the_flow_is_no_guess(name: str) -> None:
    assert "the old and the new value" in unclear("copper", copper("10", **{name: 2}))


@pytest.mark.parametrize("value", ["", None])
def test_a_stage_of_hubspot_that_was_cleared_is_no_fault(value: Any) -> None:
    event = {
        "eventId": 1,
        "portalId": 3,
        "occurredAt": 1773140000000,
        "objectId": 55,
        "subscriptionType": "deal.propertyChange",
        "propertyName": "dealstage",
        "propertyValue": value,
    }

    assert sources()["hubspot"].translate(posted(json.dumps([event]).encode())) == [Ignored("no-stage")]


def test_a_record_of_zoho_without_values_is_read() -> None:
    sent = {
        "server_time": 1773140400000,
        "module": "Deals",
        "ids": ["4"],
        "operation": "update",
        "channel_id": "1",
        "affected_values": [{"record_id": "4", "values": None}],
    }

    assert told("zoho", sent).type is EventType.CHANGED


@pytest.mark.parametrize("sign", ["\n", "\t", "\x0b", "\x1f"])
def test_a_control_character_in_a_text_costs_no_document(sign: str) -> None:
    event = EVENT | {"type": "deal.moved", "data": {"id": "801", "stage": "s", "name": "A@B"}}

    fact = cloudevent(json.dumps(event).replace("@", sign).encode())

    assert isinstance(fact, DealFact)
    assert (fact.data["stage"], fact.data["name"]) == ("s", f"A{sign}B")


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("dealmoved", None),
        ("dealstage.changed", None),
        ("opportunitywon", None),
        ("stages.described", None),
        ("updated", "crm/deals/801"),
        ("updated", "/deals/801"),
        ("updated", "https://crm.example.org/opportunity/801"),
        ("x", "deal:801"),
    ],
)
def test_what_names_a_deal_in_some_way_is_not_ignored(kind: str, subject: str | None) -> None:
    event = EVENT | {"type": kind, "subject": subject, "data": {"id": "801", "stage": "s"}}
    one = cloudevent(json.dumps(event).encode())

    assert isinstance(one, Invalid)
    assert "use deal. and one of" in one.detail


@pytest.mark.parametrize(
    ("kind", "subject"),
    [("dealer.created", None), ("ideal.updated", None), ("invoice.paid", "invoices/deal"), ("ping", None)],
)
def test_what_only_sounds_like_a_deal_is_ignored(kind: str, subject: str | None) -> None:
    event = EVENT | {"type": kind, "subject": subject}

    assert cloudevent(json.dumps(event).encode()) == Ignored("not-a-deal")


@pytest.mark.parametrize(
    ("event_type", "part", "ignored"),
    [
        ("records.updated", "record_id", False),
        ("record-updated", "record_id", False),
        ("object-attribute.created", "attribute_id", True),
        ("note.created", "note_id", True),
    ],
)
def test_an_event_of_attio_about_a_deal_is_not_ignored(event_type: str, part: str, ignored: bool) -> None:
    ids = {"object_id": SETTINGS["attio"]["deals"], part: "1"}
    (one,) = translated("attio", {"events": [{"event_type": event_type, "id": ids}]})

    assert isinstance(one, Ignored if ignored else Invalid)


def test_a_record_type_of_salesforce_that_is_nearly_right_is_not_ignored() -> None:
    (one,) = translated("salesforce", OPPORTUNITY.replace("sf:Opportunity", "sf:Opportunities").encode())

    assert isinstance(one, Invalid)


def test_a_record_of_salesforce_says_that_it_is_not_deleted() -> None:
    """Nothing else does: no message reports an undeletion."""
    there = OPPORTUNITY.replace("<sf:IsClosed>", "<sf:IsDeleted>false</sf:IsDeleted><sf:IsClosed>")
    is_open = there.replace("<sf:IsClosed>true", "<sf:IsClosed>false").replace("<sf:IsWon>true", "<sf:IsWon>false")
    closed = there.replace("<sf:IsClosed>false", "<sf:IsClosed>true").replace("<sf:IsWon>true", "<sf:IsWon>false")

    types = [
        [one.type for one in translated("salesforce", text.encode()) if isinstance(one, DealFact)]
        for text in (is_open, closed)
    ]

    assert types == [[EventType.REOPENED, EventType.MOVED], [EventType.LOST]]


@pytest.mark.parametrize("ending", ['"amount": , "stage": "P"}', '"stage": "P",}', '"stage": "P", "amount": }'])
def test_a_template_of_freshsales_with_an_empty_field_is_read(ending: str) -> None:
    fact = told("freshsales", ('{"event": "updated", "deal_id": "4", "name": "a: , b,} c", ' + ending).encode())

    assert (fact.data["stage"], fact.data["name"]) == ("P", "a: , b,} c")
