"""Adds a source to the text of a sources file. Keeps the rest of the file, comments included."""

from __future__ import annotations

from typing import Any

from ruamel.yaml.nodes import MappingNode, Node

from shared.runtime.yaml_file import compose, read_yaml, write_yaml

_INDENT = 2
_MISSING = (
    "`sources:` is missing or has no names below it; write `sources:` on a line of its own and below it, indented, "
    "each source by its name, or name another file by ANDON_SOURCES"
)
_BRACES = "`sources` is written in braces, where nothing can be added; write its sources one below the other, indented"


def source_names(text: str) -> set[str]:
    """The names in a sources file; raises FaultsError if it is not YAML."""
    _, document = read_yaml(text)
    sources = document.get("sources") if isinstance(document, dict) else None
    return {str(name) for name in sources} if isinstance(sources, dict) else set()


def add_source(text: str, name: str, settings: dict[str, Any]) -> str:
    """The text with one more source at its end. Raises ValueError, with what to write, if it cannot be added.

    Edits the text at the positions of its nodes: a YAML writer would keep the comments, but not the layout.
    """
    document = compose(text)
    if document is None or _is_empty(document):
        return _append(text, f"sources:\n{_block(name, settings, _INDENT)}")
    pairs = document.value if isinstance(document, MappingNode) else []
    sources = next((value for key, value in pairs if key.value == "sources"), None)
    if sources is None or not (isinstance(sources, MappingNode) or _is_empty(sources)):
        raise ValueError(_MISSING)
    if _is_empty(sources):
        without_value = text[: sources.start_mark.index] + text[sources.end_mark.index :]
        return _append(without_value, _block(name, settings, _INDENT))
    if sources.flow_style:
        raise ValueError(_BRACES)
    first_key, _ = sources.value[0]
    return _append(text, _block(name, settings, first_key.start_mark.column))


def _is_empty(node: Node) -> bool:
    """`{}`, `null`, or nothing at all."""
    return not node.value or node.tag == "tag:yaml.org,2002:null"


def _append(text: str, block: str) -> str:
    return f"{text.rstrip()}\n{block}".lstrip("\n")


def _block(name: str, settings: dict[str, Any], indent: int) -> str:
    lines = write_yaml({name: settings}).splitlines()
    return "".join(f"{' ' * indent}{line}\n" for line in lines)
