"""Parquet, read by batches of rows. Needs the extra `import`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.importer.tables.base import Cell, Row, TableError, head

try:
    import pyarrow
    from pyarrow import parquet
except ImportError:
    raise TableError("Parquet files need one package more: pip install 'andon[import]'; or save it as CSV") from None

BATCH = 2000


class ParquetTable:
    """One file. A row's line is its number, the first being 1: there are no lines."""

    guessed: str | None = None

    def __init__(self, path: Path) -> None:
        try:
            self._file: Any = parquet.ParquetFile(path, pre_buffer=False)
        except (OSError, pyarrow.ArrowException) as error:
            raise TableError(f"{path}: is no Parquet file that can be read ({error}); write it once more") from None
        self._path, self._at = path, 0
        self.columns = head(list(self._file.schema_arrow.names), str(path))

    @property
    def read(self) -> float:
        return float(self._at / max(1, self._file.metadata.num_rows))

    def rows(self) -> Iterator[Row]:
        self._at = 0
        try:
            for batch in self._file.iter_batches(batch_size=BATCH):
                columns = [map(_text, column.to_pylist()) for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    self._at += 1
                    yield Row(self._at, list(cells))
        except (OSError, pyarrow.ArrowException) as error:
            raise TableError(f"{self._path}, after row {self._at}: {error}; write it once more") from None


def _text(cell: Cell | bytes) -> Cell:
    """Some programs write strings without saying that they are text. What is no UTF-8 stays told apart."""
    return cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else cell
