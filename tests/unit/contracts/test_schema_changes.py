"""A schema that is stricter, or has lost something, is found; one that only has more is let through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import Draft202012Validator

from shared.contracts.events import DealEvent
from shared.contracts.problems import ProblemEvent
from shared.contracts.tickets import TicketEvent
from tests.support.examples import examples
from tests.support.schema_changes import ReadBy, breaking_changes

US, OTHERS = ReadBy.US, ReadBy.OTHERS


def message(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def one(**keywords: Any) -> dict[str, Any]:
    """A message with one property `a`."""
    return message(a=keywords)


STRICTER = {
    "required added": (message(a={}), message(("a",), a={}), "$.a: required: False -> True"),
    "type removed": (one(type=["string", "null"]), one(type="string"), "$.a: type: null -> nothing"),
    "type added": (one(), one(type=["array", "boolean", "null", "number", "string"]), "$.a: type: object -> nothing"),
    "number to integer": (one(type="number"), one(type="integer"), "$.a: type: number -> nothing"),
    "null removed": (
        one(anyOf=[{"type": "string"}, {"type": "null"}]),
        one(type="string"),
        "$.a: type: null -> nothing",
    ),
    "enum value gone": (one(enum=["x", "y"]), one(enum=["x"]), "$.a: enum: 'y' -> nothing"),
    "enum to const": (one(enum=["x", "y"]), one(const="x"), "$.a: enum: 'y' -> nothing"),
    "enum added": (one(type="string"), one(type="string", enum=["x"]), "$.a: enum: nothing -> ['x']"),
    "pattern added": (one(type="string"), one(type="string", pattern="^x"), "$.a: pattern: nothing -> ^x"),
    "format added": (one(type="string"), one(type="string", format="date"), "$.a: format: nothing -> date"),
    "longer": (one(type="string"), one(type="string", minLength=1), "$.a: minLength: nothing -> 1"),
    "shorter": (one(type="string", maxLength=9), one(type="string", maxLength=8), "$.a: maxLength: 9 -> 8"),
    "minimum": (one(type="integer", minimum=0), one(type="integer", minimum=1), "$.a: minimum: 0 -> 1"),
    "maximum": (one(type="number"), one(type="number", maximum=5), "$.a: maximum: nothing -> 5"),
    "exclusive": (
        one(type="number", minimum=0),
        one(type="number", exclusiveMinimum=0),
        "$.a: minimum: 0 -> 0 exclusive",
    ),
    "multiple": (one(type="integer"), one(type="integer", multipleOf=2), "$.a: multipleOf: nothing -> 2"),
    "more items": (one(type="array"), one(type="array", minItems=1), "$.a: minItems: nothing -> 1"),
    "fewer items": (one(type="array"), one(type="array", maxItems=1), "$.a: maxItems: nothing -> 1"),
    "items": (
        one(type="array", items={"type": ["string", "null"]}),
        one(type="array", items={"type": "string"}),
        "$.a[]: type: null -> nothing",
    ),
    "first item": (
        one(type="array", prefixItems=[{"type": "number"}]),
        one(type="array", prefixItems=[{"type": "integer"}]),
        "$.a[0]: type: number -> nothing",
    ),
    "no others": (
        message(a={}),
        {**message(a={}), "additionalProperties": False},
        "$: additionalProperties: True -> False",
    ),
    "others of a type": (
        one(type="object", additionalProperties={"type": ["string", "null"]}),
        one(type="object", additionalProperties={"type": "string"}),
        "$.a.*: type: null -> nothing",
    ),
    "not comparable": (one(type="object"), one(type="object", minProperties=1), "$.a: minProperties: nothing -> 1"),
    "in a definition": (
        {"$defs": {"D": message(b={"type": "string"})}, **message(a={"$ref": "#/$defs/D"})},
        {"$defs": {"D": message(b={"type": "string", "maxLength": 3})}, **message(a={"$ref": "#/$defs/D"})},
        "$.a.b: maxLength: nothing -> 3",
    ),
    "in a member of a union": (
        one(anyOf=[message(b={"type": "string"}), {"type": "null"}]),
        one(anyOf=[message(("b",), b={"type": "string"}), {"type": "null"}]),
        "$.a.b: required: False -> True",
    ),
}


@pytest.mark.parametrize("name", STRICTER)
def test_what_is_stricter_breaks_what_we_read_and_the_reverse_breaks_what_others_read(name: str) -> None:
    wide, narrow, change = STRICTER[name]
    place, keyword, values = change.split(": ", 2)
    before, after = values.split(" -> ")

    assert [str(found) for found in breaking_changes(wide, narrow, US)] == [change]
    assert [str(found) for found in breaking_changes(narrow, wide, OTHERS)] == [
        f"{place}: {keyword}: {after} -> {before}"
    ]
    assert breaking_changes(narrow, wide, US) == []
    assert breaking_changes(wide, narrow, OTHERS) == []


GONE = {
    "property": (message(a={}, b={}), message(a={}), "$.b: property: there -> gone"),
    "in a list": (
        one(type="array", items=message(b={})),
        one(type="array", items=message()),
        "$.a[].b: property: there -> gone",
    ),
    "renamed": (message(a={}), message(b={}), "$.a: property: there -> gone"),
    "default": (one(default=1), one(default=2), "$.a: default: 1 -> 2"),
}


@pytest.mark.parametrize("reader", ReadBy)
@pytest.mark.parametrize("name", GONE)
def test_what_is_gone_breaks_both(name: str, reader: ReadBy) -> None:
    old, new, change = GONE[name]

    assert [str(found) for found in breaking_changes(old, new, reader)] == [change]


@pytest.mark.parametrize("reader", ReadBy)
def test_another_type_or_pattern_breaks_both(reader: ReadBy) -> None:
    assert breaking_changes(one(type="string"), one(type="integer"), reader)
    assert breaking_changes(one(type="string", pattern="^x|y"), one(type="string", pattern="^x"), reader)


HARMLESS = {
    "new property": (message(a={}), message(a={}, b={"type": "string"})),
    "words": (one(description="x", title="A"), one(description="y", title="B", examples=[1])),
    "order": (one(enum=["x", "y"]), one(enum=["y", "x"])),
    "moved to a definition": (
        one(type="string"),
        {"$defs": {"D": {"type": "string"}}, **message(a={"$ref": "#/$defs/D"})},
    ),
    "two spellings of null": (one(type=["string", "null"]), one(anyOf=[{"type": "null"}, {"type": "string"}])),
    "two spellings of a bound": (one(type="integer", exclusiveMaximum=8), one(type="integer", maximum=7)),
}


@pytest.mark.parametrize("reader", ReadBy)
@pytest.mark.parametrize("name", HARMLESS)
def test_what_changes_nothing_for_readers_is_let_through(name: str, reader: ReadBy) -> None:
    assert breaking_changes(*HARMLESS[name], reader) == []


@pytest.mark.parametrize("reader", ReadBy)
@pytest.mark.parametrize("model", [DealEvent, ProblemEvent, TicketEvent])
def test_a_schema_breaks_nothing_of_itself(model: Any, reader: ReadBy) -> None:
    schema = model.model_json_schema(mode="serialization")

    assert breaking_changes(schema, schema, reader) == []


def test_a_schema_that_holds_itself_is_compared_to_its_end() -> None:
    def tree(kind: str) -> dict[str, Any]:
        node = message(value={"type": kind}, below={"type": "array", "items": {"$ref": "#/$defs/Node"}})
        return {"$defs": {"Node": node}, "$ref": "#/$defs/Node"}

    assert breaking_changes(tree("number"), tree("number"), US) == []
    assert "$.value: type: number -> nothing" in map(str, breaking_changes(tree("number"), tree("integer"), US))


_NUMBERS = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={"minimum": st.integers(0, 3), "maximum": st.integers(2, 5), "exclusiveMaximum": st.integers(2, 5)},
)
_TEXTS = st.fixed_dictionaries(
    {"type": st.just("string")}, optional={"minLength": st.integers(0, 2), "maxLength": st.integers(1, 3)}
)
_LISTED = st.lists(st.sampled_from(["x", "y", 1, None, True]), min_size=1, unique_by=repr).map(lambda v: {"enum": v})
_LEAVES = _NUMBERS | _TEXTS | _LISTED | st.sampled_from([{}, {"type": "null"}, {"type": "boolean"}])


def _larger(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    objects = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("ab"), parts)},
        optional={
            "required": st.lists(st.sampled_from("ab"), unique=True),
            "additionalProperties": st.booleans() | parts,
        },
    )
    arrays = st.fixed_dictionaries(
        {"type": st.just("array")},
        optional={"items": parts, "minItems": st.integers(0, 1), "maxItems": st.integers(1, 2)},
    )
    unions = st.lists(parts, min_size=1, max_size=3).map(lambda members: {"anyOf": members})
    return objects | arrays | unions


SCHEMAS = st.recursive(_LEAVES, _larger, max_leaves=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 6) | st.sampled_from([0.5, 2.5, "", "x", "y", "xyz", "xyzz"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)


def _changed(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The schema with one keyword dropped or one part exchanged, so that most of the pair is the same."""
    dropped = [{k: v for k, v in schema.items() if k != word} for word in schema if word != "properties"]
    ways = [SCHEMAS, st.just({"anyOf": [schema, {"type": "null"}]}), *(st.just(one) for one in dropped)]
    if schema.get("properties"):
        name = next(iter(schema["properties"]))
        inner = schema["properties"][name]
        ways.append(_changed(inner).map(lambda part: schema | {"properties": schema["properties"] | {name: part}}))
    return st.one_of(ways)


