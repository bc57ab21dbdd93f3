"""What must be known to read a file, where the file does not say it itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadOptions:
    """Of a CSV file its encoding and delimiter, of a workbook its sheet. None: found out, or the first."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
