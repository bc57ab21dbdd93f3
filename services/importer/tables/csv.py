"""CSV, gzip or not: UTF-8, UTF-16 or Windows-1252; delimited by comma, semicolon, tab or bar."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from services.importer.tables.base import Cell, Row, TableError, column_names, fit_to_width
from services.importer.tables.options import ReadOptions

DELIMITERS = (",", ";", "\t", "|")
SNIFFED_LINES = 50
CHUNK = 1 << 20
# A cell of a megabyte means that a quote was never closed.
MAX_CELL = 1 << 20
csv.field_size_limit(MAX_CELL)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class CsvTable:
    """One file. `encoding` and `delimiter` come from the options, or are detected."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self._path, self._offset, self._size = path, 0, max(1, path.stat().st_size)
        self.encoding = options.encoding or detect_encoding(path)
        self.guessed_encoding = None if options.encoding or self.encoding.startswith("utf") else self.encoding
        try:
            self.delimiter = options.delimiter or self._detect_delimiter()
            header = next(self._records(), None)
        except LookupError:
            raise TableError(f"{path}: encoding {self.encoding!r} is not known; use utf-8, utf-16 or cp1252") from None
        if header is None:
            raise TableError(f"{path}: is empty; it needs a line of column names and a line for each row")
        self.columns = column_names(list(header[1]), str(path))

    @property
    def share_read(self) -> float:
        return min(1.0, self._offset / self._size)

    def rows(self) -> Iterator[Row]:
        records = self._records()
        next(records, None)
        for line, cells in records:
            if any(cells):
                yield Row(line, fit_to_width(list[Cell](cells), len(self.columns)))

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Each record with the line that it begins on."""
        with _open_bytes(self._path) as (raw, file):
            text = io.TextIOWrapper(file, encoding=self.encoding, newline="")
            line = 0
            try:
                line = skipped = _skip_separator_line(text)
                reader = csv.reader(text, delimiter=self.delimiter)
                for cells in reader:
                    yield line + 1, cells
                    line = skipped + reader.line_num
                    self._offset = raw.tell()
            except csv.Error as error:
                raise TableError(f"{self._path}, line {line + 1}: {error}; correct the quotes there") from None
            except UnicodeError as error:
                raise TableError(
                    f"{self._path}, after line {line}: is not {self.encoding} ({error}); name the encoding in the "
                    "mapping: encoding"
                ) from None

    def _detect_delimiter(self) -> str:
        """The one that splits most lines into as many cells as the header, and into the most cells."""
        with _open_bytes(self._path) as (_, file):
            text = io.TextIOWrapper(file, encoding=self.encoding, newline="", errors="replace")
            lines = list(filter(str.strip, (text.readline(MAX_CELL) for _ in range(SNIFFED_LINES))))
        if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:
            return lines[0][4]
        if not any(map(str.strip, lines)):
            raise TableError(f"{self._path}: is empty; it needs a line of column names and a line for each row")
        widths = {delimiter: _width(lines, delimiter) for delimiter in DELIMITERS}
        best = max(widths, key=lambda delimiter: widths[delimiter])
        if widths[best] < 2:
            raise TableError(
                f"{self._path}: its lines cannot be split into columns by comma, semicolon, tab or bar; delete what "
                "is above the column names, name the delimiter in the mapping (delimiter), or save it as CSV"
            )
        return best


def _width(lines: list[str], delimiter: str) -> int:
    """How many cells the header has, if three quarters of the lines have as many; else 0."""
    widths: list[int] = []
    with suppress(csv.Error):
        # Broken quotes are reported when the rows are read, with their line.
        for cells in csv.reader(lines, delimiter=delimiter):
            widths += [len(cells)] if cells else []
    return widths[0] if widths and widths.count(widths[0]) * 4 >= len(widths) * 3 else 0


def _skip_separator_line(text: IO[str]) -> int:
    """Skip a first line `sep=;`, as Excel writes it; returns the number of lines skipped."""
    start = text.read(7)
    if start.lower().startswith("sep=") and start[5:6] in ("\r", "\n"):
        text.seek(0)
        text.readline()
        return 1
    text.seek(0)
    return 0


def detect_encoding(path: Path) -> str:
    """By the byte order mark, else UTF-8 if the whole file is valid, else Windows-1252; raises TableError."""
    with _open_bytes(path) as (_, file):
        first = file.read(CHUNK)
        for mark, name in _BYTE_ORDER_MARKS:
            if first.startswith(mark):
                return name
        # A stray NUL is in a cell, which drops it or reports its line.
        if first.count(0) * 20 > len(first):
            return _detect_utf16(path, first)
        decoders = {name: codecs.getincrementaldecoder(name)() for name in ("utf-8", "cp1252")}
        while first and decoders:
            decoders = {name: decoder for name, decoder in decoders.items() if _is_valid(decoder, first)}
            first = file.read(CHUNK)
    for name in decoders:
        return name
    raise TableError(
        f"{path}: is neither UTF-8 nor Windows-1252; save it as UTF-8, or name its encoding in the mapping"
    )


def _is_valid(decoder: codecs.IncrementalDecoder, part: bytes) -> bool:
    try:
        decoder.decode(part)
    except UnicodeDecodeError:
        return False
    return True


def _detect_utf16(path: Path, first: bytes) -> str:
    """UTF-16 without a byte order mark: every other byte of Latin letters is zero."""
    even, odd = first[0::2].count(0), first[1::2].count(0)
    if max(even, odd) * 4 >= len(first) and min(even, odd) * 20 <= max(even, odd):
        return "utf-16-be" if even > odd else "utf-16-le"
    raise TableError(f"{path}: is not text; name a CSV, Excel (.xlsx) or Parquet file")


@contextmanager
def _open_bytes(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file on disk, to measure progress, and its decompressed bytes."""
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield raw, cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if compressed else raw
    except (gzip.BadGzipFile, EOFError) as error:
        raise TableError(f"{path}: cannot be decompressed ({error}); download it again") from None
    except OSError as error:
        raise TableError(f"{path}: {error.strerror or error}; name a file that can be read") from None
