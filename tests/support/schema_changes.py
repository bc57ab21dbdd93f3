"""Whether a JSON Schema still keeps what an older one promised: `breaking_changes(old, new, reader)`.

Structural, and never too lenient: what cannot be compared counts as broken. Keywords that only describe are ignored,
but for `default`, which says what an absent field means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias

from jsonschema.validators import Draft202012Validator

Schema: TypeAlias = Mapping[str, Any]
ABSENT = "nothing"
_DESCRIBES = {"title", "description", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "default", "$id"}
_DESCRIBES |= {"$schema", "$defs", "components", "discriminator"}
_TYPES = ("null", "boolean", "number", "string", "array", "object")
_KEYWORDS = {
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "array": ("minItems", "maxItems", "items", "prefixItems"),
    "object": ("properties", "required", "additionalProperties"),
}
_COMPARED = {"type", "enum", "const", "anyOf", "oneOf"} | {word for words in _KEYWORDS.values() for word in words}


class ReadBy(Enum):
    """Who reads. `US`: what was valid stays valid. `OTHERS`: nothing is sent that the old schema refuses."""

    US = "us"
    OTHERS = "others"


@dataclass(frozen=True)
class SchemaChange:
    """`keyword` at `place` was `old` and is `new`; `nothing` stands for an absent one."""

    place: str
    keyword: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.place}: {self.keyword}: {self.old} -> {self.new}"

    @property
    def turned(self) -> SchemaChange:
        return replace(self, old=self.new, new=self.old)


def breaking_changes(old: Schema, new: Schema, reader: ReadBy) -> list[SchemaChange]:
    """What an old sender (`ReadBy.US`) or an old reader (`ReadBy.OTHERS`) of the messages could trip over.

    For both, a property that is gone and a default that says something else. A new property is harmless: by our rule
    readers ignore what they do not know.
    """
    if reader is ReadBy.US:
        found = _Comparison(old, new).refused()
    else:
        found = [change.turned for change in _Comparison(new, old).refused()]
    return list(dict.fromkeys([*found, *_gone(_Side(old, old), _Side(new, new), "$", frozenset())]))


@dataclass(frozen=True)
class _Side:
    """A part of a schema, with the whole one that its references point into."""

    root: Schema
    part: Schema

    def at(self, part: Any) -> _Side:
        """A part below; `true` and `false` as schemas."""
        if isinstance(part, bool):
            part = {} if part else {"enum": []}
        return _Side(self.root, part).resolved

    @property
    def resolved(self) -> _Side:
        """Without a reference: what it points to, with what stands beside it."""
        part = dict(self.part)
        while "$ref" in part:
            target: Any = self.root
            for step in part.pop("$ref").removeprefix("#/").split("/"):
                target = target[step.replace("~1", "/").replace("~0", "~")]
            part = {**target, **part}
        return _Side(self.root, part)

    @property
    def alternatives(self) -> list[_Side]:
        """One for each type and each member of a union."""
        for word in ("anyOf", "oneOf"):
            if word in self.part:
                beside = {key: value for key, value in self.part.items() if key != word}
                return [found for one in self.part[word] for found in self.at(_joined(one, beside)).alternatives]
        kinds = self.part.get("type", _TYPES)
        return [
            _Side(self.root, {**self.part, "type": kind}) for kind in ([kinds] if isinstance(kinds, str) else kinds)
        ]

    @property
    def values(self) -> list[Any] | None:
        """All that it accepts, if they are listed."""
        if "const" in self.part:
            return [self.part["const"]]
        return self.part.get("enum")

    def accepts(self, value: Any) -> bool:
        beside = {key: self.root[key] for key in ("$defs", "components") if key in self.root}
        return Draft202012Validator({**beside, **self.part}).is_valid(value)

    def get(self, keyword: str) -> Any:
        return self.part.get(keyword, ABSENT)


def _joined(member: Any, beside: Schema) -> Any:
    """A member of a union, with the keywords that stand beside the union."""
    return member if isinstance(member, bool) else {**beside, **member}


def _change(place: str, keyword: str, old: Any, new: Any) -> SchemaChange:
    return SchemaChange(place, keyword, str(old), str(new))


class _Comparison:
    """What values of `one` the schema `other` may refuse."""

    def __init__(self, one: Schema, other: Schema) -> None:
        self._one, self._other = _Side(one, one), _Side(other, other)
        self._under_way: set[tuple[str, str]] = set()

    def refused(self) -> list[SchemaChange]:
        return list(self._compare(self._one.resolved, self._other.resolved, "$"))

    def _compare(self, one: _Side, other: _Side, place: str) -> Iterator[SchemaChange]:
        pair = repr(one.part), repr(other.part)
        if pair[0] == pair[1] and one.root is other.root:
            return
        # A schema that holds itself: what is being compared already needs no second look.
        if pair in self._under_way:
            return
        self._under_way.add(pair)
        yield from _unknown(one, other, place)
        for member in one.alternatives:
            yield from self._best(member, other.alternatives, place)
        self._under_way.discard(pair)

    def _best(self, one: _Side, others: list[_Side], place: str) -> Iterator[SchemaChange]:
        """What stands against the member of the union that fits best."""
        if (values := one.values) is not None:
            for value in values:
                if not any(other.accepts(value) for other in others):
                    yield _change(place, "enum", repr(value), ABSENT)
            return
        fitting = [other for other in others if _fits(one, other)]
        if not fitting:
            yield _change(place, "type", one.get("type"), ABSENT)
            return
        yield from min((list(self._same_type(one, other, place)) for other in fitting), key=len)

    def _same_type(self, one: _Side, other: _Side, place: str) -> Iterator[SchemaChange]:
        if other.values is not None and one.values is None:
            yield _change(place, "enum", ABSENT, other.values)
        kind = _kind_of(one)
        if kind == "number":
            yield from _bounds(one, other, place)
        elif kind == "string":
            yield from _text(one, other, place)
        elif kind == "array":
            yield from self._arrays(one, other, place)
        elif kind == "object":
            yield from self._objects(one, other, place)

    def _arrays(self, one: _Side, other: _Side, place: str) -> Iterator[SchemaChange]:
        yield from _least(one, other, place, "minItems")
        yield from _most(one, other, place, "maxItems")
        first, second = one.part.get("prefixItems", ()), other.part.get("prefixItems", ())
        for index in range(max(len(first), len(second))):
            items = [
                side.at(fixed[index] if index < len(fixed) else side.part.get("items", True))
                for side, fixed in ((one, first), (other, second))
            ]
            # An item that never comes.
            if index < one.part.get("maxItems", index + 1):
                yield from self._compare(items[0], items[1], f"{place}[{index}]")
        if len(first) < one.part.get("maxItems", len(first) + 1):
            rest = one.at(one.part.get("items", True)), other.at(other.part.get("items", True))
            yield from self._compare(*rest, f"{place}[]")

    def _objects(self, one: _Side, other: _Side, place: str) -> Iterator[SchemaChange]:
        needed = one.part.get("required", ())
        for name in other.part.get("required", ()):
            if name not in needed:
                yield _change(f"{place}.{name}", "required", False, True)
        known, allowed = one.part.get("properties", {}), other.part.get("properties", {})
        for name, part in known.items():
            if name in allowed:
                yield from self._compare(one.at(part), other.at(allowed[name]), f"{place}.{name}")
            elif "additionalProperties" in other.part:
                yield from self._compare(one.at(part), other.at(other.part["additionalProperties"]), f"{place}.{name}")
        yield from self._others(one, other, place)

    def _others(self, one: _Side, other: _Side, place: str) -> Iterator[SchemaChange]:
        """Properties without a name of their own."""
        sides = one.part.get("additionalProperties", True), other.part.get("additionalProperties", True)
        if sides[1] is False and sides[0] is not False:
            yield _change(place, "additionalProperties", sides[0], False)
        elif sides[0] is not False and sides[1] is not True:
            yield from self._compare(one.at(sides[0]), other.at(sides[1]), f"{place}.*")
        # Of a map with any names, each may be one that has a meaning now.
        known = one.part.get("properties", {})
        if isinstance(sides[0], Mapping) or (sides[0] and not known):
            for name in other.part.get("properties", {}).keys() - known.keys():
                yield from self._compare(one.at(sides[0]), other.at(other.part["properties"][name]), f"{place}.{name}")


def _unknown(one: _Side, other: _Side, place: str) -> Iterator[SchemaChange]:
    """Keywords that this module cannot compare, where they differ."""
    for word in sorted(other.part.keys() - _COMPARED - _DESCRIBES):
        if one.get(word) != other.get(word):
            yield _change(place, word, one.get(word), other.get(word))


def _kind_of(side: _Side) -> str:
    kind = side.part.get("type")
    return "number" if kind == "integer" else str(kind)


def _fits(one: _Side, other: _Side) -> bool:
    """Whether the types allow it: an integer is a number, and not the other way about."""
    kinds = one.get("type"), other.get("type")
    return kinds[0] == kinds[1] or kinds == ("integer", "number")


def _text(one: _Side, other: _Side, place: str) -> Iterator[SchemaChange]:
    yield from _least(one, other, place, "minLength")
    yield from _most(one, other, place, "maxLength")
    for word in ("pattern", "format"):
        if word in other.part and one.get(word) != other.get(word):
            yield _change(place, word, one.get(word), other.get(word))


def _least(one: _Side, other: _Side, place: str, word: str) -> Iterator[SchemaChange]:
    if other.part.get(word, 0) > one.part.get(word, 0):
        yield _change(place, word, one.get(word), other.get(word))


def _most(one: _Side, other: _Side, place: str, word: str) -> Iterator[SchemaChange]:
    if other.part.get(word, float("inf")) < one.part.get(word, float("inf")):
        yield _change(place, word, one.get(word), other.get(word))


def _bounds(one: _Side, other: _Side, place: str) -> Iterator[SchemaChange]:
    step = other.part.get("multipleOf")
    if step is not None and ("multipleOf" not in one.part or one.part["multipleOf"] % step):
        yield _change(place, "multipleOf", one.get("multipleOf"), step)
    for word, sign in (("minimum", 1), ("maximum", -1)):
        if _bound(other, word, sign) > _bound(one, word, sign):
            yield _change(place, word, _shown(one, word), _shown(other, word))


def _bound(side: _Side, word: str, sign: int) -> tuple[float, int]:
    """How tight it is: a greater one lets less through."""
    exclusive = side.part.get(f"exclusive{word.capitalize()}")
    bounds = [(sign * side.part[word], 0)] if word in side.part else [(-float("inf"), 0)]
    if exclusive is not None:
        whole = side.part.get("type") == "integer" and isinstance(exclusive, int)
        bounds.append((sign * exclusive + 1, 0) if whole else (sign * exclusive, 1))
    return max(bounds)


def _shown(side: _Side, word: str) -> str:
    exclusive = f"exclusive{word.capitalize()}"
    named = [str(side.part[word])] if word in side.part else []
    return " and ".join([*named, *([f"{side.part[exclusive]} exclusive"] if exclusive in side.part else [])]) or ABSENT


def _gone(old: _Side, new: _Side, place: str, above: frozenset[str]) -> Iterator[SchemaChange]:
    """Properties that no member of the new schema has, and defaults that changed."""
    old, new = old.resolved, new.resolved
    if old.get("default") != ABSENT and new.get("default") != ABSENT and old.part["default"] != new.part["default"]:
        yield _change(place, "default", old.part["default"], new.part["default"])
    if repr(old.part) in above:
        return
    above |= {repr(old.part)}
    olds, news = _properties(old), _properties(new)
    for name, parts in olds.items():
        if name not in news:
            yield _change(f"{place}.{name}", "property", "there", "gone")
            continue
        yield from _gone(parts[0], news[name][0], f"{place}.{name}", above)
    if "items" in old.part and "items" in new.part:
        yield from _gone(old.at(old.part["items"]), new.at(new.part["items"]), f"{place}[]", above)


def _properties(side: _Side) -> dict[str, list[_Side]]:
    """By name, of all members of a union."""
    found: dict[str, list[_Side]] = {}
    for member in side.alternatives:
        for name, part in member.part.get("properties", {}).items():
            found.setdefault(name, []).append(member.at(part))
    return found
