"""How to read a file that does not say it itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadOptions:
    """Encoding and delimiter of a CSV file, sheet of a workbook. None: detect them; the first sheet."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
