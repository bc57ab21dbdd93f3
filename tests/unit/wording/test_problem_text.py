"""A problem in a manager's words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.contracts.measures import Column
from shared.contracts.problems import CauseClass, SignalDetail
from shared.policy import StageTitles
from shared.wording.problem_text import ProblemText, text_of, watched
from shared.wording.quantities import age, ages
from tests.support.problems import policy, problem

SIGNAL = SignalDetail(
    measure=Column.WIP_END, weeks=("2026-W40", "2026-W41"), baseline=("2026-W10",), pairs=95, pairs_needed=91
)


def text(**fields: Any) -> ProblemText:
    return text_of(problem(**fields), policy(), StageTitles.of(policy()))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "12 deals, usually 3, have been in Proposal for more than 21 days."),
        ({"count": 1, "usual": 1.0}, "1 deal, usually 1, has been in Proposal for more than 21 days."),
        ({"usual": None}, "12 deals have been in Proposal for more than 21 days."),
        ({"usual": 0.0}, "12 deals, usually none, have been in Proposal for more than 21 days."),
        ({"usual": 2.5}, "12 deals, usually 2.5, have been in Proposal for more than 21 days."),
        ({"cleared": 3, "peak": 14}, "At most 14 deals, usually 3, had been in Proposal for more than 21 days."),
        ({"cleared": 3, "peak": 1, "usual": None}, "At most 1 deal had been in Proposal for more than 21 days."),
        (
            {"kind": "wip-high", "stage": "demo", "threshold": 25, "cleared": 3, "peak": 34, "usual": None},
            "At most 34 deals were in Demo; the limit is 25.",
        ),
        (
            {"kind": "wip-low", "stage": "demo", "threshold": 4, "cleared": 3, "peak": 1, "usual": None},
            "At the lowest, 1 deal was in Demo; the next stages need at least 4 there.",
        ),
        (
            {"kind": "wip-low", "stage": "demo", "threshold": 4, "cleared": 3, "peak": 0, "usual": None},
            "At the lowest, no deal was in Demo; the next stages need at least 4 there.",
        ),
        (
            {"kind": "stalled", "limit": "14d", "cleared": 3, "usual": None},
            "At most 12 deals in Proposal had shown no progress for 14 days.",
        ),
        (
            {"stage": "legal", "limit": "10d"},
            "12 deals, usually 3, have been in Legal for more than 10 working days.",
        ),
        (
            {"kind": "wip-high", "stage": "demo", "threshold": 25, "count": 34, "limit": None, "usual": 21.0},
            "34 deals, usually 21, are in Demo; the limit is 25.",
        ),
        (
            {"kind": "wip-low", "stage": "demo", "threshold": 4, "count": 0, "limit": None, "usual": None},
            "No deal is in Demo; the next stages need at least 4 there.",
        ),
        (
            {"kind": "stalled", "limit": "14d", "usual": None},
            "12 deals in Proposal have shown no progress for 14 days.",
        ),
        (
            {"pipeline": "gone", "stage": "nowhere"},
            "12 deals, usually 3, have been in nowhere for more than 21 days.",
        ),
    ],
)
def test_sentences(fields: dict[str, Any], sentence: str) -> None:
    assert text(**fields).sentence == sentence


@pytest.mark.parametrize(
    ("fields", "finding"),
    [
        ({}, "Proposal holds 12 deals older than 21 days"),
        ({"cleared": 3, "peak": 14}, "Proposal held at most 14 deals older than 21 days"),
        ({"cleared": 3, "kind": "stalled"}, "Proposal held at most 12 deals without progress for 21 days"),
        ({"cleared": 3, "kind": "wip-high"}, "Proposal held at most 12 deals; the limit is 5"),
        ({"cleared": 3, "kind": "wip-low", "peak": 1}, "Proposal held 1 deal at the lowest; it needs at least 5"),
    ],
)
def test_a_charts_finding_says_that_a_peak_is_one(fields: dict[str, Any], finding: str) -> None:
    assert text(**fields).finding == finding


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        (
            {"cause_class": CauseClass.SPECIAL},
            "Something happened around the week of 2 March: find it before you change anything.",
        ),
        (
            {"cause_class": CauseClass.SPECIAL, "signal": SIGNAL},
            "Something happened around the week of 28 September: find it before you change anything.",
        ),
        (
            {"cause_class": CauseClass.COMMON},
            "Stable, but not able to meet the aim: no date will explain it; the policy or the system must change.",
        ),
        (
            {"cause_class": CauseClass.UNKNOWN, "cause_points": 23, "cause_needed": 24},
            "Too few weeks to tell: 23 of 24. Look at these deals before you change anything.",
        ),
        (
            {"cause_class": CauseClass.UNKNOWN},
            "The cause is not known. Look at these deals before you change anything.",
        ),
        (
            {"cause_class": CauseClass.UNKNOWN, "kind": "wip-low"},
            "The cause is not known. Look at how many deals come in and leave before you change anything.",
        ),
        (
            {"cause_class": CauseClass.UNKNOWN, "kind": "shift", "cause_points": 6, "cause_needed": 24},
            "Too few weeks to tell: 6 of 24. Look at the deals of these weeks before you change anything.",
        ),
        (
            {"cause_class": CauseClass.UNKNOWN, "kind": "silence", "source": "crm-eu", "pipeline": "", "stage": None},
            "Ask whoever looks after this source to check that it is still connected to Andon and reports changes of"
            " deals.",
        ),
    ],
)
def test_the_class_of_the_cause_decides_what_is_asked_for(fields: dict[str, Any], asked: str) -> None:
    assert text(**fields).asks_for == asked


@pytest.mark.parametrize(
    ("fields", "usual", "context"),
    [
        ({"chance": 0.24}, ", usually 3,", ". Chance alone does this about once in 4.2 quarters."),
        ({"chance": 7.2}, ", usually 3,", ". Chance alone does this about 7.2 times a quarter."),
        (
            {"chance": 7.2, "hold_seconds": 60},
            ", usually 3,",
            ". Chance alone may do this up to 7.2 times a quarter.",
        ),
        (
            {"chance": 0.24, "hold_seconds": 60},
            ", usually 3,",
            ". Chance alone does this at most once in 4.2 quarters.",
        ),
        ({"chance": 1e-30}, ", usually 3,", ". Chance alone does this less than once in 1,000 quarters."),
        ({"chance": 0.0, "exceed": 0.127}, ", usually 3,", "; 13 % of all deals stay longer."),
        ({"usual": None, "exceed": 0.127}, "", "; 13 % of all deals stay longer."),
        (
            {"usual": 8.2, "exceed": 0.15},
            "",
            ". This stage is usually at 8.2, and 15 % of deals stay longer: the policy asks for more than the process"
            " can do.",
        ),
    ],
)
def test_what_is_usual_and_how_often_chance_does_it(fields: dict[str, Any], usual: str, context: str) -> None:
    assert text(**fields).sentence == f"12 deals{usual} have been in Proposal for more than 21 days{context}"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"count": 1}, "1 deal, usually 7, is in Demo; the next stages need at least 4 there."),
        ({"count": 0}, "No deal, usually 7, is in Demo; the next stages need at least 4 there."),
        (
            {"cleared": 3, "peak": 1},
            "At the lowest, 1 deal, usually 7, was in Demo; the next stages need at least 4 there.",
        ),
    ],
)
def test_what_is_usual_is_beside_the_count_of_too_few_deals(fields: dict[str, Any], sentence: str) -> None:
    assert text(kind="wip-low", stage="demo", threshold=4, usual=7.0, **fields).sentence == sentence


def test_a_learned_limit_is_told_in_days_of_the_stage() -> None:
    learned = {"kind": "aging-learned", "limit": None, "limit_seconds": 1_199_716, "threshold": 9, "chance": 0.1}

    assert text(**learned).sentence == (
        "12 open deals are older than 13 days; usual are 3. By chance 9 are reached about once in 10 quarters."
    )


def test_what_is_watched_is_told_on_the_stages_clock() -> None:
    told = [watched(rule, "new", policy()) for rule in policy().pipelines["new"].count_rules]

    assert told == [
        "5 deals or more for longer than 21 days",
        "any deal for longer than 10 working days",
        "more than 25 deals",
    ]


def test_the_chart_of_ages_says_what_it_shows() -> None:
    assert ages(62 * 86_400, 15 * 86_400, "Proposal", 86_400) == (
        "The longest has been in Proposal for 62 days; half of the deals for about 15 days or more"
    )
    # Half are there for so long, not for less.
    assert ages(62 * 86_400, 15.1 * 86_400, "Proposal", 86_400).endswith(
        "; half of the deals for about 16 days or more"
    )
    assert ages(62 * 86_400, 23.2 * 3600, "Proposal", 86_400).endswith("; half of the deals for about 1 day or more")
    assert ages(62 * 86_400, 60, "Proposal", 86_400).endswith("; half of the deals for about 1 hour or more")
    # Of one deal, or of deals that came in together, no half has been there for less.
    assert ages(5 * 86_400, 5 * 86_400, "Discovery", 86_400) == "The longest has been in Discovery for 5 days"
    assert [age(s, 8 * 3600) for s in (8 * 3600, 7200, 3599)] == ["1 working day", "2 hours", "less than an hour"]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", None])
def test_weeks_of_weekly_charts_are_those_of_the_policy_for_all_readers(zone: str | None) -> None:
    monday = datetime(2026, 3, 1, 23, tzinfo=UTC)
    shown = problem(kind="bottleneck", opened_at=monday, cause_class=CauseClass.SPECIAL)
    told = text_of(shown, policy(), StageTitles.of(policy()), zone)

    assert told.found == "Found at the end of the week of 23 February"
    assert told.asks_for.startswith("Something happened around the week of 23 February:")
    assert text_of(problem(), policy(), StageTitles.of(policy()), zone).found == ""
