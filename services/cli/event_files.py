"""Reads Andon's own events from JSON Lines, compressed or not, or from standard input."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any, cast

from pydantic import ValidationError

from shared.contracts.events import DealEvent

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Lines that are read at once.
_AT_ONCE = 512
_EXPECTED = "name a file of events, one JSON object per line"
_TABLE_STARTS = (b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0")  # .xlsx, Parquet, .xls
_DELIMITERS = (b",", b";", b"\t", b"|")
# What UTF-16 and UTF-32 put around characters of ASCII: byte order marks and zeros.
_WIDE_PADDING = b"\x00\xff\xfe"
_PHRASES = {
    "missing": "is missing; add it",
    "timezone_aware": "has no offset; write it like 2026-03-01T12:00:00Z",
    "string_type": "is not text; put it in quotes",
    "extra_forbidden": "no such field; remove it",
}


class FileError(Exception):
    """A file, or a line of it, cannot be read; the message says which, why, and what to do."""


class LineError(FileError):
    """One line of a file cannot be used."""

    def __init__(self, path: str, number: int, text: str) -> None:
        super().__init__(f"{path}, line {number}: {text}")


@contextmanager
def opened(path: str, expected: str = _EXPECTED) -> Iterator[IO[bytes]]:
    """The file's bytes, decompressed if they are gzip; `-` is standard input. `expected`: what to name instead."""
    try:
        with open(0 if path == "-" else path, "rb") as raw:  # noqa: PTH123 (0 is standard input)
            is_gzip = raw.peek(2)[:2] == b"\x1f\x8b"
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if is_gzip else raw
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}; {expected}") from None
    except (EOFError, zlib.error) as error:
        raise FileError(f"{path}: the compressed file is cut or damaged ({error}); copy it again") from None


def read_events(path: str) -> Iterator[tuple[int, bytes, DealEvent]]:
    """Number and text of each line, and its event; empty lines are skipped. Raises FileError."""
    for number, line in read_lines(path):
        yield number, line, parse_line(path, number, line)


def read_lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Number and text of each line that is not empty. Raises FileError."""
    for numbers, lines in read_batches(path):
        yield from zip(numbers, lines, strict=True)


def read_batches(path: str) -> Iterator[tuple[Sequence[int], Sequence[bytes]]]:
    """As `read_lines`, many lines at once: their numbers, and their texts."""
    is_first, begun = True, 0
    with opened(path) as file:
        while raw := list(islice(file, _AT_ONCE)):
            numbers: Sequence[int] = range(begun + 1, begun + 1 + len(raw))
            if not begun:
                raw[0] = raw[0].removeprefix(BYTE_ORDER_MARK)
            begun += len(raw)
            lines = list(map(bytes.strip, raw))
            if not all(lines):
                numbers, lines = [n for n, line in zip(numbers, lines, strict=True) if line], list(filter(None, lines))
            if is_first and lines:
                _check_form(path, lines[0])
                is_first = False
            yield numbers, lines


def parse_line(path: str, number: int, line: bytes) -> DealEvent:
    """The event of a line. Raises LineError."""
    try:
        return DealEvent.model_validate_json(line)
    except ValidationError as error:
        raise LineError(path, number, _describe(error)) from None


def _check_form(path: str, line: bytes) -> None:
    """Raise FileError, with the way out, where the first line shows that the file is of another form."""
    is_wide = line.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00")) or line[1:2] == b"\x00"
    if is_wide:
        line = line.translate(None, _WIDE_PADDING)
    is_table = line.startswith(_TABLE_STARTS) or (
        not line.startswith((b"{", b"[")) and any(mark in line for mark in _DELIMITERS)
    )
    if is_wide and not is_table:
        raise FileError(f"{path}: is not UTF-8; save it as UTF-8")
    if line.startswith(b"["):
        raise FileError(f"{path}: is one JSON array; write one object per line, for example with jq -c '.[]'")
    if line == b"{":
        raise FileError(f"{path}: has an object over several lines; write each on one line, for example with jq -c .")
    if is_table:
        file = "FILE" if path == "-" else path
        raise FileError(
            f"{path}: is a table, not a file of events; make events of it with: "
            f"andon import {file} --source NAME --dry-run --out events.jsonl"
        )


def _describe(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    if fault["type"] in ("json_invalid", "json_type", "model_type"):
        return f"is not one JSON object (found {_shown(fault['input'])}); write one event per line"
    field = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"{field}: is missing; add it"
    return f"{field}: {_phrase(fault)} (found {_shown(fault['input'])})"


def _phrase(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "enum":
        return f"is not known; use one of {fault['ctx']['expected']}"
    if fault["type"].startswith("datetime"):
        return "is not a time; write it like 2026-03-01T12:00:00Z"
    return _PHRASES.get(fault["type"], str(fault["msg"]).removeprefix("Value error, "))


def _shown(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return repr(text)[:80]
