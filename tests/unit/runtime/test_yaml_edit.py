"""Values are changed in the text of a YAML file, which stays as it is but for them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from shared.runtime.yaml_edit import FieldChange, ListChange, NotEditable, YamlValue, edited
from shared.runtime.yaml_file import read_yaml

BLOCK = """\
# the head
a: 1   # one
flow: {x: 1, y: [1, 2], z: "3"}
group:
    first: 1
    second:
    - 1
    - 2   # two
    third: 3 # three
list:
  # of all
  - id: s   # first
    name: S
  # before the second
  - id: t
    more: {deep: 1}   # last
# the tail
"""


def changed(fields: Sequence[FieldChange] = (), lists: Sequence[ListChange] = (), text: str = BLOCK) -> set[str]:
    """The lines that are new, with a plus, and those that are gone, with a minus."""
    old, new = text.splitlines(), edited(text, fields, lists).splitlines()
    return {f"+{one}" for one in new if one not in old} | {f"-{one}" for one in old if one not in new}


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        (("a",), "2", {"-a: 1   # one", "+a: 2   # one"}),
        (("new",), "2", {"+new: 2"}),
        (("new",), {"k": {"of: it": ["a b", "c"]}}, {'+new: {k: {"of: it": ["a b", c]}}'}),
        (("flow", "y"), ["7"], {'-flow: {x: 1, y: [1, 2], z: "3"}', '+flow: {x: 1, y: [7], z: "3"}'}),
        (("flow", "x"), None, {'-flow: {x: 1, y: [1, 2], z: "3"}', '+flow: {y: [1, 2], z: "3"}'}),
        (("flow", "z"), None, {'-flow: {x: 1, y: [1, 2], z: "3"}', "+flow: {x: 1, y: [1, 2]}"}),
        (("group", "first"), None, {"-    first: 1"}),
        (("group", "third"), None, {"-    third: 3 # three"}),
        (("group", "second"), None, {"-    second:", "-    - 1", "-    - 2   # two"}),
        (("group", "second"), ["3"], {"-    second:", "-    - 1", "-    - 2   # two", "+    second: [3]   # two"}),
        (("group", "fourth"), "4", {"+    fourth: 4"}),
        (("list", 0, "name"), "no: name", {"-    name: S", '+    name: "no: name"'}),
        (("list", 1, "more"), None, {"-    more: {deep: 1}   # last"}),
        (("list", 1, "name"), "", {'+    name: ""'}),
    ],
)
def test_a_field_is_changed_added_or_removed(
    path: tuple[str | int, ...], value: YamlValue | None, lines: set[str]
) -> None:
    assert changed([FieldChange(path, value)]) == lines


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("g:\n  a: 1   # one\n# tail\nh: 2\n", "g:\n  a: 1   # one\n  new: {x: y}\n# tail\nh: 2\n"),
        ("g:\n  a:\n    b: 1", "g:\n  a:\n    b: 1\n  new: {x: y}\n"),
        ("g: {a: 1, b: [2]}   # tail", "g: {a: 1, b: [2], new: {x: y}}   # tail"),
    ],
)
def test_a_field_is_added_at_the_end_of_its_group(text: str, after: str) -> None:
    assert edited(text, [FieldChange(("g", "new"), {"x": "y"})]) == after


def test_several_fields_of_a_group_are_removed_at_once() -> None:
    after = edited(BLOCK, [FieldChange(("flow", "y"), None), FieldChange(("flow", "z"), None)])

    assert "flow: {x: 1}\n" in after


def test_entries_keep_their_comments_wherever_they_go() -> None:
    after = edited(BLOCK, [], [ListChange(("list",), [1, {"id": "new"}, 0])])

    assert after.partition("list:\n")[2] == (
        "  # of all\n"
        "  # before the second\n  - id: t\n    more: {deep: 1}   # last\n"
        "  - {id: new}\n"
        "  - id: s   # first\n    name: S\n"
        "# the tail\n"
    )


@pytest.mark.parametrize("text", ["l: [{a: 1}, 2,\n  [3]]\n", "l:\n- a: 1\n- 2\n-\n  - 3", "k: {l: [{a: 1}, 2, [3]]}"])
def test_any_list_is_arranged_in_any_order(text: str) -> None:
    path = ("k", "l") if text.startswith("k") else ("l",)
    known: list[Any] = [{"a": "1"}, "2", ["3"]]
    for order in [*permutations(range(3)), (0,), (2, 1), ()]:
        document = read_yaml(edited(text, [], [ListChange(path, [*order, "new"])]))[1]

        assert (document["k"] if path[0] == "k" else document)["l"] == [*(known[one] for one in order), "new"]


def test_a_list_is_made_where_there_is_none_and_removed_where_it_is_empty() -> None:
    assert changed([], [ListChange(("group", "list"), [{"a": "1"}])]) == {"+    list: [{a: 1}]"}
    assert edited("a: 1\nl: []\n", [], [ListChange(("l",), ["x"])]) == "a: 1\nl: [x]\n"
    assert edited("a: 1\nl:\n- x\n", [], [ListChange(("l",), [])]) == "a: 1\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a: &x {k: 1}\nb: *x\n", ("a", "k")),
        ("a: &x [1]\nb: *x\n", ("a",)),
        ("a: {}\nb: 1\n", ("a", "k")),
    ],
)
def test_what_would_change_other_parts_is_refused(text: str, path: tuple[str, ...]) -> None:
    with pytest.raises(NotEditable):
        edited(text, [FieldChange(path, "2")])


def test_a_field_beside_anchors_is_changed() -> None:
    assert edited("a: &x {k: 1}\nb: *x\nc: 3\n", [FieldChange(("c",), "4")]) == "a: &x {k: 1}\nb: *x\nc: 4\n"
