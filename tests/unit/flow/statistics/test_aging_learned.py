"""The fold of aging-learned against its definition, asked at every instant of small random histories."""

from __future__ import annotations

import json
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.flow.calendars import AgeClocks
from shared.flow.statistics.aging_learned import LearnedRule, problem_intervals
from shared.flow.statistics.crossings import Crossings
from shared.flow.statistics.learned_limits import LearnedLimit, LearnedVersion, NotLearned
from shared.flow.visits import Visit
from shared.policy import AgingLearnedRule, parse
from tests.support.examples import examples
from tests.support.histories import policy_text

SECOND, END = 1_000_000, 40
CLOCKS = AgeClocks(parse(json.dumps(policy_text([]))))
Found = list[tuple[int, int | None, int]]


def rule(clear_hold: int) -> LearnedRule:
    written = {"kind": "aging-learned", "stage": "a", "clear_hold": f"{clear_hold}s"}
    return LearnedRule("p", "a", AgingLearnedRule.model_validate(written), CLOCKS)


def version(since: int, limit: int, count: int, usual: Fraction) -> LearnedVersion:
    seen = Crossings(usual, usual, 1, 0, 0, 1)
    return LearnedVersion(since * SECOND, None, LearnedLimit(30, 0, limit * SECOND), seen, count)


def nothing(since: int) -> LearnedVersion:
    return LearnedVersion(since * SECOND, NotLearned.NO_LIMIT, LearnedLimit(30, 9, None))


@st.composite
def versions(draw: st.DrawFn) -> list[LearnedVersion]:
    found = []
    for since in sorted(draw(st.sets(st.integers(0, 35), min_size=1, max_size=5))):
        usual = Fraction(draw(st.integers(0, 8)), 4)
        count = int(usual) + draw(st.integers(1, 2))
        learned = draw(st.integers(0, 4)) > 0
        found.append(version(since, draw(st.integers(0, 9)), count, usual) if learned else nothing(since))
    return found


@st.composite
def stays(draw: st.DrawFn) -> Visit:
    entered = draw(st.integers(0, 35))
    left = draw(st.none() | st.integers(entered + 1, END))
    return Visit("p", "a", entered * SECOND, draw(st.booleans()), None if left is None else left * SECOND)


def by_definition(visits: list[Visit], learned: list[LearnedVersion], clear_hold: int, as_of: int) -> Found:
    """Every instant is asked; the count just after the version that is in force at it."""
    found: Found = []
    opened, peak, since = None, 0, None
    for now in range(as_of + 1):
        here = next((one for one in reversed(learned) if one.since <= now * SECOND), None)
        if here is None or here.limit is None or here.count is None or here.clears_at is None:
            if opened is not None:
                found.append((opened, now, peak))
            opened = since = None
            continue
        due = [visit.entered + here.limit <= now * SECOND for visit in visits]
        lasting = [visit.left is None or now * SECOND < visit.left for visit in visits]
        count = sum(a and b for a, b in zip(due, lasting, strict=True))
        if opened is not None:
            since = (now if since is None else since) if count <= here.clears_at else None
            if since is not None and now - since == clear_hold:
                found.append((opened, now, peak))
                opened = since = None
            else:
                peak = max(peak, count)
        if opened is None and count >= here.count:
            opened, peak, since = now, count, None
    return found if opened is None else [*found, (opened, None, peak)]


def by_fold(visits: list[Visit], learned: list[LearnedVersion], clear_hold: int, as_of: int) -> Found:
    begun = [one for one in learned if one.since <= as_of * SECOND]
    seen = [v for v in visits if v.entered <= as_of * SECOND]
    for visit in seen:
        visit.left = None if visit.left is None or visit.left > as_of * SECOND else visit.left
    found = problem_intervals(rule(clear_hold), seen, begun, as_of * SECOND)
    return [(i.opened_at // SECOND, None if i.cleared_at is None else i.cleared_at // SECOND, i.peak) for i in found]


@settings(max_examples=examples(600), deadline=None)
@given(st.lists(stays(), max_size=8), versions(), st.integers(0, 4), st.integers(20, END))
def test_the_fold_finds_what_the_definition_gives(
    visits: list[Visit], learned: list[LearnedVersion], clear_hold: int, as_of: int
) -> None:
    expected = by_definition(visits, learned, clear_hold, as_of)

    assert by_fold(visits, learned, clear_hold, as_of) == expected


def stay(entered: int, left: int | None = None) -> Visit:
    return Visit("p", "a", entered * SECOND, True, None if left is None else left * SECOND)


def test_between_both_counts_an_open_problem_stays_open() -> None:
    visits, learned = [stay(0), stay(0, 20), stay(0, 10)], [version(0, 5, 3, Fraction(1))]

    assert by_fold(visits, learned, 0, 30) == [(5, 20, 3)]


def test_a_version_may_open_at_its_start() -> None:
    learned = [version(0, 9, 2, Fraction(0)), version(7, 3, 2, Fraction(0))]

    assert by_fold([stay(0), stay(1)], learned, 0, 30) == [(7, None, 2)]


def test_a_version_may_clear_at_its_start() -> None:
    learned = [version(0, 2, 2, Fraction(0)), version(7, 30, 2, Fraction(0))]

    assert by_fold([stay(0), stay(1)], learned, 0, 20) == [(3, 7, 2)]


def test_where_nothing_is_learned_a_problem_clears_before_its_hold_ends() -> None:
    learned = [version(0, 2, 2, Fraction(0)), nothing(10)]

    assert by_fold([stay(0, 8), stay(0, 8)], learned, 9, 30) == [(2, 10, 2)]
    assert by_fold([stay(0), stay(0)], learned, 0, 30) == [(2, 10, 2)]


def test_a_hold_that_ends_at_a_new_version_asks_it_too() -> None:
    visits = [stay(0, 8), stay(0, 8), stay(6, 20)]
    quiet, loud = version(12, 9, 2, Fraction(0)), version(12, 1, 2, Fraction(0))

    assert by_fold(visits, [version(0, 7, 2, Fraction(0)), quiet], 4, 14) == [(7, 12, 2)]
    assert by_fold(visits, [version(0, 7, 2, Fraction(0)), loud], 4, 14) == [(7, None, 2)]
