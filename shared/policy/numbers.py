"""Numbers of the policy file, exactly as they are written: `0.1` is 1/10."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator

_DECIMAL = re.compile(r"\+?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?")


def positive(text: object) -> Fraction:
    """Read a decimal greater than 0. Raises ValueError, whose text gives the format."""
    if isinstance(text, int | Fraction) and not isinstance(text, bool) and text > 0:
        return Fraction(text)
    value = Fraction(Decimal(text)) if isinstance(text, str) and _DECIMAL.fullmatch(text) else 0
    if value <= 0:
        raise ValueError("is not a number greater than 0; write a decimal, such as 0.1")
    return Fraction(value)


def decimal(value: Fraction) -> str:
    """The number as people write it: `0.1`."""
    return format((Decimal(value.numerator) / value.denominator).normalize(), "f")


# A decimal number greater than 0.
Positive = Annotated[Fraction, BeforeValidator(positive)]
