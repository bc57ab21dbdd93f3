"""Rows with a fault, each with its line, column, value and what to do, in a CSV file next to the table."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from services.importer.readers import RowFault

_HEADER = ("line", "column", "value", "what is wrong, and what to do")
MAX_VALUE_CHARACTERS = 200


class RejectedRows:
    """Appends after the first `kept_bytes`, which an interrupted run recorded, and truncates the rest."""

    def __init__(self, path: Path, kept_bytes: int = 0) -> None:
        self.path = path
        self._file = path.open("r+b" if path.exists() else "w+b")
        kept_bytes = min(kept_bytes, path.stat().st_size)
        self._file.truncate(kept_bytes)
        self._file.seek(kept_bytes)
        if not kept_bytes:
            self._write(_HEADER)

    def add(self, line: int, fault: RowFault) -> None:
        self._write((str(line), fault.column, str(fault.value)[:MAX_VALUE_CHARACTERS], fault.text))

    def flush(self) -> int:
        """Flush to the operating system; returns the size of the file in bytes."""
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def _write(self, cells: tuple[str, ...]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerow(cells)
        self._file.write(text.getvalue().encode("utf-8", "backslashreplace"))
