"""What the page that tries rules promises: nothing of rules that have no price, and what charts would have found."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from services.tickets.preview import view
from shared.contracts.measures import Column
from shared.contracts.preview import PreviewAnswer, PreviewedRule, PreviewProblem, RulePreview
from shared.policy import Policy, StageTitles, parse

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
        "Chance alone opens at most 1.5 tickets a quarter; you accept 1."
        " Not in the sum, for too little history (less than 180 days): Lead, too much work."
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
    assert slipping.label == "More close dates are pushed in Sales"
    assert slipping.hint is not None
    assert slipping.hint.startswith("Nothing could be judged yet")
