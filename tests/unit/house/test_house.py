"""Rules of the house that ruff, mypy and import-linter cannot check. `make check` runs them."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from shared.flow.rules import KINDS

ROOT = Path(__file__).resolve().parents[3]
PRODUCT, ALL = ("services", "shared"), ("services", "shared", "deploy", "tests")
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 40
# A problem kind is one slice: its rule, its policy model, its wording. All else asks the registry.
SLICES = ("shared/flow/rules/", "shared/wording/", "shared/policy/", "shared/contracts/")
KIND_LITERAL = re.compile(rf"""\bkind (==|!=) ["']|["']({"|".join(map(re.escape, KINDS))})["']""")


def files(roots: tuple[str, ...], *suffixes: str) -> list[Path]:
    found = [p for root in roots for p in (ROOT / root).rglob("*") if p.suffix in (suffixes or (".py",))]
    return sorted(p for p in found if "__pycache__" not in p.parts)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def matches(pattern: re.Pattern[str], paths: list[Path]) -> Iterator[str]:
    """`file:line: text` of every line that matches."""
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if pattern.search(line):
                yield f"{name(path)}:{number}: {line.strip()}"


def none(found: Iterable[str]) -> None:
    """Fails with one line for each breach."""
    breaches = list(found)
    assert not breaches, "\n".join(["", *breaches])


def test_no_file_is_too_long() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in files(ALL)}

    none(f"{path} has {lines} lines" for path, lines in lengths.items() if lines > MAX_FILE_LINES)


def test_no_function_is_too_long() -> None:
    found = []
    for path in files(ALL):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    found.append(f"{name(path)}:{node.lineno}: {node.name} has {lines} lines")

    none(found)


def test_no_two_classes_share_a_name() -> None:
    places = defaultdict(list)
    for path in files((*ALL, "requirements")):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{name(path)}:{node.lineno}")

    none(f"{one}: {', '.join(where)}" for one, where in places.items() if len(where) > 1)


def test_every_connection_has_its_type() -> None:
    untyped = re.compile(r"\b(connection|pool|tx|transaction|executor)\w*: Any\b")

    none(matches(untyped, files(ALL)))


def test_pages_and_the_api_read_in_one_snapshot() -> None:
    pages = files(("services/tickets/web", "services/tickets/api", "services/tickets/calendar"))
    statement_by_statement = re.compile(r"acquire\(\) as connection:")

    none(matches(statement_by_statement, pages))


def test_only_a_kinds_own_slice_names_it() -> None:
    paths = [path for path in files(PRODUCT, ".py", ".html", ".txt") if not name(path).startswith(SLICES)]

    none(matches(KIND_LITERAL, paths))


def test_the_formatter_decides_everywhere() -> None:
    here = Path(__file__)

    none(matches(re.compile(r"# fmt: (skip|off)"), [path for path in files(ALL) if path != here]))
