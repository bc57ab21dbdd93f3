"""Reads amounts of money as people write them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

from services.importer.tables.base import Cell
from shared.connectors.base.fields import InvalidField, amount_of

DecimalMark = Literal["point", "comma"]
# Spaces of all kinds, Swiss apostrophes, signs and codes of currencies.
_CLUTTER = re.compile(r"[\s'\u2019]|R\$|[$€£¥₹]|[A-Z]{3}|kr\.?|zł")
_FORMS: dict[DecimalMark, re.Pattern[str]] = {
    "point": re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"),
    "comma": re.compile(r"-?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?"),
}
_DIGITS = re.compile(r"-?\d+")


class AmountFault(Exception):
    """A value is not an amount; the message says what is expected."""


def read_amount(cell: Cell, mark: DecimalMark | None) -> str | None:
    """A decimal as text; None for an empty cell; raises AmountFault."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, str):
        text = _without_clutter(cell)
        if mark is None and not _DIGITS.fullmatch(text):
            raise AmountFault("can be read in two ways; set the decimal mark in the mapping: decimal")
        if not _FORMS[mark or "point"].fullmatch(text):
            raise AmountFault(f"is not an amount with a decimal {mark or 'point'}; correct it, or the mapping")
        thousands, decimal = (",", ".") if mark != "comma" else (".", ",")
        cell = text.replace(thousands, "").replace(decimal, ".")
    try:
        return amount_of(str(cell) if isinstance(cell, Decimal) else cell, "")
    except InvalidField:
        raise AmountFault("is not an amount; write a number such as 1234.50") from None


def decimal_marks_of(text: str) -> frozenset[DecimalMark]:
    """The marks with which a text can be read: both where that gives the same amount, none where it is no amount."""
    bare = _without_clutter(text)
    return frozenset(mark for mark, form in _FORMS.items() if form.fullmatch(bare))


def is_unambiguous(text: str) -> bool:
    """Whether it is the same amount with either mark."""
    return _DIGITS.fullmatch(_without_clutter(text)) is not None


def _without_clutter(text: str) -> str:
    bare = _CLUTTER.sub("", text)
    # Accountants write negative amounts in parentheses.
    return f"-{bare[1:-1]}" if bare.startswith("(") and bare.endswith(")") else bare
