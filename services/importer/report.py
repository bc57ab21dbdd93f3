"""Rows that cannot be taken, each with line, column, value and way out, in a CSV file beside the table."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from services.importer.readers import RowFault

_HEAD = ("line", "column", "value", "what is wrong, and the way out")
LONGEST_VALUE = 200


class Report:
    """Goes on behind what a run that was cut off is known to have written."""

    def __init__(self, path: Path, kept_bytes: int = 0) -> None:
        self.path = path
        self._file = path.open("r+b" if path.exists() else "w+b")
        kept_bytes = min(kept_bytes, path.stat().st_size)
        self._file.truncate(kept_bytes)
        self._file.seek(kept_bytes)
        if not kept_bytes:
            self._write(_HEAD)

    def add(self, line: int, fault: RowFault) -> None:
        self._write((str(line), fault.column, str(fault.value)[:LONGEST_VALUE], fault.text))

    def kept(self) -> int:
        """How many bytes are written, and will be found again."""
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def _write(self, cells: tuple[str, ...]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerow(cells)
        self._file.write(text.getvalue().encode("utf-8", "backslashreplace"))
