"""A file of relocks: what it says, and every fault with its entry, its value and the way out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.relocks import RelockData
from shared.flow.statistics.columns import Point
from shared.flow.statistics.relocks import Relock, RelocksError, chart_names, cuts_of, read_relocks, relock_of
from shared.flow.statistics.segments import Segment
from shared.flow.statistics.weeks import Weeks
from shared.runtime.instants import micros
from tests.support.problems import policy

# The week of the first event is 2026-W01.
WEEKS = Weeks(micros(datetime(2025, 12, 31, 12, tzinfo=UTC)), "Europe/Berlin")
CHARTS = {"new/proposal/wip_end", "new/-/throughput"}
GOOD: dict[str, Any] = {"chart": "new/proposal/wip_end", "from": "2026-W09", "reason": "a new price list"}


def read(*entries: Any) -> list[Relock]:
    return read_relocks(json.dumps(entries), CHARTS, WEEKS, last=30)


def faults(text: str) -> list[str]:
    with pytest.raises(RelocksError) as error:
        read_relocks(text, CHARTS, WEEKS, last=30)
    return str(error.value).splitlines()


def test_points_are_twenty_where_nothing_is_said() -> None:
    assert read(GOOD, {**GOOD, "points": 12, "from": None}) == [
        Relock("new/proposal/wip_end", "2026-W09", 20, "a new price list"),
        Relock("new/proposal/wip_end", None, 12, "a new price list"),
    ]


def test_of_entries_for_a_week_the_last_counts() -> None:
    found = read({**GOOD, "points": 13}, {**GOOD, "from": "2026-W20"}, {**GOOD, "points": 14})

    assert cuts_of(found, "new/proposal/wip_end", WEEKS) == {8: 14, 19: 20}
    assert cuts_of(found, "new/-/throughput", WEEKS) == {}


def test_a_week_before_the_log_cuts_nothing_until_the_log_begins_earlier() -> None:
    relocks = [Relock("new/proposal/wip_end", week, 12, "for a test") for week in ("2025-W50", "2026-W09")]
    earlier = Weeks(WEEKS.start(-10), "Europe/Berlin")

    assert cuts_of(relocks, "new/proposal/wip_end", WEEKS) == {8: 12}
    assert cuts_of(relocks, "new/proposal/wip_end", earlier) == {7: 12, 18: 12}


@pytest.mark.parametrize(
    ("first", "began"),
    [(0, None), (7, None), (8, "2026-W09"), (18, "2026-W09"), (19, "2026-W20"), (25, "2026-W20"), (None, "2026-W20")],
    ids=["first", "just before", "at", "just before the second", "at the second", "after", "without points"],
)
def test_the_relock_that_began_a_segment(first: int | None, began: str | None) -> None:
    segment = Segment([] if first is None else [Point(first, 3), Point(first + 1, 4)])
    relocks = [relock_data(week) for week in ("2025-W50", "2026-W09", "2026-W20")]

    found = relock_of(segment, relocks, "new/proposal/wip_end", WEEKS, over=31)

    assert (found and found.from_week) == began
    assert relock_of(segment, relocks, "new/-/throughput", WEEKS, over=31) is None


def test_the_first_segment_of_a_baseline_that_was_locked_early() -> None:
    relocks = [relock_data(None), relock_data("2026-W09")]

    assert relock_of(Segment([Point(3, 1)]), relocks, "new/proposal/wip_end", WEEKS, over=31) == relocks[0]


def relock_data(week: str | None) -> RelockData:
    return RelockData(
        chart="new/proposal/wip_end",
        from_week=week,
        points=12,
        reason="for a test",
        actor="person",
        at=datetime(2026, 6, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("week", ["2026-W01", "2026-W31", None])
def test_every_week_of_the_log_can_begin_a_baseline(week: str | None) -> None:
    assert read({**GOOD, "from": week})[0].from_week == week


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("chart", "new/proposal/wip", "'new/proposal/wip' is not a chart"),
        ("chart", "new/-/wip_end", "is not a chart"),
        ("chart", ["new/-/throughput"], "is not a chart"),
        ("chart", None, "an empty value is not a chart"),
        ("from", "2025-W52", "'2025-W52' is not a week of this log; write one from 2026-W01 to 2026-W31"),
        ("from", "2026-W32", "is not a week of this log"),
        ("from", "2025-W53", "is not a week of this log"),
        ("from", "2026-W54", "is not a week of this log"),
        ("from", "2026-W9", "is not a week of this log"),
        ("from", "2026-03-02", "is not a week of this log"),
        ("from", " 2026-W09", "is not a week of this log"),
        ("from", 9, "is not a week of this log"),
        ("points", 11, "11 cannot be used; write 12 to 20"),
        ("points", 21, "21 cannot be used"),
        ("points", "13", "'13' cannot be used"),
        ("points", 13.5, "13.5 cannot be used"),
        ("points", True, "True cannot be used"),
        ("points", None, "an empty value cannot be used"),
        ("reason", "", "an empty value is no reason; write why"),
        ("reason", "  ", "is no reason"),
        ("reason", 3, "3 is no reason"),
        ("point", 13, "no such field; use chart, from, points, reason"),
    ],
)
def test_what_cannot_be_used_is_refused(field: str, value: Any, says: str) -> None:
    (found,) = faults(json.dumps([GOOD, {**GOOD, field: value}]))

    assert found.startswith(f"1.{field}: ")
    assert says in found


@pytest.mark.parametrize("field", ["chart", "from", "reason"])
def test_what_is_missing_is_named(field: str) -> None:
    (found,) = faults(json.dumps([{name: value for name, value in GOOD.items() if name != field}]))

    assert found.startswith(f"0.{field}: ")


def test_every_fault_is_reported_at_once() -> None:
    found = faults(json.dumps([{**GOOD, "points": 3, "reason": ""}, "x", GOOD, {}]))

    assert [line.split(":")[0] for line in found] == ["0.points", "0.reason", "1", "3.chart", "3.from", "3.reason"]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "{}", '"x"', "null", "[1]", "[null]"])
def test_what_is_no_list_of_relocks_says_how_to_write_one(text: str) -> None:
    assert "write" in faults(text)[0]


def test_a_field_that_appears_twice_is_refused() -> None:
    (found,) = faults('[{"chart": "new/-/throughput", "from": null, "points": 12, "points": 13, "reason": "x"}]')

    assert found == "points: appears twice in one relock; keep one of them"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_document_breaks_the_reader(document: Any) -> None:
    if document == []:
        assert read() == []
    else:
        assert faults(json.dumps(document))


def test_charts_are_those_of_open_stages_and_pipelines() -> None:
    found = chart_names(policy())

    assert {"new/proposal/time_in_stage_median_s", "new/-/pushed_share", "new/-/lead_time_p85_s"} <= found
    assert not {name for name in found if name.startswith(("new/won/", "new/-/wip_end", "new/proposal/throughput"))}
