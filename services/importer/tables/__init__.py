"""Tables: one module for each form of file, all of the same shape."""

from __future__ import annotations

from pathlib import Path

from services.importer.tables.base import Cell, Row, Table, TableError
from services.importer.tables.reading import ReadOptions

__all__ = ["Cell", "ReadOptions", "Row", "Table", "TableError", "opened"]


def opened(path: Path, reading: ReadOptions | None = None) -> Table:
    """The table in a file, by what the file is and not by its name; raises TableError."""
    wanted = reading or ReadOptions()
    try:
        with path.open("rb") as file:
            begins = file.read(8)
    except OSError as error:
        raise TableError(f"{path}: {error.strerror or error}; name a CSV, Excel or Parquet file") from None
    # What is imported here is an extra for most: only for the file that needs it.
    if begins[:4] == b"PAR1":
        from services.importer.tables.parquet import ParquetTable

        return ParquetTable(path)
    if begins[:4] == b"PK\x03\x04":
        from services.importer.tables.excel import ExcelTable

        return ExcelTable(path, wanted.sheet)
    if begins == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise TableError(
            f"{path}: is a workbook of before 2007 (.xls), or one with a password; save it as .xlsx or CSV"
        )
    from services.importer.tables.csv import CsvTable

    return CsvTable(path, wanted)
