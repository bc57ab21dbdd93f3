"""Reads the fields of one question; refuses what is missing or wrong, with field, value and way out."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import TypeGuard, TypeVar, cast

from shared.flow.statistics.columns import Value

T = TypeVar("T")
_SHOWN = 60


class QuestionError(ValueError):
    """A question that cannot be answered. The message names the field, its value and the way out."""


class Fields:
    """The fields of one question, its numbers exact. An optional field that is null counts as absent.

    Every method raises QuestionError where the field is absent and has no default, or its value does not fit.
    """

    def __init__(self, question: Mapping[str, object], known: Collection[str], path: str = "") -> None:
        """`path`: where these fields stand in a larger question. Refuses a field that is not in `known`."""
        self._fields, self._path = question, path
        for name in question:
            if name not in known:
                raise QuestionError(f"{self._place(name)}: no such field; known are {', '.join(known)}")

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return self._fields.get(name) is not None

    def choice(self, name: str, options: Collection[str], default: str | None = None) -> str:
        """One of some words."""
        way_out = f"write {' or '.join(options)}"
        value = self._value(name, default, way_out)
        if not isinstance(value, str) or value not in options:
            raise self.refused(name, way_out)
        return value

    def text(self, name: str, way_out: str, default: str | None = None) -> str:
        """A text of any form."""
        value = self._value(name, default, way_out)
        if not isinstance(value, str):
            raise self.refused(name, way_out)
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._value(name, default, "write true or false")
        if not isinstance(value, bool):
            raise self.refused(name, "write true or false")
        return value

    def number(self, name: str, default: Value | None = None, *, above: int | None = None) -> Value:
        """A number; greater than `above` where that is given."""
        way_out = "write a number" if above is None else f"write a number greater than {above}"
        value = self._value(name, default, way_out)
        if not _is_number(value) or (above is not None and value <= above):
            raise self.refused(name, way_out)
        return value

    def whole(self, name: str, least: int, greatest: int, default: int | None = None) -> int:
        """A whole number from `least` to `greatest`."""
        way_out = f"write a whole number from {least} to {greatest}"
        value = self._value(name, default, way_out)
        if not _is_whole(value) or not least <= value <= greatest:
            raise self.refused(name, way_out)
        return value

    def wholes(self, name: str, least: int, greatest: int) -> list[int]:
        """A list of whole numbers from `least` to `greatest`; empty where the field is absent."""
        values = self._each(name, _is_whole, f"a whole number from {least} to {greatest}", [])
        for index, value in enumerate(values):
            if not least <= value <= greatest:
                raise self._refused_item(name, index, value, f"a whole number from {least} to {greatest}")
        return values

    def numbers(self, name: str) -> list[Value]:
        """A list of numbers."""
        return self._each(name, _is_number, "a number")

    def weeks(self, name: str) -> list[Value | None]:
        """A value for each week; None for a week without one."""
        return self._each(name, _is_week, "a number, or null for a week without a value")

    def items(self, name: str, default: list[object] | None = None) -> list[object]:
        """A list of anything."""
        value = self._value(name, default, "write a list")
        if not isinstance(value, list):
            raise self.refused(name, "write a list")
        return value

    def part(self, name: str, known: Collection[str]) -> Fields | None:
        """The fields of a part of the question; None where it is absent."""
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.refused(name, f"write an object with {', '.join(known)}")
        return Fields(value, known, self._place(name))

    def refused(self, name: str, way_out: str) -> QuestionError:
        """The error for a field that is absent or cannot be used."""
        if not self.has(name):
            return QuestionError(f"{self._place(name)}: is missing; {way_out}")
        return refusal(self._place(name), self._fields[name], way_out)

    def _value(self, name: str, default: object, way_out: str) -> object:
        value = self._fields.get(name)
        if value is not None:
            return value
        if default is None:
            raise self.refused(name, way_out)
        return default

    def _each(
        self, name: str, fits: Callable[[object], TypeGuard[T]], what: str, default: list[object] | None = None
    ) -> list[T]:
        values = self.items(name, default)
        for index, value in enumerate(values):
            if not fits(value):
                raise self._refused_item(name, index, value, what)
        return cast("list[T]", values)

    def _refused_item(self, name: str, index: int, value: object, what: str) -> QuestionError:
        return refusal(f"{self._place(name)}[{index}]", value, f"write {what}")

    def _place(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def refusal(place: str, value: object, way_out: str) -> QuestionError:
    """The error for a value that cannot be used."""
    shown = str(value) if isinstance(value, Fraction) else json.dumps(value, default=str, ensure_ascii=False)
    return QuestionError(f"{place}: {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}; {way_out}")


def _is_number(value: object) -> TypeGuard[Value]:
    return isinstance(value, int | Fraction) and not isinstance(value, bool)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_week(value: object) -> TypeGuard[Value | None]:
    return value is None or _is_number(value)
