"""Reads amounts of money as people write them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

from services.importer.tables.base import Cell
from shared.connectors.base.fields import InvalidField, amount_of

Decimals = Literal["point", "comma"]
# Spaces of all kinds, apostrophes of Switzerland, signs and names of currencies.
_CLUTTER = re.compile(r"[\s'\u2019]|R\$|[$€£¥₹]|[A-Z]{3}|kr\.?|zł")
_FORMS: dict[Decimals, re.Pattern[str]] = {
    "point": re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"),
    "comma": re.compile(r"-?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?"),
}
_PLAIN = re.compile(r"-?\d+")


class AmountFault(Exception):
    """A value is no amount; the message says what is expected."""


def read_amount(cell: Cell, decimals: Decimals | None) -> str | None:
    """A decimal as text; None for an empty cell; raises AmountFault."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, str):
        text = _bare(cell)
        if decimals is None and not _PLAIN.fullmatch(text):
            raise AmountFault("could be read in two ways; say in the mapping what stands before the cents: decimal")
        if not _FORMS[decimals or "point"].fullmatch(text):
            raise AmountFault(f"is no amount with a {decimals or 'point'} before the cents; mend it, or the mapping")
        thousands, cents = (",", ".") if decimals != "comma" else (".", ",")
        cell = text.replace(thousands, "").replace(cents, ".")
    try:
        return amount_of(str(cell) if isinstance(cell, Decimal) else cell, "")
    except InvalidField:
        raise AmountFault("is no amount; write a number such as 1234.50") from None


def decimals_of(text: str) -> frozenset[Decimals]:
    """The ways in which a text can be read; both where that gives the same; none where it is no amount."""
    bare = _bare(text)
    return frozenset(way for way, form in _FORMS.items() if form.fullmatch(bare))


def is_plain(text: str) -> bool:
    """Whether it is the same amount in either way."""
    return _PLAIN.fullmatch(_bare(text)) is not None


def _bare(text: str) -> str:
    bare = _CLUTTER.sub("", text)
    # Accountants write what is below zero in brackets.
    return f"-{bare[1:-1]}" if bare.startswith("(") and bare.endswith(")") else bare
