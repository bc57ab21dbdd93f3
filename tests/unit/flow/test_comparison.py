"""Problems of two policies side by side: every one is told once, with those that it overlaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.flow.comparison import Overlap, compared, overlaps
from shared.flow.intervals import Interval


def interval(opened: int, cleared: int | None) -> Interval:
    return Interval(opened, cleared, 1)


def test_what_overlaps_is_in_both() -> None:
    assert overlaps([interval(1, 5)], [interval(4, 9)]) == [Overlap([0], [0])]
    assert overlaps([interval(1, 9)], [interval(2, 3), interval(5, 6)]) == [Overlap([0], [0, 1])]


def test_what_touches_or_is_apart_is_in_one() -> None:
    assert overlaps([interval(1, 4)], [interval(4, 9)]) == [Overlap([0], []), Overlap([], [0])]
    assert overlaps([interval(5, 6)], []) == [Overlap([0], [])]
    assert overlaps([], []) == []


def test_a_problem_that_lasts_overlaps_what_comes_later() -> None:
    assert overlaps([interval(1, None)], [interval(50, 60)]) == [Overlap([0], [0])]
    assert overlaps([interval(1, 2), interval(70, None)], [interval(50, 60)]) == [
        Overlap([0], []),
        Overlap([], [0]),
        Overlap([1], []),
    ]


def test_rules_of_either_policy_are_compared_in_their_order() -> None:
    found = dict(compared({"a": [interval(1, 2)], "b": []}, {"c": [interval(1, 2)], "a": [interval(1, 2)]}))

    assert list(found) == ["a", "b", "c"]
    assert found == {"a": [Overlap([0], [0])], "b": [], "c": [Overlap([], [0])]}


def lists() -> st.SearchStrategy[list[Interval]]:
    """Intervals that do not overlap; the last one may have no end."""
    cuts = st.lists(st.integers(0, 60), unique=True, max_size=9).map(sorted)
    return cuts.map(lambda at: [interval(a, b) for a, b in zip(at[::2], [*at[1::2], None], strict=False)])


@given(lists(), lists())
def test_every_problem_is_in_the_group_of_all_that_it_overlaps(first: list[Interval], second: list[Interval]) -> None:
    groups = overlaps(first, second)

    assert sorted(n for group in groups for n in group.first) == list(range(len(first)))
    assert sorted(n for group in groups for n in group.second) == list(range(len(second)))
    for a, one in enumerate(first):
        for b, other in enumerate(second):
            is_over = (other.cleared_at is not None and other.cleared_at <= one.opened_at) or (
                one.cleared_at is not None and one.cleared_at <= other.opened_at
            )
            together = any(a in group.first and b in group.second for group in groups)
            assert together or is_over
    for group in groups:
        assert group.in_both or len(group.first) + len(group.second) == 1
