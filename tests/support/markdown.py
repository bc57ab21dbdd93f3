"""Reads the pages of the documentation: tables, code, names, headings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^ *```.*?$(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def read(page: str) -> str:
    """A file by its path from the root."""
    return (ROOT / page).read_text()


def column(page: str, header: str, number: int = 0, skip: int = 0) -> list[str]:
    """A column of the page's table whose first heading is `header`; `skip`: tables before it with the same one."""
    lines = read(page).splitlines()
    first = [at for at, line in enumerate(lines) if line.startswith(f"| {header} |")][skip]
    rows = takewhile(lambda line: line.startswith("|"), lines[first + 2 :])
    return [row.strip("|").split(" | ")[number].strip() for row in rows]


def names(cells: str | Iterable[str]) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cells if isinstance(cells, str) else " ".join(cells))


def code_in(text: str) -> Iterator[str]:
    """Every line of code, within sentences and in blocks."""
    for block in _BLOCK.findall(text):
        yield from block.splitlines()
    rest = _BLOCK.sub("", text)
    yield from re.findall(r"^    (.+)$", rest, re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", rest)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Where links into a page may lead: its headings, as GitHub makes addresses of them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", page.read_text()), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line) for line in headings]
    return frozenset(re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-") for line in plain)
