"""Recognizes rows below a table that are not deals: totals and notices of the exporting report."""

from __future__ import annotations

from collections.abc import Sequence

from services.importer.column_names import plain
from services.importer.tables.base import Row

_TOTALS = frozenset(
    ("total", "totals", "grand total", "grand totals", "sum", "subtotal", "summe", "gesamt", "gesamtsumme", "somme")
)
MIN_COLUMNS = 3


def is_footer(row: Row, columns: Sequence[str]) -> bool:
    """Whether a row is only a sentence, or a total. Only an id is neither: that is a row with a fault."""
    if len(columns) < MIN_COLUMNS:
        return False
    filled = [text for cell in row.cells if cell is not None and (text := str(cell).strip())]
    if len(filled) == 1:
        return len(filled[0].split()) > 1
    # Nearly every row is a deal, most begin with a number, and comparing words costs more than all else here.
    if not filled or len(filled) >= len(columns) or filled[0].isdigit():
        return False
    return plain(filled[0]).rstrip(" 0123456789") in _TOTALS
