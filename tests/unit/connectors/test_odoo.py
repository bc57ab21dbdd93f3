"""Requests that a real Odoo 17, 18 and 19 sent: one save sent several times, lost, archived, restored, converted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.connectors.base.messages import to_messages
from shared.connectors.base.source import Request
from shared.connectors.config import parse
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.what_if import find
from shared.runtime.instants import micros, moment
from tests.support.webhooks import sample
from tests.unit.connectors.test_round_trip import POLICY

KEY = "a-key-that-is-long-enough"
ODOO = parse(json.dumps({"sources": {"crm": {"kind": "odoo", "secrets": [KEY]}}}))["crm"]
HEADERS = {
    "user-agent": "python-requests/2.31.0",
    "accept-encoding": "gzip, deflate",
    "accept": "*/*",
    "connection": "keep-alive",
    "content-type": "application/json",
}
CAME = datetime(2026, 11, 25, 3, 31, tzinfo=UTC)


def told(*names: str, query: str = f"key={KEY}", apart: timedelta = timedelta(milliseconds=9)) -> list[DealEvent]:
    """What intake makes of captured requests that came one after the other."""
    events = []
    for number, name in enumerate(names):
        now = CAME + number * apart
        request = Request("POST", HEADERS, query, sample(f"odoo-captured-{name}.json"), now)
        ODOO.verify(request)
        result = to_messages("crm", ODOO.translate(request), now, "")
        assert not result.invalid, result.invalid
        events += [DealEvent.model_validate_json(message.value) for message in result.messages]
    return events


def visits(events: list[DealEvent]) -> list[tuple[Any, ...]]:
    """Pipeline, stage, since when and whether that is known, until when."""
    found = find([event_of(event) for event in events], POLICY, micros(CAME)).visits
    return [(v.pipeline, v.stage, clock(v.entered), v.known, v.left and clock(v.left)) for _, v in found]


def clock(time: int) -> str:
    return moment(time).strftime("%S.%f")


def test_of_one_save_that_is_told_twice_the_last_word_counts() -> None:
    """A rule of Odoo's moved the new deal on before it was saved: both requests have the same write_date."""
    first, second = told("17-saved-first", "17-saved-second")

    assert first.time == second.time
    assert visits([second, first]) == visits([first, second]) == [("1", "3", "36.341282", True, None)]


@pytest.mark.parametrize(
    "names", [("17-lost-first", "17-lost-second"), ("17-lost-second",), ("17-lost-first",), ("19-archived",)]
)
def test_lost_and_archived_leave_the_pipeline(names: tuple[str, ...]) -> None:
    """Before lost, 17 to 19 send the old probability once; in 19 an archived deal keeps it."""
    events = told(*names)

    assert {event.type.value for event in events} == {"andon.deal.lost"}
    assert visits(events) == []


def test_the_life_of_an_opportunity() -> None:
    events = told("17-created", "17-moved", "17-won", "17-lost-first", "17-lost-second", "17-restored")

    assert (
        visits(events)
        == visits(events[::-1])
        == [
            ("1", "1", "20.054771", True, "21.663679"),
            ("1", "2", "21.663679", True, "26.735857"),
            ("1", "2", "30.599981", True, None),
        ]
    )


def test_a_deal_first_heard_of_in_the_middle_of_its_life_tells_since_when_it_is_there() -> None:
    assert visits(told("17-restored")) == [("1", "2", "28.021394", True, None)]


def test_time_as_a_lead_is_no_time_in_the_pipeline() -> None:
    assert visits(told("17-lead", "17-converted")) == [("1", "1", "39.044170", True, None)]


def test_deletion_is_known_by_its_address() -> None:
    (gone,) = told("17-deleted", query=f"key={KEY}&event=delete")

    assert (gone.type.value, gone.subject, gone.time.isoformat()) == (
        "andon.deal.deleted",
        "crm:11",
        "2026-11-25T03:30:41.552112+00:00",
    )
