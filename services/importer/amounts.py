"""Reads amounts of money as people write them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

from services.importer.tables.base import Cell
from shared.connectors.base.fields import InvalidField, amount_of

DecimalMark = Literal["point", "comma"]
_SIGNS = "$€£¥₹₽₺₩₪₫₴₦₱฿₡₲₵₸₼₾"
# A multiplier such as MIO is no currency: to drop it would change the amount.
_CODE = r"(?!(?:MIO|MRD|TSD|MLN|BLN|THS|LAC|LKH|BIO)\b)[A-Z]{3}"
_CURRENCY = rf"(?:{_CODE}|[A-Z]{{0,3}}[{_SIGNS}]|Rs\.?|kr\.?|Kč|zł|Ft|lei|лв\.?|S?Fr\.)"
# Blanks and apostrophes group digits by three; a stray one joins two numbers.
_GROUPED = r"(?:\d{1,3}(?:[\s'\u2019]\d{3})+|[\d.,]*\d)(?:[.,]\d+)?"
_AMOUNT = re.compile(
    rf"(?P<sign>[-+]?)\s*(?:{_CURRENCY}\s*)*(?P<inner>[-+]?)\s*(?P<digits>{_GROUPED})[.,]?(?:/-|(?<=[.,])[-\u2013\u2014]+)?"
    rf"(?P<after>-?)\s*(?:{_CURRENCY}\s*)*"
)
_SPACING = re.compile(r"[\s'\u2019]")
# Excel's accounting format puts the currency before the parentheses.
_ACCOUNTING = re.compile(rf"((?:{_CURRENCY}\s*)*)\((.*)\)(\s*(?:{_CURRENCY}\s*)*)", re.DOTALL)
# Indian amounts are grouped by two digits before the last three: 1,23,456.00.
_LAKH = r"\d{1,2}(?:,\d{2})+,\d{3}"
_FORMS: dict[DecimalMark, re.Pattern[str]] = {
    "point": re.compile(rf"-?(?:\d{{1,3}}(?:,\d{{3}})+|{_LAKH}|\d+)?(?:\.\d+)?(?<=\d)"),
    "comma": re.compile(r"-?(?:\d{1,3}(?:\.\d{3})+|\d+)?(?:,\d+)?(?<=\d)"),
}
_DIGITS = re.compile(r"-?\d+")
# As programs write amounts: nothing to take away, and only one way to read it.
_BARE = {"point": re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,12})?"), "comma": re.compile(r"[0-9]{1,30}")}


class AmountFault(Exception):
    """A value is not an amount; the message says what is expected."""


def read_amount(cell: Cell, mark: DecimalMark | None) -> str | None:
    """A decimal as text; None for an empty cell; raises AmountFault."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, str) and not _BARE[mark or "comma"].fullmatch(cell):
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
    """The marks with which a text is an amount: both if they give the same amount, none if it is not an amount."""
    bare = _without_clutter(text)
    return frozenset(mark for mark, form in _FORMS.items() if form.fullmatch(bare))


def is_unambiguous(text: str) -> bool:
    """Whether it is the same amount with either mark."""
    return _DIGITS.fullmatch(_without_clutter(text)) is not None


def _without_clutter(text: str) -> str:
    """The digits and marks, without currency, spaces and apostrophes; other texts as they are."""
    bare = text.strip().replace("\u2212", "-")
    # Accountants write negative amounts in parentheses.
    accounting = _ACCOUNTING.fullmatch(bare)
    match = _AMOUNT.fullmatch("".join(accounting.groups()).strip() if accounting else bare)
    signs = "" if match is None else match["sign"] + match["inner"] + match["after"]
    if match is None or len(signs) + bool(accounting) > 1:
        return text
    minus = accounting is not None or signs == "-"
    return ("-" if minus else "") + _SPACING.sub("", match["digits"])
