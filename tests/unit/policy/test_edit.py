"""Numbers of rules are changed in the text of a policy, which stays as it is but for them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from shared.policy import PolicyError, parse
from shared.policy.edit import PolicyNotEditable, RuleChange, with_changes

FLOW = """\
version: 1
pipelines:
  a: {name: A, owner: {name: a, mail: a@b.de},
    stages: [{id: s}, {id: "t, u"}], rules: [{kind: aging, stage: s, limit: 3d}]}
"""
BLOCK = """\
version: 1   # the first
pipelines:
  a:
    name: A
    owner: {name: a, mail: a@b.de}
    stages:
    - id: s
    - id: "t, u"
    rules:
    # old deals
    - kind: aging
      stage: s
      limit: 3d   # as agreed
    -   kind: aging-learned
        budget: .2
"""
BARE = """\
version: 1
pipelines:
  a:
    name: A
    owner: {name: a, mail: a@b.de}
    stages: [{id: s}, {id: "t, u"}]
"""
ALIASES = """\
version: 1
pipelines:
  a:
    name: A
    owner: {name: a, mail: a@b.de}
    stages: [{id: s}, {id: "t, u"}]
    rules: &r [{kind: aging, stage: s, limit: 3d}]
  b:
    name: B
    owner: {name: a, mail: a@b.de}
    stages: [{id: s}]
    rules: *r
"""


def changed(text: str, *changes: RuleChange, **fields: str) -> tuple[list[str], list[str]]:
    """The lines that are new, and those that are gone."""
    after = with_changes(text, "a", changes, fields)
    parse(after)
    old, new = text.splitlines(), after.splitlines()
    return [one for one in new if one not in old], [one for one in old if one not in new]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"limit": "14d 2h"}, '      limit: "14d 2h"   # as agreed'),
        ({"limit": "2w"}, "      limit: 2w   # as agreed"),
    ],
)
def test_a_value_is_replaced_where_it_stands(fields: Mapping[str, str], line: str) -> None:
    assert changed(BLOCK, RuleChange("aging", "s", fields)) == ([line], ["      limit: 3d   # as agreed"])


def test_a_field_is_added_to_its_rule() -> None:
    added, gone = changed(BLOCK, RuleChange("aging", "s", {"count": "4", "mode": "off"}))
    assert (sorted(added), gone) == (["      count: 4", "      mode: off"], [])
    assert changed(BLOCK, RuleChange("aging-learned", None, {"budget": "0.3"}))[0] == ["        budget: 0.3"]
    (line,), _ = changed(FLOW, RuleChange("aging", "s", {"count": "4"}))
    assert line.endswith("rules: [{kind: aging, stage: s, limit: 3d, count: 4}]}")


@pytest.mark.parametrize("text", [FLOW, BLOCK, BARE, BARE + "    rules: []\n"])
def test_a_rule_is_added_to_any_list(text: str) -> None:
    new = RuleChange("wip-high", "t, u", {"max": "7"}, is_new=True)

    policy = parse(with_changes(text, "a", [new], {"false_alarms": "2.5"}))

    assert policy.pipelines["a"].false_alarms == 2.5
    added = [rule for rule in policy.pipelines["a"].rules if rule.kind == "wip-high"]
    assert [(rule.stage, rule.max) for rule in added] == [("t, u", 7)]
    assert len(policy.pipelines["a"].rules) == len(parse(text).pipelines["a"].rules) + 1


def test_what_stands_in_two_places_is_not_changed() -> None:
    with pytest.raises(PolicyNotEditable, match="uses anchors"):
        with_changes(ALIASES, "a", [RuleChange("aging", "s", {"limit": "9d"})], {})


def test_a_value_that_is_none_is_refused() -> None:
    with pytest.raises(PolicyError, match="not a duration"):
        with_changes(BLOCK, "a", [RuleChange("aging", "s", {"limit": "9 parsecs"})], {})
