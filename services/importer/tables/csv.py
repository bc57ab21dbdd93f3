"""CSV, gzip or not: UTF-8, UTF-16 or Windows-1252; comma, semicolon, tab or bar."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from services.importer.tables.base import Cell, Row, TableError, fitted, head
from services.importer.tables.reading import ReadOptions

DELIMITERS = (",", ";", "\t", "|")
LOOKED_AT = 50
CHUNK = 1 << 20
# A cell of a megabyte is a file with a quote that is never closed.
LONGEST = 1 << 20
csv.field_size_limit(LONGEST)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class CsvTable:
    """One file. `encoding` and `delimiter` are as found or as told."""

    def __init__(self, path: Path, reading: ReadOptions) -> None:
        self._path, self._at, self._size = path, 0, max(1, path.stat().st_size)
        self.encoding = reading.encoding or encoding_of(path)
        self.guessed = None if reading.encoding or self.encoding.startswith("utf") else self.encoding
        try:
            self.delimiter = reading.delimiter or self._delimiter()
            first = next(self._lines(), None)
        except LookupError:
            raise TableError(f"{path}: encoding {self.encoding!r} is not known; use utf-8, utf-16 or cp1252") from None
        if first is None:
            raise TableError(f"{path}: is empty; a head and a line for each row are expected")
        self.columns = head(list(first[1]), str(path))

    @property
    def read(self) -> float:
        return min(1.0, self._at / self._size)

    def rows(self) -> Iterator[Row]:
        lines = self._lines()
        next(lines, None)
        for number, cells in lines:
            if any(cells):
                yield Row(number, fitted(list[Cell](cells), len(self.columns)))

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Each record with the line that it begins in."""
        with _binary(self._path) as (raw, file):
            text = io.TextIOWrapper(file, encoding=self.encoding, newline="")
            line = 0
            try:
                line = begin = _passed(text)
                reader = csv.reader(text, delimiter=self.delimiter)
                for cells in reader:
                    yield line + 1, cells
                    line = begin + reader.line_num
                    self._at = raw.tell()
            except csv.Error as error:
                raise TableError(f"{self._path}, line {line + 1}: {error}; mend the quotes there") from None
            except UnicodeError as error:
                raise TableError(
                    f"{self._path}, after line {line}: is not {self.encoding} ({error}); say in the mapping how it is "
                    "written: encoding"
                ) from None

    def _delimiter(self) -> str:
        """The one that cuts the first lines into the same number of cells, and into the most."""
        with _binary(self._path) as (_, file):
            text = io.TextIOWrapper(file, encoding=self.encoding, newline="", errors="replace")
            lines = list(filter(None, (text.readline(LONGEST) for _ in range(LOOKED_AT))))
        if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:
            return lines[0][4]
        widths = {mark: _width(lines, mark) for mark in DELIMITERS}
        best = max(widths, key=lambda mark: widths[mark])
        if widths[best] < 2:
            raise TableError(
                f"{self._path}: its lines cannot be cut into columns by comma, semicolon, tab or bar; delete what "
                "stands above the names of the columns, name what stands between the values in the mapping "
                "(delimiter), or save it as CSV"
            )
        return best


def _width(lines: list[str], mark: str) -> int:
    """How many cells the head has, if most of the lines have as many; 0 otherwise."""
    widths: list[int] = []
    with suppress(csv.Error):
        # What is broken is told of where it is read, with its line.
        for cells in csv.reader(lines, delimiter=mark):
            widths += [len(cells)] if cells else []
    return widths[0] if widths and widths.count(widths[0]) * 4 >= len(widths) * 3 else 0


def _passed(text: IO[str]) -> int:
    """Pass over a first line `sep=;`, which Excel writes; how many lines were passed."""
    start = text.read(7)
    if start.lower().startswith("sep=") and start[5:6] in ("\r", "\n"):
        text.seek(0)
        text.readline()
        return 1
    text.seek(0)
    return 0


def encoding_of(path: Path) -> str:
    """By its mark, else UTF-8 where all of it is; raises TableError where it can be neither that nor Windows-1252."""
    with _binary(path) as (_, file):
        first = file.read(CHUNK)
        for mark, name in _MARKS:
            if first.startswith(mark):
                return name
        if b"\x00" in first:
            return _of_halves(path, first)
        utf8, windows = codecs.getincrementaldecoder("utf-8")(), codecs.getincrementaldecoder("cp1252")()
        fits = {"utf-8": True, "cp1252": True}
        while first:
            for name, decoder in (("utf-8", utf8), ("cp1252", windows)):
                fits[name] = fits[name] and _takes(decoder, first)
            if not any(fits.values()):
                break
            first = file.read(CHUNK)
    for name, fit in fits.items():
        if fit:
            return name
    raise TableError(
        f"{path}: is neither UTF-8 nor Windows-1252; save it as UTF-8, or name its encoding in the mapping"
    )


def _takes(decoder: codecs.IncrementalDecoder, part: bytes) -> bool:
    try:
        decoder.decode(part)
    except UnicodeDecodeError:
        return False
    return True


def _of_halves(path: Path, first: bytes) -> str:
    """UTF-16 without a mark: every other byte of Latin letters is zero."""
    even, odd = first[0::2].count(0), first[1::2].count(0)
    if max(even, odd) * 4 >= len(first) and min(even, odd) * 20 <= max(even, odd):
        return "utf-16-be" if even > odd else "utf-16-le"
    raise TableError(f"{path}: is no text; name a CSV, Excel (.xlsx) or Parquet file")


@contextmanager
def _binary(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file as it is, for how far it is read, and its bytes, unpacked where they are gzip."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield raw, cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
    except (gzip.BadGzipFile, EOFError) as error:
        raise TableError(f"{path}: cannot be unpacked ({error}); fetch it once more") from None
    except OSError as error:
        raise TableError(f"{path}: {error.strerror or error}; name a file that can be read") from None
