"""How published intervals differ from found ones."""

from __future__ import annotations

import pytest

from shared.contracts.problems import Mode
from shared.flow.intervals import Interval
from shared.flow.revisions import diff, revisions_of

OPEN = Interval(10, None, 2)
OVER = Interval(10, 20, 2)


@pytest.mark.parametrize(
    ("published", "found", "revisions"),
    [
        ([OVER], [OVER], []),
        ([], [OPEN], [("opened", OPEN, None)]),
        ([], [OVER], [("opened", OPEN, None), ("cleared", OVER, None)]),
        ([OPEN], [OPEN._replace(peak=3)], [("grew", OPEN._replace(peak=3), OPEN)]),
        ([OPEN], [OVER], [("cleared", OVER, OPEN)]),
        ([OVER], [OPEN], [("revised", OPEN, OVER)]),
        ([OPEN], [OPEN._replace(opened_at=12)], [("revised", OPEN._replace(opened_at=12), OPEN)]),
        (
            [OVER],
            [Interval(20, 30, 2)],
            [
                ("retracted", OVER, OVER),
                ("opened", Interval(20, None, 2), None),
                ("cleared", Interval(20, 30, 2), None),
            ],
        ),
        ([OVER], [], [("retracted", OVER, OVER)]),
    ],
    ids=["same", "new", "new and over", "grew", "cleared", "goes on after all", "moved", "only touches", "lost"],
)
def test_a_difference(
    published: list[Interval], found: list[Interval], revisions: list[tuple[str, Interval, Interval | None]]
) -> None:
    assert [(r.reason.value, r.interval, r.was) for r in diff(published, found)] == revisions


def test_one_interval_that_became_two_is_revised_once() -> None:
    first, second = Interval(10, 14, 2), Interval(16, None, 2)

    reasons = [(r.reason.value, r.interval.opened_at) for r in diff([OPEN], [first, second])]

    assert reasons == [("cleared", 10), ("opened", 16)]


def test_revisions_come_in_the_order_of_their_instants() -> None:
    found = [Interval(1, 40, 1), Interval(50, None, 1)]

    assert [r.reason.value for r in diff([Interval(45, None, 1)], found)] == ["opened", "cleared", "revised"]


@pytest.mark.parametrize(
    ("published", "reached", "reasons", "is_historic"),
    [
        ([], None, ["opened", "cleared"], False),
        ([], 19, ["opened", "cleared"], False),
        ([], 20, ["cleared"], True),
        ([OPEN], 20, ["cleared"], False),
    ],
    ids=["judged for the first time", "not yet over then", "over by then", "published before"],
)
def test_an_interval_that_was_over_before_the_judgement_time_is_historic(
    published: list[Interval], reached: int | None, reasons: list[str], is_historic: bool
) -> None:
    revised = revisions_of([(one, Mode.ACTIVE) for one in published], [OVER], Mode.ACTIVE, reached)

    assert [one.reason.value for one in revised.worth_publishing] == reasons
    assert {revised.is_historic(one) for one in revised.revisions} == {is_historic}


def test_an_open_interval_is_revised_when_its_rule_has_another_mode() -> None:
    published = [(OVER, Mode.MONITOR), (Interval(30, None, 1), Mode.MONITOR)]
    found = [interval for interval, _ in published]

    assert revisions_of(published, found, Mode.MONITOR, None).revisions == []
    assert [r.interval for r in revisions_of(published, found, Mode.ACTIVE, None).revisions] == [found[1]]
