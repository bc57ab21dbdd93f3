"""Parquet, read in batches of rows. Needs the extra `import`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.importer.tables.base import Cell, Row, TableError, column_names

try:
    import pyarrow
    from pyarrow import parquet
except ImportError:
    raise TableError(
        "Parquet files need one more package: pip install 'andon[import]' (in Compose: docker compose run --rm"
        " andon-import ...); or save it as CSV"
    ) from None

BATCH_ROWS = 2000


class ParquetTable:
    """One file. It has no lines: a row's `line` is its number, counted from 1."""

    guessed_encoding: str | None = None

    def __init__(self, path: Path) -> None:
        try:
            self._file: Any = parquet.ParquetFile(path, pre_buffer=False)
        except (OSError, pyarrow.ArrowException) as error:
            raise TableError(f"{path}: cannot be read as Parquet ({error}); write it again") from None
        self._path, self._row = path, 0
        self.columns = column_names(list(self._file.schema_arrow.names), str(path))

    @property
    def share_read(self) -> float:
        return float(self._row / max(1, self._file.metadata.num_rows))

    def rows(self) -> Iterator[Row]:
        self._row = 0
        try:
            for batch in self._file.iter_batches(batch_size=BATCH_ROWS):
                columns = [map(_decoded, column.to_pylist()) for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    self._row += 1
                    yield Row(self._row, list(cells))
        except (OSError, pyarrow.ArrowException) as error:
            raise TableError(f"{self._path}, after row {self._row}: {error}; write it again") from None


def _decoded(cell: Cell | bytes) -> Cell:
    """Some programs write strings without marking them as text. Bytes that are not UTF-8 stay distinct."""
    return cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else cell
