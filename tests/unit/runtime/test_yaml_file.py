"""YAML files: values are the text that is written, any text gives plain errors, and what is written is read again."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.runtime.yaml_file import FaultsError, read_yaml, write_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    "text", ["on", "off", "no", "true", "09:00", "1:30:00.5", "012", "08", "0o14", "1e3", "1_000", "2026-02-30", ".inf"]
)
def test_a_value_is_the_text_that_is_written(text: str) -> None:
    _, document = read_yaml(f"a: {text}\n{text}: [{text}]")

    assert document == {"a": text, text: [text]}


def test_only_null_is_no_text() -> None:
    _, document = read_yaml("a: ~\nb: null\nc:\nd: 'null'\ne: ''\nnull: x")

    assert document == {"a": None, "b": None, "c": None, "d": "null", "e": "", "null": "x"}


def test_merged_fields_are_read() -> None:
    _, document = read_yaml("a: &a {x: 1, y: no}\nb: {<<: *a, y: 2}")

    assert document["b"] == {"x": "1", "y": "2"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: [1", "line 2: this is not YAML: a bracket or brace is not closed"),
        ("a: {b: 1\nc: 2", "line 2: this is not YAML: a bracket or brace is not closed"),
        ("a: 1\nb: !!python/object:os.system x", "line 2: b: has a tag"),
        ("a: 1\nb: !mine x", "line 2: b: has a tag"),
        ("a: !!set {b}", "line 1: a: has a tag"),
        ("a: 1\nb: {c: 1, c: 2}\na: 3", "line 2: b.c: appears twice; keep one of them\nline 3: a: appears twice"),
        ("a: *b", "line 1: this is not YAML: an alias (*name) has no anchor"),
        ("a: 1\nb: x: 2", "line 2: this is not YAML: there is a colon within a value"),
        ("a: 1\n b: 2", "line 2: this is not YAML: "),
        ("a:\n  b: 1\n c: 2", "line 3: this is not YAML: the indentation does not match"),
        ("a:\n\tb: 1", "line 2: this is not YAML: there is a tab"),
        ("a: 'b\nc: 2", "line 2: this is not YAML: a quotation mark is not closed"),
        ("a: @b", "line 1: this is not YAML: "),
        ("a: 1\nb: \x01", "line 2: this is not YAML: there is a control character"),
        ("a\n---\nb", "line 2: this is not YAML: there is a second document"),
        ("[" * 500, "this is not YAML: nested too deep"),
        pytest.param("[" * 1500, "this is not YAML: nested too deep", marks=pytest.mark.slow),
        pytest.param("- " * 3000, "this is not YAML: nested too deep", marks=pytest.mark.slow),
        ("a: 1\n? [b]\n: 2", "line 2: has a key that is no plain value; write a name"),
        ("a: &a [*a]", "this is not YAML: nested too deep"),
        (LAUGHS, "this is not YAML: its aliases expand it to more than 100000 values"),
    ],
)
def test_hostile_text_is_a_fault_with_its_line(text: str, fault: str) -> None:
    with pytest.raises(FaultsError) as error:
        read_yaml(text)

    assert str(error.value).startswith(fault)


@given(st.text("a:-?[]{},&*!|>'\"%@`# \n\t01.e<=~\x00é\ufeff", max_size=40))
@example("? {a: 1}\n: 2")
@example("a: !!timestamp 9999-12-31T23:59:59-14:00")
@example("%YAML 3.9\n---\na")
@example("a: !!binary é")
def test_any_text_is_a_document_or_a_fault(text: str) -> None:
    with suppress(FaultsError):
        read_yaml(text)


scalars = st.none() | st.text(st.characters(codec="utf-8"))
keys = st.text(st.characters(codec="utf-8"), max_size=8)


@given(st.dictionaries(keys, st.recursive(scalars, lambda v: st.lists(v) | st.dictionaries(keys, v), max_leaves=8)))
def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    _, again = read_yaml(write_yaml(document))

    assert again == document


@given(st.integers() | st.booleans())
def test_numbers_are_read_as_they_are_written(value: int | bool) -> None:
    _, again = read_yaml(write_yaml({"a": value}))

    assert again == {"a": str(value).lower()}


def test_every_value_has_its_line() -> None:
    lines, _ = read_yaml("# ours\na:\n  b: 1\n\n  c:\n    - x\n    - {d: 2}\n")

    assert lines == {
        (): 2,
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "c"): 5,
        ("a", "c", 0): 6,
        ("a", "c", 1): 7,
        ("a", "c", 1, "d"): 7,
    }
