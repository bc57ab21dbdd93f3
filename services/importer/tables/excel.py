"""Excel workbooks (.xlsx, .xlsm), read row by row. Needs the extra `import`."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.importer.tables.base import Cell, Row, TableError, fitted, head

try:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException
except ImportError:
    raise TableError(
        "Excel files need one package more: pip install 'andon[import]'; or save the sheet as CSV"
    ) from None


class ExcelTable:
    """One sheet. Its dates and numbers are dates and numbers, however they are shown."""

    guessed: str | None = None

    def __init__(self, path: Path, sheet: str | None) -> None:
        try:
            self._book: Any = load_workbook(path, read_only=True, data_only=True)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, InvalidFileException) as error:
            raise TableError(f"{path}: is no workbook that can be read ({error}); save it as .xlsx or CSV") from None
        names = self._book.sheetnames
        if sheet is not None and sheet not in names:
            raise TableError(f"{path}: there is no sheet {sheet!r}; there are {', '.join(names)}")
        self._sheet = self._book[sheet or names[0]]
        # What is written there is the used range as some program saw it, which may be one cell.
        self._sheet.reset_dimensions()
        self._at, self._total = 0, 0
        self._first, cells = self._head()
        self.columns = head(cells, str(path))

    @property
    def read(self) -> float:
        """Unknown until the end: a sheet does not say how many rows it has."""
        return min(0.99, self._at / 1_048_576)

    def rows(self) -> Iterator[Row]:
        for number, values in enumerate(self._sheet.iter_rows(values_only=True), 1):
            self._at = number
            if number > self._first and any(value not in (None, "") for value in values):
                yield Row(number, fitted(list[Cell](values), len(self.columns)))

    def _head(self) -> tuple[int, list[Cell]]:
        """The first line with several cells; reports often begin with titles of one, and empty lines."""
        alone: tuple[int, list[Cell]] | None = None
        for number, values in enumerate(self._sheet.iter_rows(values_only=True), 1):
            filled = sum(value is not None for value in values)
            if filled > 1:
                return number, list(values)
            if filled and alone is None:
                alone = number, list(values)
        return alone or (1, [])
