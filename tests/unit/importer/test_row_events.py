"""Events of single rows: order within a day, rework, closings, and rows with faults."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.importer.mapping import Mapping
from services.importer.preview import describe_row
from services.importer.readers import RowFault
from services.importer.row_events import RowEvents
from services.importer.tables.base import Row

NOW = datetime(2026, 6, 1, tzinfo=UTC)
COLUMNS = ["id", "stage", "status", "created", "a", "b", "closed", "entered", "changed", "amount", "why"]


def row_events(shape: str, columns: dict[str, Any], **fields: Any) -> RowEvents:
    own = {
        "shape": shape,
        "columns": {"deal": "id", **columns},
        "won": ["Won"],
        "lost": ["Lost"],
        "timezone": "Europe/Berlin",
    }
    return RowEvents.of_table(Mapping.model_validate(own | fields), COLUMNS, NOW)


def row(**cells: Any) -> Row:
    return Row(2, [cells.get(name) for name in COLUMNS])


def steps_of(some: RowEvents, **cells: Any) -> list[tuple[str, str, str | None]]:
    events = sorted(some.of_row(row(id="1", **cells)), key=lambda one: one.time)
    return [
        (
            e.type.value.rpartition(".")[2],
            f"{e.time.astimezone(ZoneInfo('Europe/Berlin')):%m-%d %H:%M:%S.%f}",
            e.data.get("stage"),
        )
        for e in events
    ]


STAGES = {"created": "created", "closed": "closed", "stage": "stage", "reason": "why", "amount": "amount"}
DATED = {"stage_dates": {"A": "a", "B": "b"}}


def test_within_a_day_the_order_is_that_of_the_shape() -> None:
    day = "2026-03-04"

    assert steps_of(row_events("stages", STAGES, **DATED), stage="Won", created=day, a=day, b=day, closed=day) == [
        ("created", "03-04 00:00:00.000000", None),
        ("moved", "03-04 00:00:00.000000", "A"),
        ("moved", "03-04 00:00:00.000001", "B"),
        ("won", "03-04 00:00:00.000003", None),
    ]


def test_a_day_comes_after_what_is_told_exactly_of_it() -> None:
    some = row_events("stages", STAGES, **DATED)

    assert steps_of(
        some, stage="Won", created="2026-03-04 14:30", a="2026-03-04", b="2026-03-04 15:00", closed="2026-03-04"
    ) == [
        ("created", "03-04 14:30:00.000000", None),
        ("moved", "03-04 14:30:00.000000", "A"),
        ("moved", "03-04 15:00:00.000000", "B"),
        ("won", "03-04 15:00:00.000001", None),
    ]


def test_two_moves_of_one_instant_keep_their_order() -> None:
    at = "2026-03-04 14:30"

    assert steps_of(row_events("stages", STAGES, **DATED), stage="B", created=at, a=at, b=at) == [
        ("created", "03-04 14:30:00.000000", None),
        ("moved", "03-04 14:30:00.000000", "A"),
        ("moved", "03-04 14:30:00.000001", "B"),
    ]


MIDNIGHT = "2026-03-04 00:00:00"


@pytest.mark.parametrize("closed", [MIDNIGHT, "2026-03-04"])
def test_a_closing_comes_after_the_moves_of_its_instant(closed: str) -> None:
    some = row_events("stages", STAGES, **DATED)

    assert steps_of(some, stage="Won", created=MIDNIGHT, a=MIDNIGHT, b=MIDNIGHT, closed=closed)[1:] == [
        ("moved", "03-04 00:00:00.000000", "A"),
        ("moved", "03-04 00:00:00.000001", "B"),
        ("won", f"03-04 00:00:00.00000{1 if closed == MIDNIGHT else 3}", None),
    ]


def test_a_column_of_closing_dates_closes_after_the_moves_of_its_instant() -> None:
    some = row_events("stages", {"stage": "stage"}, stage_dates={"A": "a", "B": "b", "Won": "closed"})

    assert [step[0] for step in steps_of(some, stage="Won", a=MIDNIGHT, b=MIDNIGHT, closed=MIDNIGHT)] == [
        "moved",
        "moved",
        "won",
    ]


def test_a_date_that_goes_backwards_is_rework_and_stays() -> None:
    some = row_events("stages", STAGES, **DATED)

    assert [step[2] for step in steps_of(some, stage="A", a="2026-03-09", b="2026-03-04")] == ["B", "A"]


def test_columns_of_closing_dates_close() -> None:
    some = row_events("stages", {"stage": "stage"}, stage_dates={"A": "a", "Won": "b"})

    assert [step[0] for step in steps_of(some, stage="Won", a="2026-03-04", b="2026-03-09")] == ["moved", "won"]


def test_an_open_deal_has_an_expected_close() -> None:
    (event,) = row_events("stages", STAGES, **DATED).of_row(
        row(id="1", stage="A", a="2026-03-04", closed="2027-03-31", amount="7")
    )

    assert (event.data["amount"], event.data["expected_close"]) == ("7", "2027-03-31")


def test_an_expected_close_is_the_day_in_the_zone_of_the_table() -> None:
    (event,) = row_events("stages", STAGES, **DATED).of_row(
        row(id="1", stage="A", a="2026-03-04", closed="2027-03-31T23:30:00Z")
    )

    assert event.data["expected_close"] == "2027-04-01"


def test_a_lost_deal_has_a_reason() -> None:
    *_, lost = row_events("stages", STAGES, **DATED).of_row(
        row(id="1", stage="lost", a="2026-03-04", closed="2026-03-31", why="price")
    )

    assert (lost.type.value, lost.data["reason"]) == ("andon.deal.lost", "price")


def test_the_last_change_of_the_row_says_since_when_amounts_hold() -> None:
    some = row_events("stages", STAGES | {"modified": "changed"}, **DATED)

    assert steps_of(some, stage="A", a="2026-03-04", amount="7", changed="2026-04-01 10:00")[-1] == (
        "changed",
        "04-01 10:00:00.000000",
        None,
    )


LAST = STAGES | {"entered": "entered"}


def test_a_deal_is_in_its_stage_since_the_row_says() -> None:
    some = row_events("last-stage", LAST, first_stage="A")

    assert steps_of(some, stage="B", created="2026-03-04", entered="2026-03-09") == [
        ("created", "03-04 00:00:00.000000", "A"),
        ("moved", "03-09 00:00:00.000000", "B"),
    ]
    assert steps_of(some, stage="Lost", created="2026-03-04", entered="2026-03-09")[-1][0] == "lost"


def test_a_stage_without_a_date_is_left_out_or_seen() -> None:
    columns = {"created": "created", "stage": "stage"}
    without = row_events("last-stage", columns, first_stage="A")

    assert steps_of(without, stage="B", created="2026-03-04") == [("created", "03-04 00:00:00.000000", None)]
    assert without.notes["unplaced"] == 1
    seen = row_events("last-stage", columns, exported_at="2026-05-01T12:00:00+02:00")
    (event,) = seen.of_row(row(id="1", stage="B", created="2026-03-04"))
    assert (event.type.value, "entered_at" in event.data) == ("andon.deal.moved", False)
    assert describe_row([event], ZoneInfo("Europe/Berlin")) == "deal 1 seen in B 1 May 2026 12:00"


def test_rows_in_sentences() -> None:
    events = row_events("stages", STAGES, **DATED).of_row(
        row(id="123", stage="Won", created="2026-03-03", a="2026-03-03", b="2026-03-09 14:05", closed="2026-04-14")
    )

    assert describe_row(events, ZoneInfo("Europe/Berlin")) == (
        "deal 123 created 3 March 2026; moved to A 3 March 2026; moved to B 9 March 2026 14:05; won 14 April 2026"
    )


def test_ids_are_of_what_is_told_and_of_nothing_else() -> None:
    cells = {"id": "1", "stage": "Won", "created": "2026-03-04", "a": "2026-03-05", "closed": "2026-03-09"}
    one = row_events("stages", STAGES, **DATED).of_row(row(**cells, amount="7"))
    other = row_events("stages", STAGES, **DATED).of_row(Row(99, row(**cells, amount="8", b="2026-03-06").cells))

    assert len({event.id for event in one}) == 3
    assert {event.id for event in one} < {event.id for event in other}


def test_a_nul_is_taken_out_of_what_decides_nothing() -> None:
    described = STAGES | {"name": "entered", "currency": "changed"}
    cells = {"stage": "Lost", "a": "2026-03-04", "closed": "2026-03-09"}
    free = {"entered": "Al\x00der ", "changed": "\x00EUR", "why": "too dear\x00"}

    events = row_events("stages", described, **DATED).of_row(row(id="1", **cells, **free))

    (told,) = [event.data for event in events if "name" in event.data]
    assert (told["name"], told["currency"], told["reason"]) == ("Alder", "EUR", "too dear")
    nothing = row_events("stages", described, **DATED).of_row(row(id="1", **cells, entered="\x00"))
    assert not any("name" in event.data for event in nothing)


@pytest.mark.parametrize(
    ("cells", "column", "words"),
    [
        ({"id": ""}, "id", "is not an id"),
        ({"id": "x" * 201}, "id", "is not an id"),
        ({}, "created", "all dates of the row"),
        ({"a": "soon"}, "a", "is not a date"),
        ({"a": "03/04/2026"}, "a", "more than one way"),
        ({"a": "2027-01-01"}, "a", "in the future"),
        ({"a": "2026-03-04", "stage": "Won"}, "closed", "but the deal is Won"),
        ({"a": "2026-03-04", "stage": "Won", "closed": "2026-03-01"}, "closed", "is before the deal entered A"),
        ({"id": "1\x00", "a": "2026-03-04"}, "id", "NUL"),
        ({"a": "2026-03-04", "stage": "Lo\x00st", "closed": "2026-03-09"}, "stage", "NUL"),
    ],
)
def test_a_fault_names_the_column_and_what_to_do(cells: dict[str, Any], column: str, words: str) -> None:
    with pytest.raises(RowFault, match=words) as fault:
        row_events("stages", STAGES, **DATED).of_row(row(**{"id": "1"} | cells))
    assert fault.value.column == column


@pytest.mark.parametrize(
    ("shape", "columns", "fields", "cells", "fault"),
    [
        (
            "last-stage",
            {"stage": "stage", "created": "created"},
            {},
            {"stage": "Won", "created": "2026-03-04"},
            "stage: Won is a closing, but no column says when: name it in the mapping: columns, closed",
        ),
        (
            "last-stage",
            {"stage": "stage", "closed": "closed"},
            {},
            {"stage": "A", "closed": "2026-03-04"},
            "id: 1 has no date, and the mapping names no date column for open deals: created or entered",
        ),
        ("stages", {}, DATED, {}, "a:  is empty, as are all dates of the row; fill in when it was"),
        (
            "stages",
            {"created": "created"},
            DATED,
            {},
            "created:  is empty, as are all dates of the row; fill in when it was",
        ),
    ],
)
def test_a_row_without_a_date_names_the_column_that_lacks_it(
    shape: str, columns: dict[str, Any], fields: dict[str, Any], cells: dict[str, Any], fault: str
) -> None:
    with pytest.raises(RowFault) as found:
        row_events(shape, columns, **fields).of_row(row(id="1", **cells))
    assert str(found.value) == fault


def test_a_row_with_a_value_too_many_is_refused() -> None:
    with pytest.raises(RowFault, match="12 values for 11 columns; put quotes"):
        row_events("stages", STAGES, **DATED).of_row(Row(2, [*row(id="1").cells, "x"]))
