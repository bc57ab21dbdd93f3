"""YAML files that people write: every fault is told in one go, each with its line, what is wrong and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Place = tuple[str | int, ...]
Lines = dict[Place, int]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where; `line` is 0 where it is of no line of the file."""

    line: int
    place: str
    text: str

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line else ""
        return ": ".join(part for part in (line, self.place, self.text) if part)


class FaultsError(Exception):
    """A file cannot be used; `faults` holds all that is wrong."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(faults, key=lambda fault: fault.line)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def read_text(path: Path, setting: str) -> str:
    """The text of a file that `setting` names; raises FaultsError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FaultsError([Fault(0, str(path), f"{error.strerror}; name the file, or set {setting} to it")]) from None
    except UnicodeDecodeError as error:
        raise FaultsError([Fault(0, str(path), f"is not UTF-8 ({error.reason}); save it as UTF-8")]) from None


class _Loader(yaml.SafeLoader):
    """Safe YAML; `09:00` stays text (YAML 1.1 would read a number in base 60)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:int" or first not in "0123456789"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[0-9]+$"), list("0123456789"))


def read_yaml(text: str) -> tuple[Lines, Any]:
    """The line of every place, and the document; raises FaultsError."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        document = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise FaultsError([Fault(line, "", f"this is not YAML: {error.problem}; mend the text there")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FaultsError([Fault(0, "", f"this is not YAML: {error}; mend the text")]) from None
    lines: Lines = {}
    faults = list(_walk(node, (), lines))
    if faults:
        raise FaultsError(faults)
    return lines, document


def _walk(node: yaml.Node | None, place: Place, lines: Lines) -> Iterator[Fault]:
    """Note the line of every place; a key that stands twice is a fault (YAML would take the last)."""
    if node is None:
        return
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            inner = (*place, str(key.value))
            if key.value in seen:
                yield Fault(key.start_mark.line + 1, name_of(inner), "stands twice; keep one of them")
            seen.add(key.value)
            yield from _walk(value, inner, lines)
            lines[inner] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _walk(item, (*place, number), lines)


def fault_at(place: Place, text: str, lines: Lines) -> Fault:
    """The fault at a place of the document, with the line of what is nearest to it."""
    near = place
    while near and near not in lines:
        near = near[:-1]
    return Fault(lines.get(near, 1), name_of(place), text)


def name_of(place: Place) -> str:
    """`pipelines.new.stages.2`"""
    return ".".join(str(part) for part in place)


def words_of(error: dict[str, Any]) -> str:
    """What one of pydantic's errors says to a person, with the way out."""
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return "no such field; remove it or mend its name"
    if kind == "missing":
        return "is missing; add it"
    if kind == "union_tag_invalid":
        named = given.get("kind") if isinstance(given, dict) else given
        return f"kind {named!r} is not known; use one of {error['ctx']['expected_tags']}"
    shown = f" (found {given!r})" if isinstance(given, str | int | float | bool) else ""
    return str(error["msg"]).removeprefix("Value error, ") + shown


def telling(errors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Pydantic's errors without those that only follow from others: a list is too short where its items are wrong."""
    places = [tuple(error["loc"]) for error in errors]

    def follows(error: Mapping[str, Any]) -> bool:
        here = tuple(error["loc"])
        return error["type"] == "too_short" and any(p != here and p[: len(here)] == here for p in places)

    return [error for error in errors if not follows(error)]
