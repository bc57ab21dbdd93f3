"""Tables: one module per file format, all with the same interface."""

from __future__ import annotations

from pathlib import Path

from services.importer.tables.base import Cell, Row, Table, TableError
from services.importer.tables.options import ReadOptions

__all__ = ["Cell", "ReadOptions", "Row", "Table", "TableError", "open_table"]

_PARQUET, _ZIP, _OLD_WORKBOOK = b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def open_table(path: Path, options: ReadOptions | None = None) -> Table:
    """Open the table in a file, whose first bytes tell its format; raises TableError."""
    options = options or ReadOptions()
    try:
        with path.open("rb") as file:
            magic = file.read(8)
    except OSError as error:
        raise TableError(f"{path}: {error.strerror or error}; name a CSV, Excel or Parquet file") from None
    # Imported here because they need the optional extra `import`.
    if magic.startswith(_PARQUET):
        from services.importer.tables.parquet import ParquetTable

        return ParquetTable(path)
    if magic.startswith(_ZIP):
        from services.importer.tables.excel import ExcelTable

        return ExcelTable(path, options.sheet)
    if magic == _OLD_WORKBOOK:
        raise TableError(
            f"{path}: is an Excel workbook from before 2007 (.xls), or has a password; save it as .xlsx or CSV"
        )
    from services.importer.tables.csv import CsvTable

    return CsvTable(path, options)
