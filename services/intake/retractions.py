"""Which events a broken translator said that a mended one does not: they are taken back.

An event is taken back by one of the same deal and id, of a later translation, that says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from aiokafka import ConsumerRecord
from pydantic import ValidationError

from shared.connectors.base.canonical import Translated
from shared.contracts.envelope import compact, iso
from shared.contracts.events import DealEvent, EventType
from shared.kafka.publisher import OutgoingMessage

# What was read over an API or from a file came with no request.
_WITHOUT_REQUEST = ("api/", "import-")
Place = tuple[bytes, str]


class _Told(NamedTuple):
    """What was said before, by its latest translation; `rank`: which that is, and whether it says anything."""

    rank: tuple[int, bool]
    message: dict[str, Any]


class Retractions:
    """Compares what requests of one source say now with what was said of them before.

    It holds a number for each request and for each event that is said now, and the events that are to be taken back.
    """

    def __init__(self, source: str, topic: str) -> None:
        self._source, self._topic = source, topic
        self._understood: set[str] = set()
        self._said: set[int] = set()
        self._told: dict[Place, _Told] = {}

    def now(self, received_at: datetime, result: Translated) -> None:
        """What a request says now. Where part of it cannot be translated, nothing is known to be said no more."""
        if not result.unclear:
            self._understood.add(iso(received_at))
        for message in result.messages:
            if message.topic == self._topic:
                self._said.add(hash((message.key, orjson.loads(message.value)["id"])))

    def before(self, records: Iterable[ConsumerRecord]) -> None:
        """Records of `pipeline.events`, after all of now. What else than these requests said it stays said."""
        for record in records:
            if record.key and (message := _read(record.value)) and message["source"] == self._source:
                self._compare(record.key, message)

    def _compare(self, key: bytes, message: dict[str, Any]) -> None:
        place = key, str(message["id"])
        if place[1].startswith(_WITHOUT_REQUEST) or hash(place) in self._said:
            return
        if message.get("receivedat") not in self._understood:
            self._said.add(hash(place))
            self._told.pop(place, None)
            return
        # Of several of one translation, one that says something is to be taken back.
        rank = message.get("translation", 0), _says_something(message)
        if place not in self._told or rank > self._told[place].rank:
            self._told[place] = _Told(rank, message)

    def messages(self, translation: int) -> Iterator[OutgoingMessage]:
        """Take back what is said no more, once."""
        for (key, _), ((_, says), message) in self._told.items():
            if says:
                empty = message | {"type": EventType.CHANGED.value, "data": {}, "translation": translation}
                yield OutgoingMessage(self._topic, key, compact(empty))


def _says_something(message: dict[str, Any]) -> bool:
    return bool(message["data"]) or message["type"] != EventType.CHANGED


def _read(value: bytes | None) -> dict[str, Any] | None:
    """None for what is no event: it is in the dead letters."""
    try:
        DealEvent.model_validate_json(value or b"")
    except ValidationError:
        return None
    message: dict[str, Any] = orjson.loads(value or b"")
    return message
