"""Values as messages write them, and as they are printed."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from shared.flow.statistics.columns import Column, exact_text, exact_value, printed

VALUES = st.one_of(st.integers(-(10**18), 10**18), st.fractions(max_denominator=10**9))


@given(st.sampled_from(Column), VALUES)
def test_a_value_is_as_it_is_written(column: Column, value: Fraction | int) -> None:
    text = exact_text(column, value)

    assert text == str(Fraction(value) / column.scale)
    assert exact_value(column, text) == value
    # A count too large for a double is printed as the integer that it is.
    assert float(printed(column, value)) == float(Fraction(text))


def test_a_whole_number_is_an_integer() -> None:
    assert [exact_value(Column.WIP_END, text) for text in ("5", "-3", "6/3", None)] == [5, -3, 2, None]
    assert isinstance(exact_value(Column.TIME_IN_STAGE_MEDIAN, "1/2000000"), int)
