"""Mutators that know the form of what they change: a JSON document, an XML document, a request with its headers.

What comes out is of the same form and wrong in one or a few places, which blind changes of bytes rarely give.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lxml import etree

Bytes = Callable[[bytes, int], bytes]
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53,
    2**63,
    2**64,
    -(2**63) - 1,
    10**40,
    1.5,
    -0.0,
    1e-9,
    1e308,
    "",
    " ",
    "0",
    "-0",
    "1e999",
    "1e1000000",
    "NaN",
    "9" * 40,
    "9" * 5000,
    "x" * 201,
    "x" * 4001,
    "a\x00b",
    "\x00",
    "\ud800",
    "\u2028",
    "²",
    "é" * 90,
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-02-30",
    "2026-06-30T12:06:00Z",
    "2026-03-10 09:00:00",
    "20260310T090000Z",
    "2026-W11-2T09:00:00Z",
    "/Date(99999999999999)/",
    "/Date(-1)/",
    1782820800000,
    253402300800000,
    -62135596800001,
    10**17,
    "1782820800000",
    [],
    {},
    [[]],
    [None],
    [0, 0],
    {"": None},
    {"Value": "x"},
    {"value": None},
)
Path = tuple[Any, ...]
DEEPEST = 20


def places(document: Any) -> Iterator[Path]:
    """Every place of a document, itself first; skips very deep ones."""
    waiting: list[tuple[Path, Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        yield path
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [((*path, key), one) for key, one in inner if len(path) < DEEPEST]


def at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def replaced(document: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    at(document, path[:-1])[path[-1]] = value
    return document


class Words:
    """Keys and values of the requests that are known, for what depends on a certain word."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self.keys, self.values = set[str](), set[Any]()
        for body in bodies:
            document = parsed(body)
            for path in places(document):
                value = at(document, path)
                self.keys |= {path[-1]} if path and isinstance(path[-1], str) else set()
                self.values |= {value} if isinstance(value, str | int | float | bool) else set()
        self.keys, self.values = self.keys or {"id"}, self.values or {0}


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


class Mutator:
    """Changes bodies of one kind of source, by chance with a seed; `blind` changes bytes without looking."""

    def __init__(self, bodies: Sequence[bytes], blind: Bytes) -> None:
        self._words, self._blind = Words(bodies), blind
        self._keys = sorted(self._words.keys)
        self._values = sorted(self._words.values, key=repr)

    def body(self, data: bytes, most: int, seed: int) -> bytes:
        """A JSON or XML body, wrong in a few places; two times in five only its bytes are changed."""
        chance = random.Random(seed)
        if chance.random() < 0.4:
            return self._blind(data, most)
        made = self._xml(data, chance) if data.lstrip()[:1] == b"<" else self._json(data, chance)
        return made if made is not None and len(made) <= most else self._blind(data, most)

    def head(self, data: bytes, most: int, seed: int) -> bytes:
        """A request as text: a line of its head is dropped, doubled, swapped, given another value; or its body."""
        chance = random.Random(seed)
        if chance.random() < 0.3:
            return self._blind(data, most)
        top, empty, body = data.partition(b"\n\n")
        if not empty or chance.random() < 0.25:
            return (top + b"\n\n" + self.body(body, max(64, most - len(top)), seed))[:most]
        lines = top.split(b"\n")
        for _ in range(chance.randint(1, 3)):
            self._line(lines, chance)
        return (b"\n".join(lines) + b"\n\n" + body)[:most]

    def _line(self, lines: list[bytes], chance: random.Random) -> None:
        number = chance.randrange(len(lines))
        name, colon, value = lines[number].partition(b":")
        match chance.randrange(6):
            case 0:
                lines.append(lines[number])
            case 1 if len(lines) > 1:
                del lines[number]
            case 2:
                lines[number] = name + colon + b" " + text(chance.choice(ODD)).replace(b"\n", b" ")
            case 3:
                lines[number] = self._blind(lines[number], len(lines[number]) + 20).replace(b"\n", b" ")
            case 4:
                other = lines[chance.randrange(len(lines))].partition(b":")[2]
                lines[number] = name + colon + other
            case _:
                cut = chance.randint(0, len(value))
                lines[number] = (
                    name + colon + value[:cut] + chance.choice((b",", b" ", b"%00", b"\xff", b"=")) + value[cut:]
                )

    def _json(self, data: bytes, chance: random.Random) -> bytes | None:
        document = parsed(data)
        if document is None:
            return None
        try:
            for _ in range(chance.choice((1, 1, 1, 2, 3))):
                document = self._changed(document, chance)
            text = json.dumps(document, separators=(",", ":"), ensure_ascii=chance.random() < 0.7)
        except RecursionError:
            return None
        return text.encode("utf-8", "replace")

    def _changed(self, document: Any, chance: random.Random) -> Any:
        path = chance.choice(list(places(document)))
        value = at(document, path)
        match chance.randrange(8):
            case 0 | 1:
                return replaced(document, path, copied(chance.choice(ODD)))
            case 2:
                return replaced(document, path, chance.choice(self._values))
            case 3 if path and isinstance(at(document, path[:-1]), dict):
                at(document, path[:-1])[chance.choice(self._keys)] = at(document, path[:-1]).pop(path[-1])
            case 3 | 4 if path:
                del at(document, path[:-1])[path[-1]]
            case 5 if isinstance(value, dict):
                value[chance.choice(self._keys)] = copied(chance.choice((*ODD, *self._values)))
            case 5 if isinstance(value, list):
                value.extend(copied(value * chance.choice((1, 1, 5))))
            case 6:
                return replaced(document, path, deep(value, chance.choice((1, 2, 250, 300, 1100)), chance))
            case _:
                other = at(document, chance.choice(list(places(document))))
                return replaced(document, path, copied(other))
        return document

    def _xml(self, data: bytes, chance: random.Random) -> bytes | None:
        try:
            root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
        except (etree.XMLSyntaxError, ValueError):
            return None
        for _ in range(chance.choice((1, 1, 2, 3))):
            element = chance.choice([one for one in root.iter() if isinstance(one.tag, str)])
            self._element(element, chance)
        return etree.tostring(root, xml_declaration=chance.random() < 0.5, encoding=chance.choice(("UTF-8", "UTF-16")))

    def _element(self, element: Any, chance: random.Random) -> None:
        parent = element.getparent()
        match chance.randrange(6):
            case 0:
                element.text = "".join(c for c in text(chance.choice(ODD)).decode() if c >= " ")
            case 1 if parent is not None:
                parent.remove(element)
            case 2 if parent is not None:
                parent.append(copy.deepcopy(element))
            case 3:
                element.set(
                    chance.choice(("type", "{http://www.w3.org/2001/XMLSchema-instance}nil")),
                    chance.choice(("true", "x:y", "")),
                )
            case 4:
                element.addprevious(etree.Comment("a remark")) if parent is not None else element.append(etree.PI("a"))
            case _:
                other = chance.choice([one for one in element.getroottree().iter() if isinstance(one.tag, str)])
                element.tag, element.text = other.tag, other.text


def copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def text(value: Any) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace")


def deep(value: Any, levels: int, chance: random.Random) -> Any:
    for _ in range(levels):
        value = [value] if chance.random() < 0.5 else {"a": value}
    return value
