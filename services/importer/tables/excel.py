"""Excel workbooks (.xlsx, .xlsm), read row by row. Needs the extra `import`."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.importer.tables.base import Cell, Row, TableError, column_names, fit_to_width

try:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException
except ImportError:
    raise TableError(
        "Excel files need one more package: pip install 'andon[import]' (in Compose: docker compose run --rm"
        " andon-import ...); or save the sheet as CSV"
    ) from None

MAX_ROWS = 1_048_576


class ExcelTable:
    """One sheet. Its dates and numbers are read as such, however they are displayed."""

    guessed_encoding: str | None = None

    def __init__(self, path: Path, sheet: str | None) -> None:
        try:
            self._book: Any = load_workbook(path, read_only=True, data_only=True)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, InvalidFileException) as error:
            raise TableError(f"{path}: cannot be read as a workbook ({error}); save it as .xlsx or CSV") from None
        names = self._book.sheetnames
        if sheet is not None and sheet not in names:
            raise TableError(f"{path}: there is no sheet {sheet!r}; there are {', '.join(names)}")
        self._sheet = self._book[sheet or names[0]]
        # The file states a used range, which some programs write as one cell.
        self._sheet.reset_dimensions()
        self._row = 0
        self._header_row, cells = self._header()
        self.columns = column_names(cells, str(path))

    @property
    def share_read(self) -> float:
        """A guess: a sheet does not say how many rows it has."""
        return min(0.99, self._row / MAX_ROWS)

    def rows(self) -> Iterator[Row]:
        for number, values in enumerate(self._sheet.iter_rows(values_only=True), 1):
            self._row = number
            if number > self._header_row and any(value not in (None, "") for value in values):
                yield Row(number, fit_to_width(list[Cell](values), len(self.columns)))

    def _header(self) -> tuple[int, list[Cell]]:
        """The first row with several cells: reports often begin with one-cell titles and empty rows."""
        single: tuple[int, list[Cell]] | None = None
        for number, values in enumerate(self._sheet.iter_rows(values_only=True), 1):
            filled = sum(value is not None for value in values)
            if filled > 1:
                return number, list(values)
            if filled and single is None:
                single = number, list(values)
        return single or (1, [])
