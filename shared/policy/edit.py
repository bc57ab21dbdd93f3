"""Changes numbers of rules in the text of a policy file. Keeps the rest, comments and layout included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from shared.policy.load import PolicyError, parse
from shared.policy.model import Pipeline
from shared.runtime.yaml_file import FaultsError, compose, write_yaml

NO_FIELDS: Mapping[str, str] = {}


class RuleChange(NamedTuple):
    """Fields of the rule of a kind and stage, as they are to be written. No stage: the entry without one.

    `is_new`: the pipeline has no such entry yet.
    """

    kind: str
    stage: str | None
    fields: Mapping[str, str]
    is_new: bool = False


class _Edit(NamedTuple):
    """The text from `start` to `end` becomes another."""

    start: int
    end: int
    text: str


class NotEditable(Exception):
    """The file is written so that it cannot be changed without touching other parts; the text says the way out."""


def with_changes(
    text: str,
    pipeline: str,
    rules: Sequence[RuleChange],
    fields: Mapping[str, str],
    owner: Mapping[str, str] = NO_FIELDS,
) -> str:
    """The policy with other values of rules, of the pipeline's own fields, and of its owner's.

    Raises PolicyError where the result is no policy, and NotEditable.
    """
    root = compose(text)
    found = _value(_value(root, "pipelines"), pipeline)
    edits = [edit for name, value in fields.items() for edit in _set(found, name, value)]
    edits += _set_all(_value(found, "owner"), owner)
    for change in rules:
        edits += _new_rule(found, change) if change.is_new else _set_all(_entry(found, change), change.fields)
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    try:
        return _checked(text, pipeline, rules, root)
    except FaultsError as error:
        raise PolicyError(error.faults) from None


def _checked(text: str, pipeline: str, rules: Sequence[RuleChange], root: Node | None) -> str:
    """The text, if it says what was asked: an alias or a merge may have carried a change elsewhere."""
    policy = parse(text)
    if not _says(policy.pipelines[pipeline], rules) or _has_alias(root):
        raise NotEditable("the policy file uses anchors (&, *): write the rules of this pipeline out, and try again")
    return text


def _says(pipeline: Pipeline, rules: Sequence[RuleChange]) -> bool:
    known = {(rule.kind, getattr(rule, "stage", None)) for rule in pipeline.rules}
    return all((change.kind, change.stage) in known for change in rules)


def _has_alias(node: Node | None) -> bool:
    """Whether a part of the document stands in more than one place."""
    seen, open_nodes = set[int](), [] if node is None else [node]
    while open_nodes:
        one = open_nodes.pop()
        if isinstance(one, MappingNode | SequenceNode):
            if id(one) in seen:
                return True
            seen.add(id(one))
            open_nodes += [part for pair in one.value for part in (pair if isinstance(pair, tuple) else (pair,))]
    return False


def _value(node: Node | None, name: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else []
    return next((value for key, value in pairs if key.value == name), None)


def _entry(pipeline: Node | None, change: RuleChange) -> Node | None:
    rules = _value(pipeline, "rules")
    for entry in rules.value if isinstance(rules, SequenceNode) else []:
        stage = _value(entry, "stage")
        kind = _value(entry, "kind")
        if kind is not None and (kind.value, None if stage is None else stage.value) == (change.kind, change.stage):
            return entry  # type: ignore[no-any-return]
    return None


def _set_all(entry: Node | None, fields: Mapping[str, str]) -> list[_Edit]:
    return [edit for name, value in fields.items() for edit in _set(entry, name, value)]


def _set(mapping: Node | None, name: str, value: str) -> Iterator[_Edit]:
    """Replace the value of a field, or add the field after the mapping's first one, its kind or name."""
    written = _value(mapping, name)
    if written is not None:
        yield _Edit(written.start_mark.index, written.end_mark.index, _scalar(value))
    elif isinstance(mapping, MappingNode) and mapping.value:
        second, _ = mapping.value[:2][-1]
        between = ", " if mapping.flow_style else "\n" + " " * second.start_mark.column
        yield _Edit(second.start_mark.index, second.start_mark.index, f"{name}: {_scalar(value)}{between}")


def _new_rule(pipeline: Node | None, change: RuleChange) -> Iterator[_Edit]:
    named = {"kind": change.kind} | ({} if change.stage is None else {"stage": change.stage}) | dict(change.fields)
    entry = "{" + ", ".join(f"{name}: {_scalar(value)}" for name, value in named.items()) + "}"
    rules = _value(pipeline, "rules")
    if isinstance(rules, SequenceNode) and rules.value:
        at = rules.start_mark.index
        if rules.flow_style:
            yield _Edit(at + 1, at + 1, f"{entry}, ")
        else:
            yield _Edit(at, at, f"- {entry}\n{' ' * rules.start_mark.column}")
    elif isinstance(rules, SequenceNode):
        yield _Edit(rules.start_mark.index, rules.end_mark.index, f"[{entry}]")
    elif rules is not None:
        raise NotEditable("`rules:` of this pipeline has no value: remove that line of the policy file, and try again")
    elif isinstance(pipeline, MappingNode) and pipeline.value:
        first, _ = pipeline.value[0]
        at = first.start_mark.index
        between = ", " if pipeline.flow_style else "\n" + " " * first.start_mark.column
        yield _Edit(at, at, f"rules: [{entry}]{between}")


def _scalar(value: str) -> str:
    """A text on one line, quoted where YAML, or a pair of braces, would read it otherwise."""
    if value and all(letter.isalnum() or letter in "_.-" for letter in value) and value.isascii() and value[0] != "-":
        return value
    return write_yaml([DoubleQuotedScalarString(value)]).strip().removeprefix("- ")
