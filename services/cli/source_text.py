"""The text of a sources file with one entry more; what people wrote in it, comments too, stays as it is."""

from __future__ import annotations

from typing import Any

import yaml

from shared.runtime.yaml_file import read_yaml

_INDENT = 2
_MISSING = (
    "`sources:` is missing or has no names below it; write `sources:` on a line of its own and below it, indented, "
    "each source by its name, or name another file by ANDON_SOURCES"
)
_BRACES = "`sources` is written in braces, where nothing can be added; write its sources one below the other, indented"


def names(text: str) -> set[str]:
    """The sources that are there. Raises FaultsError where it is no YAML."""
    _, document = read_yaml(text)
    found = document.get("sources") if isinstance(document, dict) else None
    return {str(name) for name in found} if isinstance(found, dict) else set()


def with_entry(text: str, name: str, entry: dict[str, Any]) -> str:
    """The text with a source more at its end. Raises ValueError that says what to write where it cannot take one."""
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    if document is None or _is_empty(document):
        return _below(text, f"sources:\n{_block(name, entry, _INDENT)}")
    keys = document.value if isinstance(document, yaml.MappingNode) else []
    sources = next((value for key, value in keys if key.value == "sources"), None)
    if sources is None or not (isinstance(sources, yaml.MappingNode) or _is_empty(sources)):
        raise ValueError(_MISSING)
    if _is_empty(sources):
        rest = text[: sources.start_mark.index] + text[sources.end_mark.index :]
        return _below(rest, _block(name, entry, _INDENT))
    if sources.flow_style:
        raise ValueError(_BRACES)
    first, _ = sources.value[0]
    return _below(text, _block(name, entry, first.start_mark.column))


def _is_empty(node: yaml.Node) -> bool:
    """`{}`, `null`, or nothing at all."""
    return not node.value or node.tag == "tag:yaml.org,2002:null"


def _below(text: str, block: str) -> str:
    return f"{text.rstrip()}\n{block}".lstrip("\n")


def _block(name: str, entry: dict[str, Any], indent: int) -> str:
    block = yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True)
    return "".join(f"{' ' * indent}{line}\n" for line in block.splitlines())
