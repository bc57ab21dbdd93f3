"""What the review of a policy says: tickets a quarter, by chance and in all, and the lines that change."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.tickets.access.roles import NOBODY, THIS_MACHINE, Role, Visitor
from services.tickets.policy_saving import PolicyRefused, check_kept, check_may, difference
from services.tickets.preview.effect import effect_sentence
from services.tickets.web.policy_view import diff_lines
from shared.contracts.preview import PreviewAnswer, PreviewedRule, RulePreview
from shared.policy import Policy, parse
from shared.runtime.yaml_file import FaultsError

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def policy(*rules: dict[str, Any], pipelines: tuple[str, ...] = ("sales",), **general: Any) -> Policy:
    stages = [{"id": "lead", "name": "Lead"}]
    made = {
        name: {"name": name, "owner": {"name": "O", "mail": f"{name}@x.example"}, "stages": stages, "rules": rules}
        for name in pipelines
    }
    return parse(json.dumps({"version": 1, "pipelines": made} | general))


def limit(**fields: Any) -> dict[str, Any]:
    return {"kind": "wip-high", "stage": "lead", "max": 1} | fields


def found(openings: int, per_quarter: float | None) -> PreviewedRule:
    return PreviewedRule(quarters=(0, 0, 0, openings), open_share=0.1, per_quarter=per_quarter)


def sentence(
    before: PreviewedRule | None, after: PreviewedRule | None, old: Policy | None = None, new: Policy | None = None
) -> str:
    one = RulePreview(key="wip-high/sales/lead", kind="wip-high", stage="lead", before=before, after=after)
    answer = PreviewAnswer(as_of=NOW, since=NOW, first_event=NOW, visits=3, rules=(one,))
    return effect_sentence(answer, old or policy(limit()), new or policy(limit(max=2)), "sales")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (found(12, 3), found(4, 1), "2 tickets fewer a quarter; at most 1 by chance instead of 3."),
        (found(4, 1), found(8, 1), "1 ticket more a quarter; at most 1 by chance."),
        (found(4, 1), found(4, 1), "As many tickets a quarter as now; at most 1 by chance."),
        (None, found(2, 0.25), "0.50 tickets more a quarter; at most 0.25 by chance instead of 0."),
        (found(4, 1), None, "1 ticket fewer a quarter; at most 0 by chance instead of 1."),
        (
            found(4, None),
            found(8, None),
            "1 ticket more a quarter; how many by chance is not known, as the history is shorter than 180 days.",
        ),
    ],
)
def test_the_effect_of_a_change(before: PreviewedRule | None, after: PreviewedRule | None, says: str) -> None:
    assert sentence(before, after) == says


def test_a_rule_that_is_only_shown_opens_no_ticket() -> None:
    shown = policy(limit(mode="monitor"))

    assert (
        sentence(found(8, 2), found(8, 2), new=shown) == "2 tickets fewer a quarter; at most 0 by chance instead of 2."
    )


def test_a_new_pipeline_has_no_tickets_yet() -> None:
    before, after = policy(pipelines=("other",)), policy(limit(), pipelines=("other", "sales"))

    assert sentence(None, found(8, 1), before, after) == "2 tickets more a quarter; at most 1 by chance."


def test_lines_that_change_are_shown_with_those_around_them() -> None:
    before = "".join(f"{n}\n" for n in range(9))

    lines = diff_lines(before, before.replace("1\n", "one\n", 1).replace("8\n", ""))

    assert [line.sign + line.text for line in lines] == [
        *(" 0", "-1", "+one", " 2", " 3"),
        "@",
        *(" 6", " 7", "-8"),
    ]
    assert diff_lines(before, before.replace("\n", "\r\n")) == []


BOTH = policy(limit(), pipelines=("sales", "other"))
OWNER = Visitor(Role.MEMBER, 1, "Own", "SALES@x.example")


@pytest.mark.parametrize(
    ("visitor", "after", "may"),
    [
        (OWNER, policy(limit(), pipelines=("sales", "other"), doing_limit=3), False),
        (OWNER, policy(limit(), pipelines=("other", "sales")), False),
        (OWNER, policy(limit(), pipelines=("sales", "other", "new")), False),
        (OWNER, BOTH, False),
        (Visitor(Role.MEMBER, 1, "", "sales@x.example", ceiling=Role.MEMBER), policy(limit(max=2)), False),
        (NOBODY, policy(limit(max=2)), False),
        (OWNER, policy(limit(max=2)), True),
        (Visitor(Role.OWNER, 2), policy(limit(max=2)), True),
        (THIS_MACHINE, policy(limit(), doing_limit=3), True),
    ],
)
def test_who_may_change_what(visitor: Visitor, after: Policy, may: bool) -> None:
    before = policy(limit()) if len(after.pipelines) == 1 else BOTH
    if may:
        check_may(visitor, before, difference(before, after))
    else:
        with pytest.raises(PolicyRefused, match="only"):
            check_may(visitor, before, difference(before, after))


def test_no_pipeline_goes() -> None:
    with pytest.raises(FaultsError, match="pipeline 'other' would be gone"):
        check_kept(BOTH, policy(limit()))
    check_kept(policy(limit()), BOTH)
