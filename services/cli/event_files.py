"""Reads Andon's own events from JSON Lines, compressed or not, or from standard input."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from pydantic import ValidationError

from shared.contracts.events import DealEvent


class FileError(Exception):
    """A file, or a line of it, cannot be read; the message says which, why, and what to do."""


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """The file's bytes, decompressed if they are gzip; `-` is standard input."""
    try:
        with open(0 if path == "-" else path, "rb") as raw:  # noqa: PTH123 (0 is standard input)
            is_gzip = raw.peek(2)[:2] == b"\x1f\x8b"
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if is_gzip else raw
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}; name a file of events, one JSON object per line") from None


def read_events(path: str) -> Iterator[tuple[bytes, DealEvent]]:
    """Each line and its event; empty lines are skipped. Raises FileError."""
    with opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield line.strip(), DealEvent.model_validate_json(line)
                except ValidationError as error:
                    raise FileError(f"{path}, line {number}: {_describe(error)}") from None


def _describe(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    field = ".".join(map(str, fault["loc"])) or "line"
    return f"{field}: {fault['msg']} (found {str(fault['input'])[:80]!r})"
