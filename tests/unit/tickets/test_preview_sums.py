"""What the page that tries rules promises: nothing of rules that have no price, and what charts would have found."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from services.tickets.preview import view
from services.tickets.preview.fields import TriedWish, read_wish, rules_of
from shared.contracts.measures import Column
from shared.contracts.preview import PreviewAnswer, PreviewedRule, PreviewProblem, RulePreview
from shared.policy import Policy, StageTitles, parse
from shared.policy.edit import RuleChange

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LEAD = {"id": "lead", "name": "Lead"}


def policy(*rules: dict[str, Any]) -> Policy:
    pipeline = {"name": "Sales", "owner": {"name": "O", "mail": "o@x.example"}, "stages": [LEAD], "rules": rules}
    return parse(json.dumps({"version": 1, "pipelines": {"sales": pipeline}}))


def answer(*rules: RulePreview) -> PreviewAnswer:
    return PreviewAnswer(as_of=NOW, since=NOW, first_event=NOW, visits=3, rules=rules)


def on_count(kind: str, per_quarter: float | None) -> RulePreview:
    found = PreviewedRule(quarters=(0, 0, 0, 1), open_share=0.1, per_quarter=per_quarter)
    return RulePreview(key=f"{kind}/sales/lead", kind=kind, stage="lead", before=found, after=found)


LIMITS = ({"kind": "wip-high", "stage": "lead", "max": 1}, {"kind": "aging", "stage": "lead", "limit": "3d"})


def by_chance(rules: Policy, *found: RulePreview) -> str:
    return view.sums(answer(*found), rules, "sales", StageTitles.of(rules)).by_chance


def test_nothing_is_promised_where_no_rule_has_a_price() -> None:
    text = by_chance(policy(*LIMITS), on_count("wip-high", None), on_count("aging", None))

    assert text == (
        "There is too little history (less than 180 days) to say how often chance alone opens a ticket."
        " No price is known of Lead, too much work; Lead, waiting too long."
    )


def test_rules_without_a_price_are_named_beside_the_sum() -> None:
    rules = policy(*LIMITS, {"kind": "slipping"})

    text = by_chance(rules, on_count("wip-high", None), on_count("aging", 0.5))

    assert text == (
        "There is too little history (less than 180 days) to price Lead, too much work."
        " Of the other rules, chance alone opens at most 1.5 tickets a quarter; you accept 1."
    )


def test_the_sum_of_all_rules() -> None:
    assert by_chance(policy(*LIMITS), on_count("wip-high", 0.25), on_count("aging", 0.25)) == (
        "Chance alone opens at most 0.50 tickets a quarter; you accept 1."
    )


def test_charts_say_what_they_would_have_found_or_that_nothing_could_be_judged() -> None:
    rules = policy({"kind": "shift", "stage": "lead"}, {"kind": "slipping"})
    problem = PreviewProblem(opened_at=NOW, peak=98)
    found = PreviewedRule(quarters=(0, 0, 0, 1), open_share=0, problems=(problem,), per_quarter=0.5, weeks=30)
    young = PreviewedRule(quarters=(0, 0, 0, 0), open_share=0, per_quarter=0.5, weeks=0)
    told = answer(
        RulePreview(
            key="shift/sales/lead/time_in_stage_median",
            kind="shift",
            stage="lead",
            measure=Column.TIME_IN_STAGE_MEDIAN,
            before=found,
            after=found,
        ),
        RulePreview(
            key="slipping/sales//pushed_share",
            kind="slipping",
            stage="",
            measure=Column.PUSHED_SHARE,
            before=young,
            after=young,
        ),
        on_count("wip-high", 0.1),
    )

    shift, slipping = view.charts(told, "sales", rules, StageTitles.of(rules))

    assert (shift.label, shift.hint) == ("Deals stay longer in Lead", None)
    assert [one.peak for one in shift.problems] == ["at most 98 of 100 pairs of weeks"]
    assert shift.after is not None
    assert (shift.after.total, shift.after.chance) == (1, "about once in 2 quarters")
    assert slipping.label == "More close dates are put off in Sales"
    assert slipping.hint is not None
    assert slipping.hint.startswith("Nothing could be judged yet")


def bottleneck(weeks: int, *problems: PreviewProblem) -> RulePreview:
    found = PreviewedRule(
        quarters=(0, 0, 0, len(problems)), open_share=0, problems=problems, per_quarter=0.1, weeks=weeks
    )
    return RulePreview(key="bottleneck/sales/lead", kind="bottleneck", stage="lead", before=found, after=found)


def test_a_rule_on_bottlenecks_shows_what_it_found_and_counts_once_in_the_sum() -> None:
    rules = policy({"kind": "bottleneck"})
    told = answer(bottleneck(30, PreviewProblem(opened_at=NOW, peak=41)))
    pipeline, titles = rules.pipelines["sales"], StageTitles.of(rules)

    [row] = view.rows(rules_of(pipeline), TriedWish(), told, "sales", rules, titles)

    assert (row.stage, row.label, [one.label for one in row.inputs]) == ("Every other stage", "bottlenecks", ["Mode"])
    [found] = row.results
    assert (found.stage, found.hint, [one.peak for one in found.problems]) == ("Lead", None, ["at most 41 deals"])
    assert found.after is not None
    assert (found.after.total, found.after.chance) == (1, "about once in 10 quarters")
    assert view.charts(told, "sales", rules, titles) == []
    assert by_chance(rules, *told.rules) == "Chance alone opens at most 0.10 tickets a quarter; you accept 1."


def test_a_bottleneck_that_could_not_be_judged_says_how_many_weeks_it_needs() -> None:
    rules = policy({"kind": "bottleneck", "stage": "lead"})

    found = view.result(bottleneck(0), answer(bottleneck(0)), "sales", rules, StageTitles.of(rules))

    assert found.hint == "Nothing could be judged yet: a baseline of 20 weeks and eight weeks after it are needed."


def test_only_the_mode_of_a_rule_on_bottlenecks_can_be_changed() -> None:
    pipeline = policy({"kind": "bottleneck"}, {"kind": "bottleneck", "stage": "lead"}).pipelines["sales"]

    wish = read_wish({"bottleneck..mode": "off", "bottleneck.lead.mode": "active"}, pipeline)

    assert (wish.rules, wish.faults) == ([RuleChange("bottleneck", None, {"mode": "off"})], {})
