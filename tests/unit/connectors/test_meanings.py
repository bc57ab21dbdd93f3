"""What sources mean by messages that come seldom: none is guessed, swallowed, or taken for another."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.connectors.base.facts import DealFact, Ignored, Invalid, Parsed
from shared.connectors.base.fields import amount_of
from shared.contracts.events import DealData, EventType
from shared.flow.events import fields_of
from shared.flow.fold import visits
from shared.flow.stage_lookup import ResolvedStage
from shared.flow.visits import Event, EventKey, Visit
from shared.policy import StageOutcome
from tests.support.webhooks import sample
from tests.unit.connectors.test_samples import posted, source

OPPORTUNITY = sample("salesforce-outbound-opportunity.xml").decode()


class AnyStage:
    """Every stage is open, but for those that are named won and lost."""

    def resolve(self, deal: str, pipeline: str | None, stage: str) -> ResolvedStage:
        return ResolvedStage("p", stage, StageOutcome(stage) if stage in ("won", "lost") else StageOutcome.OPEN)


def translated(kind: str, document: Any, headers: dict[str, str] | None = None, **settings: Any) -> list[Parsed]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return source(kind, **settings).translate(posted(body, headers))


def told(kind: str, document: Any, headers: dict[str, str] | None = None, **settings: Any) -> DealFact:
    (one,) = translated(kind, document, headers, **settings)
    assert isinstance(one, DealFact), one
    return one


def unclear(kind: str, document: Any) -> str:
    (one,) = translated(kind, document)
    assert isinstance(one, Invalid), one
    return one.detail


def stays(some: list[DealFact]) -> list[Visit]:
    events = [
        Event(
            "d",
            EventKey(int(one.time.timestamp() * 1e6), one.type.rank, one.id),
            fields_of(DealData.model_validate(one.data)),
        )
        for one in some
    ]
    return visits(events, AnyStage())


def copper(time: str, event: str = "update", **changes: Any) -> dict[str, Any]:
    return {
        "subscription_id": 1,
        "event": event,
        "type": "opportunity",
        "ids": [5],
        "updated_attributes": changes,
        "timestamp": f"2026-03-{time}T09:00:00Z",
    }


def test_a_deal_of_copper_that_is_opened_again_goes_on_in_its_stage() -> None:
    some = [
        told("copper", copper("01", "new", pipeline_stage_id=[None, 4], status=[None, "Open"])),
        told("copper", copper("02", status=["Open", "Won"])),
        told("copper", copper("05", status=["Won", "Open"])),
    ]
    assert some[-1].type is EventType.REOPENED
    assert [(visit.stage, visit.left is None) for visit in stays(some)] == [("4", False), ("4", True)]
    moved = told("copper", copper("06", status=["Won", "Open"], pipeline_stage_id=[4, 9]))
    assert (moved.type, moved.data["stage"]) == (EventType.MOVED, "9")


def monday(kind: str, **more: Any) -> dict[str, Any]:
    event = {
        "type": kind,
        "boardId": 1771800001,
        "pulseId": 7,
        "pulseName": "A deal",
        "triggerUuid": f"u-{len(str(more))}",
        "triggerTime": "2026-03-01T09:00:00Z",
        "originalTriggerUuid": None,
    }
    return {"event": event | more}


def test_an_item_of_monday_is_made_in_the_stage_and_with_the_amount_it_was_filled_with() -> None:
    values = {"deal_stage": {"label": {"index": 3, "text": "Discovery"}}, "deal_value": {"value": 1200}, "other": None}
    made = told("monday", monday("create_pulse", columnValues=values))

    assert made.data == {"name": "A deal", "stage": "Discovery", "amount": "1200"}
    for nothing in ({}, None, [], {"deal_stage": None}, {"deal_stage": {"label": {"text": None}}}):
        assert told("monday", monday("create_pulse", columnValues=nothing)).data == {"name": "A deal"}


@pytest.mark.parametrize("value", [None, {"label": None}, {"label": {"text": None}}, {"label": {"text": ""}}])
def test_a_label_of_monday_that_was_emptied_is_no_stage(value: Any) -> None:
    assert translated("monday", monday("update_column_value", columnId="deal_stage", value=value)) == [
        Ignored("no-label")
    ]


def test_changes_of_monday_with_one_cause_are_several() -> None:
    first, second = (
        told(
            "monday",
            monday(
                "update_column_value",
                columnId="deal_stage",
                value={"label": {"text": stage}},
                triggerUuid=number,
                originalTriggerUuid="the-cause",
            ),
        )
        for number, stage in (("1", "Proposal"), ("2", "Negotiation"))
    )
    assert (first.id, second.id) == ("1", "2")


def test_a_closed_opportunity_of_which_nobody_says_whether_it_was_won_is_neither() -> None:
    closed = OPPORTUNITY.replace("<sf:IsClosed>false", "<sf:IsClosed>true")
    unsaid = closed.replace("<sf:IsWon>false</sf:IsWon>", "")

    assert "sf:IsWon: is missing; tick it" in unclear("salesforce", unsaid.encode())
    assert told("salesforce", closed.encode()).type is EventType.LOST
    assert told("salesforce", closed.replace("<sf:IsWon>false", "<sf:IsWon>true").encode()).type is EventType.WON
    assert told("salesforce", OPPORTUNITY.replace("<sf:IsWon>false</sf:IsWon>", "").encode()).type is EventType.MOVED


def dynamics(name: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sample(f"dynamics-opportunity-{name}.json"))
    return found | more


def test_a_synchronous_step_of_dynamics_is_not_taken() -> None:
    nobody = dynamics("update", OperationId="00000000-0000-0000-0000-000000000000")
    assert "register the step as asynchronous" in unclear("dynamics", nobody)


def test_a_closing_of_dynamics_counts_without_its_columns_and_a_lost_deal_keeps_its_amount() -> None:
    win = dynamics("win")
    cut = {name: value for name, value in win.items() if name != "InputParameters"}

    assert told("dynamics", win).data == {"amount": "51000.0", "reason": "Opportunity won"}
    large = told("dynamics", cut, {"x-ms-dynamics-msg-size-exceeded": "true"})
    assert (large.type, large.data) == (EventType.WON, {})
    lost = told("dynamics", dynamics("win", MessageName="Lose"))
    assert (lost.type, lost.data) == (EventType.LOST, {"reason": "Opportunity won"})


@pytest.mark.parametrize(("state", "kind"), [(0, EventType.REOPENED), (1, EventType.WON), (2, EventType.LOST)])
def test_a_state_of_dynamics_that_was_set_counts(state: int, kind: EventType) -> None:
    given = [{"key": "EntityMoniker", "value": {}}, {"key": "State", "value": {"Value": state}}]
    assert (
        told("dynamics", dynamics("update", MessageName="SetState", InputParameters=given, PostEntityImages=[])).type
        is kind
    )


@pytest.mark.parametrize("stages", [("Proposal", "Discovery"), ("Discovery", "Proposal")])
def test_two_saves_of_freshsales_in_one_second_are_two_and_the_last_counts(stages: tuple[str, str]) -> None:
    some: list[Any] = []
    for second, stage in enumerate(stages):
        body = {"event": "updated", "deal_id": "1", "stage": stage, "updated_at": "2026-03-10T09:00:00Z"}
        request = posted(json.dumps(body).encode())._replace(
            received_at=datetime(2026, 3, 10, 9, 0, second, tzinfo=UTC)
        )
        some += source("freshsales").translate(request)

    assert [visit.stage for visit in stays(some)] == [stages[1]]


def test_twenty_is_read_in_the_form_of_its_documentation_too() -> None:
    sent = json.loads(sample("twenty-opportunity-updated.json"))
    told_so = {"event": sent["eventName"], "data": sent["record"], "timestamp": sent["eventDate"]}

    assert told("twenty", told_so).data == told("twenty", sent).data
    emptied = sent["record"] | {"amount": {"amountMicros": None, "currencyCode": ""}}
    assert told("twenty", sent | {"record": emptied}).data["amount"] is None


def test_records_of_attio_that_were_merged_go_into_the_one_that_stays() -> None:
    event = {
        "event_type": "record.merged",
        "duplicate_record_id": "goes",
        "id": {"object_id": "3bdd5e1a-a195-50f5-a48e-6e334913721d", "record_id": "stays"},
    }
    merged = told("attio", {"events": [event]})

    assert (merged.type, merged.deal, merged.data) == (EventType.MERGED, "goes", {"into": "crm:stays"})


def test_pipedrive_may_tell_seconds_as_text() -> None:
    document = json.loads(sample("pipedrive-v2-deal-change-stage.json"))
    document["meta"]["timestamp"] = "1773133200"

    assert told("pipedrive", document).time == datetime.fromtimestamp(1773133200, UTC)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("pipedrive", {"meta": {"version": "2.0", "id": "x", "timestamp": "2026-03-10T09:00:00Z"}}),
        ("close", {"event": {"type": "opportunity"}}),
        ("dynamics", {"entity": "opportunity"}),
        ("zoho", {"name": "Deals"}),
        ("twenty", {"name": "opportunity.created"}),
        ("odoo", {"model": "crm.lead"}),
        ("copper", {"kind": "opportunity"}),
        ("attio", {"events": [{"type": "record.created", "id": {}}]}),
    ],
)
def test_what_does_not_say_what_it_is_about_is_kept_and_not_ignored(kind: str, body: Any) -> None:
    assert "the sender's format has changed" in unclear(kind, body)


@pytest.mark.parametrize(("kind", "field"), [("zoho", "token"), ("copper", "secret_field")])
def test_a_secret_that_is_written_in_another_way_is_not_kept(kind: str, field: str) -> None:
    body = b'{"%s": "a\\/long\\u0026secret\\u00E9", "module": "Deals", "type": "opportunity"}' % field.encode()
    request = posted(body)
    found = source(kind, secrets=["a/long&secreté"])
    found.verify(request)

    assert json.loads(found.archived_body(request)) == {field: "", "module": "Deals", "type": "opportunity"}


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (59.970000000000006, "59.97"),
        ("1469.1263999999999", "1469.1264"),
        (0.1 + 0.2, "0.3"),
        (1e-9, "0.000000001"),
        ("1e-13", "0"),
        ("1e-1000000", "0"),
        ("9" * 29 + ".1234567890123", "9" * 29 + ".123456789012"),
        ("100.50", "100.50"),
    ],
)
def test_the_noise_of_binary_fractions_costs_no_deal_its_event(value: Any, amount: str) -> None:
    assert amount_of(value, "amount") == amount
    DealData(amount=amount)
