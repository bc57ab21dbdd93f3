"""YAML files edited by hand: every fault at once, each with its line, what is wrong and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

# Keys and indices from the root of a document to a value.
KeyPath = tuple[str | int, ...]
Lines = dict[KeyPath, int]
# Values of a document after its aliases are expanded; a few lines of aliases of aliases can stand for billions.
MAX_VALUES = 100_000


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a file; `line` is 0 if it belongs to no line."""

    line: int
    path: str
    text: str

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line else ""
        return ": ".join(part for part in (line, self.path, self.text) if part)


class FaultsError(Exception):
    """A file cannot be used; `faults` has everything that is wrong."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(faults, key=lambda fault: fault.line)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def read_text(path: Path, setting: str) -> str:
    """The text of the file that `setting` names; raises FaultsError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FaultsError([Fault(0, str(path), f"{error.strerror}; name the file, or set {setting} to it")]) from None
    except UnicodeDecodeError as error:
        raise FaultsError([Fault(0, str(path), f"is not UTF-8 ({error.reason}); save it as UTF-8")]) from None


def read_yaml(text: str) -> tuple[Lines, Any]:
    """The line of every value, and the document; raises FaultsError. Accepts plain values only: no tags of types."""
    yaml = YAML(typ="safe", pure=True)
    with _yaml_faults():
        node = yaml.compose(text)
        lines: Lines = {}
        faults = list(_walk(node, (), lines))
    if faults:
        raise FaultsError(faults)
    with _yaml_faults():
        return lines, None if node is None else yaml.constructor.construct_document(node)


def compose(text: str) -> Node | None:
    """The nodes of a document, with their positions in the text; None if it is empty. Raises FaultsError."""
    with _yaml_faults():
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
        return node


def write_yaml(document: Any) -> str:
    """A document of plain values as YAML, in the order of its keys."""
    yaml = YAML(typ="rt", pure=True)
    yaml.allow_unicode = True
    yaml.width = 10_000
    stream = StringIO()
    yaml.dump(_escaped(document), stream)
    return stream.getvalue()


def _escaped(value: Any) -> Any:
    """Quote texts with line breaks and other unprintable characters; ruamel.yaml would lose some of them."""
    if isinstance(value, dict):
        return {_escaped(key): _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) and not value.isprintable() else value


@contextmanager
def _yaml_faults() -> Iterator[None]:
    """Turn the errors of the YAML library into FaultsError."""
    try:
        yield
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise FaultsError([Fault(line, "", f"this is not YAML: {error.problem}; correct the text there")]) from None
    except RecursionError:
        raise FaultsError([Fault(0, "", "this is not YAML: nested too deep; write it flatter")]) from None
    except (YAMLError, ValueError, ArithmeticError) as error:
        raise FaultsError([Fault(0, "", f"this is not YAML: {error}; correct the text")]) from None


def _walk(node: Node | None, path: KeyPath, lines: Lines) -> Iterator[Fault]:
    """Record the line of every value. A duplicate key is a fault; YAML would take one of its values."""
    if node is None:
        return
    if len(lines) >= MAX_VALUES:
        raise ValueError(f"its aliases expand it to more than {MAX_VALUES} values; use fewer")
    lines[path] = node.start_mark.line + 1
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            inner = (*path, str(key.value))
            if not isinstance(key, ScalarNode):
                yield Fault(key.start_mark.line + 1, dotted(path), "has a key that is no plain value; write a name")
            elif key.value in seen:
                yield Fault(key.start_mark.line + 1, dotted(inner), "appears twice; keep one of them")
            seen.add(str(key.value))
            yield from _walk(value, inner, lines)
            lines[inner] = key.start_mark.line + 1
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*path, index), lines)


def fault_at(path: KeyPath, text: str, lines: Lines) -> Fault:
    """The fault of a value, with the line of the value or of what encloses it."""
    nearest = path
    while nearest and nearest not in lines:
        nearest = nearest[:-1]
    return Fault(lines.get(nearest, 1), dotted(path), text)


def dotted(path: KeyPath) -> str:
    """`pipelines.new.stages.2`"""
    return ".".join(str(part) for part in path)
