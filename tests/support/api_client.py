"""Writes a small typed client from the description of the API, as Python source."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_HEAD = """
from __future__ import annotations
from typing import Any, Literal
from urllib.parse import quote
import httpx
from pydantic import TypeAdapter
from typing_extensions import NotRequired, TypedDict


class Refused(Exception):
    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.get("detail"))
        self.status, self.problem = status, problem

"""
_CLIENT = """
class Client:
    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self.http, self.token, self.etag, self.next_page = http, token, "", ""

    async def _ask(self, method: str, path: str, kind: Any, headers: Any, query: Any, body: Any) -> Any:
        shown = {name: value for name, value in headers.items() if value is not None}
        asked = {name: value for name, value in query.items() if value is not None}
        answer = await self.http.request(
            method, path, headers={"Authorization": f"Bearer {self.token}"} | shown, params=asked, json=body
        )
        if answer.status_code != 200:
            raise Refused(answer.status_code, TypeAdapter(Problem).validate_python(answer.json(), strict=True))
        self.etag, self.next_page = answer.headers.get("etag", ""), answer.headers.get("link", "")
        return TypeAdapter(kind).validate_python(answer.json(), strict=True) if kind else answer.text
"""


def type_of(schema: Mapping[str, Any]) -> str:
    """A schema as a Python type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(type_of(one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return f"Literal[{', '.join(map(repr, schema.get('enum') or [schema['const']]))}]"
    if schema.get("type") == "array":
        return f"list[{type_of(schema['items'])}]" if "items" in schema else "list[Any]"
    return _PLAIN.get(str(schema.get("type")), "Any")


def _classes(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        if "properties" not in schema:
            yield f"{name} = {type_of(schema)}"
            continue
        needed = schema.get("required", ())
        yield f"class {name}(TypedDict):"
        for field, kind in schema["properties"].items():
            of = type_of(kind)
            yield f"    {field}: {of if field in needed else f'NotRequired[{of}]'}"
        yield ""


def _method(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    asked = operation.get("parameters", [])
    names = {one["name"]: one["name"].lower().replace("-", "_") for one in asked}
    content = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {})
    kind = type_of(content) if "$ref" in content else "None"
    typed = [
        f"{names[one['name']]}: {type_of(one['schema'])}{'' if one['required'] else ' | None = None'}" for one in asked
    ]
    body = operation.get("requestBody")
    if body:
        needed = sum(bool(one["required"]) for one in asked)
        typed.insert(needed, f"body: {type_of(body['content']['application/json']['schema'])}")
    sent = {
        place: ", ".join(f"{one['name']!r}: {names[one['name']]}" for one in asked if one["in"] == place)
        for place in ("header", "query")
    }
    filled = path
    for one in asked:
        if one["in"] == "path":
            filled = filled.replace(f"{{{one['name']}}}", f"{{quote(str({names[one['name']]}))}}")
    yield f"    async def {operation['operationId']}(self, {', '.join(typed)}) -> {kind if kind != 'None' else 'str'}:"
    values = f"{{{sent['header']}}}, {{{sent['query']}}}, {'body' if body else 'None'}"
    yield f"        return await self._ask({method.upper()!r}, f{filled!r}, {kind}, {values})"


def client_source(described: Mapping[str, Any]) -> str:
    """The client's module."""
    lines = [_HEAD, *_classes(described["components"]["schemas"]), _CLIENT]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            lines += _method(method, described["servers"][0]["url"] + path, operation)
    return "\n".join(lines)


def client_module(described: Mapping[str, Any]) -> ModuleType:
    """The module, loaded."""
    module = ModuleType("andon_client")
    # Where pydantic looks for the classes that others name.
    sys.modules[module.__name__] = module
    exec(compile(client_source(described), "andon_client.py", "exec", dont_inherit=True), vars(module))  # noqa: S102
    return module
