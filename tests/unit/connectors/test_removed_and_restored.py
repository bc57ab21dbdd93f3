"""Deals that are deleted, archived, won or lost and then restored: every source that can report it does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from shared.connectors.base.facts import DealFact, Ignored, Invalid, Parsed, StageFact
from shared.connectors.base.source import RefusalReason, Unauthenticated
from shared.contracts.events import EventType
from tests.support.webhooks import sample
from tests.unit.connectors.test_meanings import OPPORTUNITY, dynamics, monday, told, translated
from tests.unit.connectors.test_samples import posted, source

DELETED, REOPENED, MOVED = EventType.DELETED, EventType.REOPENED, EventType.MOVED


def document(file: str) -> Any:
    return json.loads(sample(file))


def pipedrive(data: dict[str, Any], previous: dict[str, Any]) -> list[Parsed]:
    sent = document("pipedrive-v2-deal-change-stage.json")
    return translated("pipedrive", sent | {"data": sent["data"] | data, "previous": previous})


def types_of(parsed: list[Parsed]) -> list[EventType]:
    return [one.type for one in parsed if isinstance(one, DealFact)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"is_archived": True, "archive_time": "2026-03-05T09:00:00Z"}, "archived"),
        ({"is_archived": True}, "archived"),
        ({"is_deleted": True}, None),
        ({"status": "deleted"}, None),
    ],
)
def test_a_deal_of_pipedrive_that_was_removed_leaves_its_stage(data: dict[str, Any], reason: str | None) -> None:
    (one,) = pipedrive(data, {})

    assert isinstance(one, DealFact)
    assert (one.type, one.data.get("reason")) == (DELETED, reason)
    if "archive_time" in data:
        assert one.time.isoformat() == "2026-03-05T09:00:00+00:00"


@pytest.mark.parametrize(
    "removed", [{"is_archived": True, "archive_time": "2026-03-05T09:00:00Z"}, {"is_deleted": True}]
)
@pytest.mark.parametrize("status", ["won", "lost"])
@pytest.mark.parametrize("told", ["{}_time", "close_time", None])
def test_a_deal_of_pipedrive_that_was_closed_and_removed_in_one_message_is_both(
    removed: dict[str, Any], status: str, told: str | None
) -> None:
    closed = {} if told is None else {told.format(status): "2026-03-05T08:59:00Z"}
    closing, gone = pipedrive({"status": status, **removed, **closed}, {"status": "open"})

    assert isinstance(closing, DealFact)
    assert isinstance(gone, DealFact)
    assert (closing.type, gone.type) == (EventType(f"andon.deal.{status}"), DELETED)
    assert closing.data["stage"]
    assert closing.time == (datetime(2026, 3, 5, 8, 59, tzinfo=UTC) if told else gone.time)
    assert closing.id != gone.id


def test_an_archived_deal_whose_time_cannot_be_read_is_no_guess() -> None:
    (one,) = pipedrive({"is_archived": True, "archive_time": "soon"}, {})

    assert isinstance(one, Invalid)


@pytest.mark.parametrize("previous", [{"is_archived": True}, {"status": "deleted"}, {"is_deleted": True}])
def test_a_deal_of_pipedrive_that_was_restored_is_back(previous: dict[str, Any]) -> None:
    assert types_of(pipedrive({"is_archived": False, "archive_time": None}, previous)) == [REOPENED, MOVED]
    assert types_of(pipedrive({}, {"stage_id": 3})) == [MOVED]


@pytest.mark.parametrize("fields", [["deletedAt"], ["stage", "deletedAt"]])
def test_a_record_of_twenty_says_whether_it_is_deleted(fields: list[str]) -> None:
    sent = document("twenty-opportunity-updated.json") | {"updatedFields": fields}
    deleted = sent["record"] | {"deletedAt": "2026-03-09T10:00:00.000Z"}

    (gone,) = translated("twenty", sent | {"record": deleted})
    assert isinstance(gone, DealFact)
    assert (gone.type, gone.time.isoformat()) == (DELETED, "2026-03-09T10:00:00+00:00")
    assert types_of(translated("twenty", sent | {"record": sent["record"] | {"deletedAt": None}})) == [REOPENED, MOVED]
    (unclear,) = translated("twenty", sent | {"record": deleted | {"deletedAt": "soon"}})
    assert isinstance(unclear, Invalid)


@pytest.mark.parametrize(
    ("kind", "reason"), [("item_deleted", None), ("item_archived", "archived"), ("archive_pulse", "archived")]
)
def test_an_item_of_monday_is_deleted_archived_and_restored(kind: str, reason: str | None) -> None:
    gone, back = told("monday", monday(kind)), told("monday", monday("item_restored"))

    assert (gone.type, gone.data.get("reason"), back.type) == (DELETED, reason, REOPENED)


def test_other_kinds_of_source_tell_that_a_deal_is_there_again() -> None:
    fresh = {"deal_id": "1", "event": "restored", "updated_at": "2026-03-10T09:00:00Z"}
    lead = {"_model": "crm.lead", "_id": 5, "active": True, "write_date": "2026-03-10 09:00:00"}

    assert told("freshsales", fresh).type is REOPENED
    assert told("odoo", lead).type is REOPENED
    assert types_of(translated("dynamics", dynamics("update", MessageName="Restore")))[0] is REOPENED


def test_a_deleted_record_in_an_outbound_message_leaves_its_stage() -> None:
    deleted = OPPORTUNITY.replace("<sf:IsClosed>", "<sf:IsDeleted>true</sf:IsDeleted><sf:IsClosed>")

    assert told("salesforce", deleted.encode()).type is DELETED


def test_an_opportunity_of_dynamics_that_is_open_again_is_told() -> None:
    def entry(key: str, *columns: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"key": key, "value": {"Attributes": list(columns)}}]

    state = {"key": "statecode", "value": {"Value": 0}}
    stage = {"key": "stepname", "value": "3-Propose"}
    opened = dynamics("update", InputParameters=entry("Target", state), PostEntityImages=entry("post", state))
    moved = dynamics("update", InputParameters=entry("Target", state), PostEntityImages=entry("post", state, stage))

    assert told("dynamics", opened).type is REOPENED
    assert [one.type for one in translated("dynamics", moved) if isinstance(one, DealFact)] == [MOVED]


def process(**more: Any) -> dict[str, Any]:
    columns = [
        {"key": "activestageid", "value": {"Id": "st-3", "LogicalName": "processstage", "Name": "Propose"}},
        {"key": "opportunityid", "value": {"Id": "d-1", "LogicalName": "opportunity"}},
    ]
    entities = [{"key": "Target", "value": {"Attributes": columns}}]
    return dynamics("update", PrimaryEntityName="opportunitysalesprocess", InputParameters=entities, **more)


def test_moves_of_the_process_of_dynamics_are_read_if_the_settings_say_so() -> None:
    moved, named = translated("dynamics", process(), stage_field="activestageid")

    assert isinstance(moved, DealFact)
    assert (moved.type, moved.deal, moved.data) == (MOVED, "d-1", {"stage": "st-3"})
    assert isinstance(named, StageFact)
    assert named.data == {"stage": "st-3", "name": "Propose"}
    (unset,) = translated("dynamics", process())
    assert isinstance(unset, Invalid)
    assert "set it, or remove the step" in unset.detail


@pytest.mark.parametrize("message", ["Merge", "Frob"])
def test_a_message_of_dynamics_about_an_opportunity_is_not_ignored(message: str) -> None:
    (one,) = translated("dynamics", dynamics("update", MessageName=message))

    assert isinstance(one, Invalid)
    assert message in one.detail


def column(value: Any) -> list[Parsed]:
    return translated("monday", monday("update_column_value", columnId="deal_stage", value=value))


def test_a_dropdown_of_monday_can_hold_the_stage() -> None:
    (moved,) = column({"chosenValues": [{"id": 2, "name": "Proposal"}]})

    assert isinstance(moved, DealFact)
    assert moved.data["stage"] == "Proposal"
    for unclear in ({"chosenValues": [{"name": "A"}, {"name": "B"}]}, {"value": "Proposal"}, {"chosenValues": "A"}):
        (one,) = column(unclear)
        assert isinstance(one, Invalid)


@pytest.mark.parametrize("event", ["item_frobbed", "Create_item", None])
def test_an_event_of_monday_that_is_not_known_is_not_ignored(event: Any) -> None:
    (one,) = translated("monday", monday(event))

    assert isinstance(one, Invalid)


@pytest.mark.parametrize("status", ["Frobbed", 7])
def test_a_status_of_copper_that_is_not_known_is_no_guess(status: Any) -> None:
    sent = document("copper-opportunity-update.json") | {"updated_attributes": {"status": ["Open", status]}}
    (one,) = translated("copper", sent)

    assert isinstance(one, Invalid)


TEMPLATE = '{"event": "updated", "deal_id": "4", "stage": "Proposal", "name": "%s", "amount": "5"}'


@pytest.mark.parametrize("name", ['ACME "Big" deal', '"', 'a", "b', "back\\slash", "two\nlines", 'ends with "'])
def test_a_template_of_freshsales_is_read_whatever_the_name(name: str) -> None:
    assert told("freshsales", (TEMPLATE % name).encode()).data["name"] == name


@pytest.mark.parametrize("name", ['x", "stage": "Won', 'x", "deal_id": "5'])
def test_a_name_of_freshsales_forges_no_field(name: str) -> None:
    (one,) = translated("freshsales", (TEMPLATE % (name + '"')).encode())

    assert isinstance(one, Invalid)


def test_freshsales_may_send_a_form() -> None:
    form = b"event=updated&deal_id=4&stage=Proposal&name=ACME+%22Big%22+deal&amount="
    headers = {"content-type": "application/x-www-form-urlencoded"}

    moved = told("freshsales", form, headers)
    assert (moved.deal, moved.data) == ("4", {"stage": "Proposal", "name": 'ACME "Big" deal'})
    (twice,) = translated("freshsales", form + b"&stage=Won", headers)
    assert isinstance(twice, Invalid)


@pytest.mark.parametrize(
    "written",
    [
        "<SessionId>00Dsecret</SessionId>",
        "<SessionId><![CDATA[00Dsecret]]></SessionId>",
        "<SessionId>00D<![CDATA[secret]]></SessionId>",
        "<SessionId><!-- x -->00Dsecret</SessionId>",
        "<n:SessionId xmlns:n='http://soap.sforce.com/2005/09/outbound'><![CDATA[00Dsecret]]></n:SessionId >",
        "<SessionId><![CDATA[x</SessionId>00Dsecret]]></SessionId>",
    ],
)
def test_a_session_id_is_not_kept_in_whatever_form(written: str) -> None:
    body = OPPORTUNITY.replace('<SessionId xsi:nil="true"/>', written)
    assert written in body
    request = posted(body.encode())
    crm = source("salesforce")

    archived = crm.archived_body(request)

    assert b"secret" not in archived
    assert crm.translate(request._replace(body=archived)) == crm.translate(request)


BOARD, OTHER = 1771800001, 1771800002


@pytest.mark.parametrize(
    "named", [{"boardId": OTHER, "sourceBoardId": BOARD}, {"destBoardId": OTHER}, {"destBoard": {"id": OTHER}}]
)
def test_an_item_of_monday_that_moves_to_another_board_is_gone(named: dict[str, Any]) -> None:
    one = told("monday", monday("move_pulse_into_board", **named))
    assert (one.type, one.data) == (DELETED, {"reason": "moved to another board"})


@pytest.mark.parametrize(
    ("named", "meant"),
    [({"sourceBoardId": OTHER}, REOPENED), ({"sourceBoard": {"id": OTHER}}, REOPENED), ({}, EventType.CHANGED)],
)
def test_an_item_of_monday_that_moves_to_this_board_is_in_it(named: dict[str, Any], meant: EventType) -> None:
    one = told("monday", monday("move_pulse_into_board", **named))
    assert (one.type, one.data) == (meant, {"name": "A deal"})


@pytest.mark.parametrize("named", [{"boardId": OTHER}, {"boardId": OTHER, "sourceBoardId": 5}])
def test_a_move_between_other_boards_of_monday_is_ignored(named: dict[str, Any]) -> None:
    assert translated("monday", monday("move_pulse_into_board", **named)) == [Ignored("other-board")]


def test_a_token_of_monday_without_an_expiry_is_refused() -> None:
    key = "a-signing-secret-of-more-than-32-bytes"
    crm = source("monday", secrets=[key])
    body = json.dumps(monday("create_item")).encode()
    for claims, refused in (({"exp": 9_999_999_999}, False), ({"accountId": 1}, True), ({"iat": 1773133200}, True)):
        token = jwt.encode(claims, key, "HS256")
        request = posted(body, {"authorization": token}, "")
        if not refused:
            crm.verify(request)
            continue
        with pytest.raises(Unauthenticated) as error:
            crm.verify(request)
        assert error.value.reason is RefusalReason.WRONG_SIGNATURE
