"""Changes values in the text of a YAML file. Keeps the rest, comments and layout included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from shared.runtime.yaml_file import FaultsError, KeyPath, compose, read_yaml, write_yaml

YamlValue: TypeAlias = "str | Sequence[YamlValue] | Mapping[str, YamlValue]"


class FieldChange(NamedTuple):
    """A field's new value; None: the field is removed. The group that has it must exist."""

    path: KeyPath
    value: YamlValue | None


class ListChange(NamedTuple):
    """The entries of a list in their new order: the number of one that is kept, or a new one."""

    path: KeyPath
    entries: Sequence[int | YamlValue]


class NotEditable(Exception):
    """The file is written so that it cannot be changed without touching other parts."""


class _Edit(NamedTuple):
    """The text from `start` to `end` becomes another."""

    start: int
    end: int
    text: str


def edited(text: str, fields: Sequence[FieldChange], lists: Sequence[ListChange] = ()) -> str:
    """The text with other values. Numbers of entries are those of the text as it is.

    Raises NotEditable where the result would not be exactly that: an alias or a merge carries a change elsewhere.
    """
    expected = _copied(read_yaml(text)[1])
    after = _with_lists(_with_fields(text, fields), lists)
    for field in fields:
        _put(expected, field)
    for one in lists:
        _arrange(expected, one)
    try:
        is_as_asked = read_yaml(after)[1] == expected
    except FaultsError:
        is_as_asked = False
    if not is_as_asked:
        raise NotEditable
    return after


def _copied(value: Any) -> Any:
    """A copy of groups and lists in which no part is shared, as aliases share theirs."""
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list | tuple) else value


def _group(document: Any, path: KeyPath) -> Any:
    for key in path:
        document = document[key]
    return document


def _put(document: Any, change: FieldChange) -> None:
    group, name = _group(document, change.path[:-1]), change.path[-1]
    if change.value is None:
        group.pop(name, None)
    else:
        group[name] = _copied(change.value)


def _arrange(document: Any, change: ListChange) -> None:
    known = _group(document, change.path[:-1]).get(change.path[-1]) or []
    entries = [known[one] if isinstance(one, int) else one for one in change.entries]
    _put(document, FieldChange(change.path, entries or None))


def _with_fields(text: str, fields: Sequence[FieldChange]) -> str:
    root = compose(text)
    written = [(path, value) for path, value in fields if value is not None]
    text = _applied(text, [edit for path, value in written for edit in _set(root, text, path, value)])
    for path, value in fields:
        # What is removed last of a group ends where the one before it does: one at a time.
        if value is None:
            text = _applied(text, _removed(compose(text), text, path))
    return text


def _with_lists(text: str, lists: Sequence[ListChange]) -> str:
    root = compose(text) if lists else None
    return _applied(text, [edit for change in lists for edit in _listed(root, text, change)])


def _applied(text: str, edits: Iterable[_Edit]) -> str:
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _found(node: Node | None, path: KeyPath) -> Node | None:
    for key in path:
        if isinstance(node, SequenceNode) and isinstance(key, int):
            node = node.value[key]
        else:
            node = next((value for name, value in _pairs(node) if name.value == key), None)
    return node


def _pairs(node: Node | None) -> list[tuple[Node, Node]]:
    return node.value if isinstance(node, MappingNode) else []


def _set(root: Node | None, text: str, path: KeyPath, value: YamlValue) -> Iterator[_Edit]:
    """Replace the value of a field, or add the field at the end of its group."""
    group, name = _found(root, path[:-1]), path[-1]
    pairs = _pairs(group)
    written = next(((key, old) for key, old in pairs if key.value == name), None)
    if written is not None:
        key, old = written
        start, end = old.start_mark.index, _end(old)
        if start < end and _is_inline(old):
            yield _Edit(start, end, _flow(value))
        else:
            yield _Edit(key.end_mark.index, end, f": {_flow(value)}")
    elif group is not None and pairs:
        yield _added(group, text, f"{_flow(str(name))}: {_flow(value)}")


def _added(group: Node, text: str, field: str) -> _Edit:
    """Add a field at the end of a group that has others."""
    end = _end(group.value[-1][1])
    if _is_inline(group):
        return _Edit(end, end, f", {field}")
    end = _line_end(text, end)
    start = "" if text[end - 1] == "\n" else "\n"
    return _Edit(end, end, f"{start}{' ' * group.start_mark.column}{field}\n")


def _removed(root: Node | None, text: str, path: KeyPath) -> Iterator[_Edit]:
    """Remove a field, in a group with others."""
    group, name = _found(root, path[:-1]), path[-1]
    pairs = _pairs(group)
    number = next((number for number, (key, _) in enumerate(pairs) if key.value == name), None)
    if group is None or number is None:
        return
    start, end = pairs[number][0].start_mark.index, _end(pairs[number][1])
    if number == 0 and len(pairs) > 1:
        yield _Edit(start, pairs[1][0].start_mark.index, "")
    elif _is_inline(group):
        yield _Edit(_end(pairs[number - 1][1]), end, "")
    else:
        yield _Edit(text.rfind("\n", 0, start) + 1, _line_end(text, end), "")


def _listed(root: Node | None, text: str, change: ListChange) -> Iterator[_Edit]:
    """Arrange the entries of a list anew. In a block, comments above an entry and beside it go with it."""
    node = _found(root, change.path)
    if not change.entries:
        yield from _removed(root, text, change.path)
    elif not isinstance(node, SequenceNode) or not node.value:
        yield from _set(root, text, change.path, [one for one in change.entries if not isinstance(one, int)])
    elif _is_inline(node):
        old = [text[one.start_mark.index : _end(one)] for one in node.value]
        parts = [old[one] if isinstance(one, int) else _flow(one) for one in change.entries]
        yield _Edit(node.start_mark.index, _end(node), f"[{', '.join(parts)}]")
    else:
        begin = text.rfind("\n", 0, node.start_mark.index) + 1
        ends = [_line_end(text, _end(one)) for one in node.value]
        blocks = [text[start:end] for start, end in pairwise([begin, *ends])]
        indent = " " * node.start_mark.column
        parts = [blocks[one] if isinstance(one, int) else f"{indent}- {_flow(one)}\n" for one in change.entries]
        yield _Edit(begin, ends[-1], "".join(one if one.endswith("\n") else f"{one}\n" for one in parts))


def _is_inline(node: Node) -> bool:
    """Whether it is no block: a scalar, or in braces or brackets."""
    return bool(getattr(node, "flow_style", True))


def _end(node: Node) -> int:
    """Where a value ends. The library ends a block where the next token begins, behind comments."""
    if _is_inline(node):
        return node.end_mark.index  # type: ignore[no-any-return]
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _line_end(text: str, index: int) -> int:
    """Where the line ends that has the text before `index`."""
    if index and text[index - 1] == "\n":
        return index
    return text.find("\n", index) + 1 or len(text)


def _flow(value: YamlValue) -> str:
    """A value on one line."""
    if isinstance(value, str):
        return _scalar(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(name)}: {_flow(inner)}" for name, inner in value.items()) + "}"
    return "[" + ", ".join(map(_flow, value)) + "]"


def _scalar(value: str) -> str:
    """A text on one line, quoted where YAML, or a pair of braces, would read it otherwise."""
    if value and all(letter.isalnum() or letter in "_.-" for letter in value) and value.isascii() and value[0] != "-":
        return value
    return write_yaml([DoubleQuotedScalarString(value)]).strip().removeprefix("- ")
