"""YAML files: version 1.2, safe errors whatever the text is, and what is written is read again."""

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
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("true", True),
        ("09:00", "09:00"),
        ("1:30:00.5", "1:30:00.5"),
        ("012", 12),
        ("08", 8),
        ("0o14", 12),
        ("1e3", 1000.0),
        ("~", None),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    _, document = read_yaml(f"a: {text}")

    assert (type(document["a"]), document["a"]) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: [1", "line 2: this is not YAML"),
        ("a: 1\nb: !!python/object:os.system x", "line 2: this is not YAML: could not determine a constructor"),
        ("a: 1\nb: !mine x", "line 2: this is not YAML: could not determine a constructor"),
        ("a: 1\nb: {c: 1, c: 2}\na: 3", "line 2: b.c: appears twice; keep one of them\nline 3: a: appears twice"),
        ("a: *b", "line 1: this is not YAML: found undefined alias"),
        ("a: \x01", "this is not YAML: unacceptable character"),
        ("a: " + "9" * 5000, "this is not YAML: Exceeds the limit"),
        ("a: 2026-02-30", "this is not YAML: day is out of range"),
        ("a\n---\nb", "line 2: this is not YAML: but found another document"),
        ("[" * 1500, "this is not YAML: nested too deep"),
        ("- " * 3000, "this is not YAML: nested too deep"),
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


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
keys = st.text(st.characters(codec="utf-8"), max_size=8)


@given(st.dictionaries(keys, st.recursive(scalars, lambda v: st.lists(v) | st.dictionaries(keys, v), max_leaves=8)))
def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    _, again = read_yaml(write_yaml(document))

    assert again == document


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
