"""What no service could store, count from or draw is refused by the contract, so that it ends in the dead letters."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from shared.contracts.envelope import AnyMoment, compact, iso
from shared.contracts.events import DealEvent
from shared.contracts.measures import Measure, MeasureData, MeasureEvent
from shared.contracts.notices import NoticeData, NoticeEvent, NoticeReason, NoticeResult
from shared.contracts.problems import ProblemEvent
from shared.contracts.tickets import TicketEvent
from tests.support.problems import day, event, problem, ticket_event

POINT = MeasureData(pipeline="p", stage="s", measure=Measure.WIP, start=day(0), end=day(1), value=1.0)
RESULT = NoticeData(
    notice="1-1", ticket=1, reason=NoticeReason.OPENED, result=NoticeResult.SENT, message_id="<a@b>", at=day(0)
)
GOOD: dict[type[Any], Any] = {
    DealEvent: {
        "id": "1",
        "source": "crm",
        "type": "andon.deal.moved",
        "subject": "crm:1",
        "time": "2026-03-02T09:00:00Z",
        "data": {"stage": "a", "entered_at": "2026-03-02T09:00:00Z"},
    },
    ProblemEvent: json.loads(event(problem()).to_json()),
    MeasureEvent: json.loads(MeasureEvent(id="1", source="d", subject="p", time=day(1), data=POINT).to_json()),
    NoticeEvent: json.loads(NoticeEvent(id="1", source="n", subject="1", time=day(1), data=RESULT).to_json()),
    TicketEvent: json.loads(ticket_event().to_json()),
}
BAD = [
    (DealEvent, "time", "0001-01-01T00:00:00+14:00"),
    (DealEvent, "time", "9999-12-31T23:59:59-12:00"),
    (DealEvent, "time", "0001-01-01T00:00:00Z"),
    (DealEvent, "data.entered_at", "0001-01-01T00:00:00Z"),
    (DealEvent, "data.next_step_at", "9999-12-31T23:59:59-12:00"),
    (ProblemEvent, "data.opened_at", "0001-01-01T00:00:00Z"),
    (ProblemEvent, "data.detected_at", "9999-12-31T00:00:00Z"),
    (ProblemEvent, "data.peak", 2**40),
    (ProblemEvent, "data.count", 2**80),
    (ProblemEvent, "data.rule", "a\0"),
    (ProblemEvent, "data.limit", "soon"),
    (ProblemEvent, "data.usual", float("nan")),
    (ProblemEvent, "data.limit_seconds", 2**70),
    (ProblemEvent, "data.evidence.worst.0.amount", "much"),
    (ProblemEvent, "data.evidence.worst.0.name", "a\0"),
    (ProblemEvent, "data.evidence.worst.0.age_seconds", float("inf")),
    (MeasureEvent, "data.value", float("nan")),
    (MeasureEvent, "type", "andon.problem.opened"),
    (NoticeEvent, "data.ticket", 2**70),
    (NoticeEvent, "data.message_id", "\0"),
    (NoticeEvent, "type", "andon.ticket.opened"),
    (TicketEvent, "data.ticket", 2**70),
    (TicketEvent, "data.seq", 2**40),
    (TicketEvent, "data.title", "\0"),
    (TicketEvent, "data.sentence", "\0"),
    (TicketEvent, "data.chart_alt", "\0"),
    (TicketEvent, "type", "andon.notice.result"),
]


@pytest.mark.parametrize(("contract", "place", "value"), BAD)
def test_what_cannot_be_kept_is_refused_by_its_field(contract: type[Any], place: str, value: Any) -> None:
    whole = json.loads(json.dumps(GOOD[contract]))
    contract.model_validate_json(json.dumps(whole))
    part: Any = whole
    *path, last = (int(name) if name.isdigit() else name for name in place.split("."))
    for name in path:
        part = part[name]
    part[last] = value

    with pytest.raises(ValidationError) as refused:
        contract.model_validate_json(json.dumps(whole))

    assert [".".join(map(str, error["loc"])) for error in refused.value.errors()] == [place]


def test_a_planned_step_may_lie_at_the_end_of_the_calendar() -> None:
    whole = GOOD[DealEvent] | {"data": {"next_step_at": "9999-12-31T23:59:59Z"}}

    found = DealEvent.model_validate_json(json.dumps(whole)).data.next_step_at

    assert found == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("contract", GOOD)
def test_fields_that_are_not_known_yet_are_passed_over(contract: type[Any]) -> None:
    whole = GOOD[contract] | {"later": {"a": [1]}, "data": GOOD[contract]["data"] | {"later": "x"}}

    assert contract.model_validate_json(json.dumps(whole)) == contract.model_validate_json(json.dumps(GOOD[contract]))


@given(st.datetimes(timezones=st.timezones()).filter(lambda moment: 1 < moment.year < 9999))
@example(datetime(2011, 9, 30, 22, 38, 44, tzinfo=UTC))
@example(datetime(1, 1, 3, tzinfo=UTC))
def test_a_time_is_written_in_utc_with_six_digits(moment: datetime) -> None:
    written = iso(moment)

    assert written == moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
    assert datetime.fromisoformat(written) == moment.astimezone(UTC)


_OURS, _PYDANTIC = TypeAdapter[datetime](AnyMoment), TypeAdapter[datetime](AwareDatetime)


@given(st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z") | st.datetimes(timezones=st.just(UTC)).map(iso))
@example("2026-02-30T10:00:00.000000Z")
@example("2026-03-10T24:00:00.000000Z")
@example("2026-03-10T10:60:00.000000Z")
@example("0000-03-10T10:00:00.000000Z")
@example("2026-W11-2T10:00:00.000000Z")
@example("2026-03-10T10:00:00,000000Z")
@example("2026-03-10t10:00:00.000000z")
@example("2026-03-10 10:00:00.000000Z")
@example("２０２６-03-10T10:00:00.000000Z")
@example("2026-03-10T10:00:00.000000Z\n")
def test_a_time_as_we_write_it_is_read_as_any_other_is(text: str) -> None:
    def read(adapter: TypeAdapter[Any]) -> tuple[datetime, Any] | list[Any]:
        try:
            moment = adapter.validate_json(orjson.dumps(text))
        except ValidationError as error:
            return [(fault["type"], fault["msg"]) for fault in error.errors()]
        return moment, moment.utcoffset()

    assume(":60." not in text)
    assert read(_OURS) == read(_PYDANTIC)


def test_a_leap_second_as_we_write_times_is_the_last_instant_of_its_minute() -> None:
    read = _OURS.validate_json

    assert read(b'"2025-12-31T23:59:60.500000Z"') == datetime(2025, 12, 31, 23, 59, 59, 999_999, UTC)
    with pytest.raises(ValidationError, match="valid datetime"):
        read(b'"2026-03-10T12:30:60.500000Z"')


def test_what_waits_as_json_takes_no_more_than_it_needs() -> None:
    tracemalloc.start()
    try:
        kept = [compact({"number": number}) for number in range(1000)]
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert kept[7] == b'{"number":7}'
    assert taken < 200 * len(kept)


def test_an_event_with_other_data_is_as_one_made_anew_but_for_its_id() -> None:
    first = MeasureEvent.new(source="d", subject="p", time=day(1), data=POINT)
    other = POINT.model_copy(update={"stage": None, "value": None})

    made, anew = first.with_data("q", other), MeasureEvent.new(source="d", subject="q", time=day(1), data=other)

    assert made.id not in (first.id, anew.id)
    assert made.model_copy(update={"id": anew.id}).to_json() == anew.to_json()
    assert MeasureEvent.model_validate_json(made.to_json()) == made