def _fitting(schema: Any) -> st.SearchStrategy[Any]:
    """Values that mostly fit, at the bounds and just beyond."""
    if not isinstance(schema, dict) or not schema:
        return VALUES
    if "anyOf" in schema:
        return st.one_of([_fitting(member) for member in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    named = {name: _fitting(part) for name, part in schema.get("properties", {}).items()}
    kinds: dict[str | None, st.SearchStrategy[Any]] = {
        "integer": st.integers(-1, 6),
        "number": st.integers(-1, 6) | st.sampled_from([0.5, 2.5]),
        "string": st.text("xy", max_size=4),
        "null": st.none(),
        "boolean": st.booleans(),
        "array": st.lists(_fitting(schema.get("items")), max_size=3),
        "object": st.fixed_dictionaries({}, optional=named),
    }
    return kinds.get(schema.get("type"), VALUES)


@st.composite
def _cases(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    old = draw(SCHEMAS)
    new = draw(_changed(old))
    return old, new, draw(st.lists(_fitting(old) | _fitting(new), min_size=4, max_size=8))


def _only_known(value: Any, schema: Any) -> bool:
    """Whether `value` has no property that `schema` does not name: by our rule, readers ignore those."""
    named = Draft202012Validator(_closed(schema))
    return named.is_valid(value)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    below = {key: _closed(part) if key in ("anyOf", "items") else part for key, part in schema.items()}
    if schema.get("properties"):
        below["properties"] = {name: _closed(part) for name, part in schema["properties"].items()}
        below.setdefault("additionalProperties", False)
    return below


@settings(max_examples=examples(2500))
@given(_cases())
def test_what_is_let_through_refuses_no_value_that_was_valid(case: Any) -> None:
    old, new, values = case
    stays, may_be_sent = breaking_changes(old, new, US) == [], breaking_changes(old, new, OTHERS) == []

    for value in values:
        if stays and _only_known(value, old) and Draft202012Validator(old).is_valid(value):
            assert Draft202012Validator(new).is_valid(value)
        if may_be_sent and _only_known(value, new) and Draft202012Validator(new).is_valid(value):
            assert Draft202012Validator(old).is_valid(value)
