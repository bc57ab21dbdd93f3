"""YAML files edited by hand: every fault at once, each with its line, what is wrong and the way out.

Every value is the text that is written, so that an id `1234567` or `no` is never a number or a truth value. Only null
is not text. Models that want a number or a date parse the text.
"""

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
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

# Keys and indices from the root of a document to a value.
KeyPath = tuple[str | int, ...]
Lines = dict[KeyPath, int]
_YAML = "tag:yaml.org,2002:"
_TEXT, _NULL, _MERGE, _MAP, _LIST = (f"{_YAML}{name}" for name in ("str", "null", "merge", "map", "seq"))
_SCALARS = {_TEXT, _NULL, _MERGE} | {
    f"{_YAML}{name}" for name in ("int", "float", "bool", "timestamp", "value", "binary")
}
# How to put what the library reports; the first that matches its text.
_REASONS = (
    ("another document", "there is a second document; keep one"),
    ("undefined alias", "an alias (*name) has no anchor (&name) before it; write the value itself"),
    ("mapping values", "there is a colon within a value; put the value in quotes, or the field on a line of its own"),
    ("'\\t'", "there is a tab; indent with spaces"),
    ("character", "a value begins with a special character; put it in quotes"),
    ("',' or", "a bracket or brace is not closed; close it"),
    ("flow node", "a bracket or brace is not closed; close it"),
    ("quoted scalar", "a quotation mark is not closed; close it"),
    ("unexpected end of stream", "a quotation mark is not closed; close it"),
    ("block end", "the indentation does not match the lines above; align the fields of one group"),
    ("expected ':'", "a line has no colon; write `name: value`"),
)
_NOT_YAML = "this is not YAML"
_OTHER = "it cannot be read here; check indentation, colons, quotes and brackets"
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
    """The line of every value, and the document: groups, lists, texts and None. Raises FaultsError."""
    lines, document, faults = read_faulty_yaml(text)
    if faults:
        raise FaultsError(faults)
    return lines, document


def read_faulty_yaml(text: str) -> tuple[Lines, Any, list[Fault]]:
    """As `read_yaml`, with the document without its duplicate keys and tags, and what is wrong with them.

    So that a caller can report them together with the faults of the values. Raises FaultsError where the text is not
    YAML.
    """
    yaml = YAML(typ="safe", pure=True)
    with _yaml_faults(text):
        node = yaml.compose(text)
        lines: Lines = {}
        faults = list(_walk(node, (), lines))
        return lines, None if node is None else yaml.constructor.construct_document(node), faults


def compose(text: str) -> Node | None:
    """The nodes of a document, with their positions in the text; None if it is empty. Raises FaultsError."""
    with _yaml_faults(text):
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
def _yaml_faults(text: str) -> Iterator[None]:
    """Turn the errors of the YAML library into FaultsError."""
    try:
        yield
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _fault(line, _reason(f"{error.problem} {error.context}")) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _fault(line, "there is a control character; remove it") from None
    except RecursionError:
        raise _fault(0, "nested too deep; write it flatter") from None
    except (YAMLError, ValueError, ArithmeticError):
        raise _fault(0, _OTHER) from None


def _fault(line: int, reason: str) -> FaultsError:
    return FaultsError([Fault(line, "", f"{_NOT_YAML}: {reason}")])


def _reason(problem: str) -> str:
    return next((reason for part, reason in _REASONS if part in problem), _OTHER)


def _as_text(node: ScalarNode, is_key: bool = False) -> None:
    """Let the value be the text that is written: not a number, a date, or a truth value."""
    is_null = node.tag == _NULL and not is_key
    if not is_null and not (node.tag == _MERGE and is_key):
        node.tag = _TEXT


def _walk(node: Node | None, path: KeyPath, lines: Lines) -> Iterator[Fault]:
    """Record the line of every value, and remove what is a fault from the node: duplicate keys and tags.

    A duplicate key is a fault because YAML would take one of its values.
    """
    if node is None:
        return
    if len(lines) >= MAX_VALUES:
        raise _fault(0, f"its aliases expand it to more than {MAX_VALUES} values; use fewer")
    lines[path] = node.start_mark.line + 1
    if node.tag not in (_SCALARS if isinstance(node, ScalarNode) else (_MAP, _LIST)):
        yield Fault(lines[path], dotted(path), "has a tag (!); remove it, and write a plain value")
        node.tag = _MAP if isinstance(node, MappingNode) else _LIST
    if isinstance(node, ScalarNode):
        _as_text(node)
    elif isinstance(node, MappingNode):
        kept: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                yield Fault(key.start_mark.line + 1, dotted(path), "has a key that is no plain value; write a name")
                continue
            inner = (*path, str(key.value))
            if key.value in kept:
                yield Fault(key.start_mark.line + 1, dotted(inner), "appears twice; keep one of them")
                continue
            _as_text(key, is_key=True)
            kept[key.value] = key, value
            yield from _walk(value, inner, lines)
            lines[inner] = key.start_mark.line + 1
        node.value = list(kept.values())
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
