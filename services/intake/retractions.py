"""Finds events that a broken translator published and the fixed one does not, and retracts them.

An event is retracted by an empty one with the same deal and id and a later translation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from aiokafka import ConsumerRecord
from pydantic import ValidationError

from shared.connectors.base.messages import TranslationResult
from shared.contracts.envelope import compact, iso
from shared.contracts.events import DealEvent, EventType
from shared.kafka.publisher import OutgoingMessage

# Ids of events that came from an API or a file, not from a request.
_WITHOUT_REQUEST = ("api/", "import-")
EventKey = tuple[bytes, str]


class _Published(NamedTuple):
    """The latest published translation of an event; `rank`: its translation, and whether it is not empty."""

    rank: tuple[int, bool]
    message: dict[str, Any]


class Retractions:
    """Compares what the requests of one source give now with what was published for them.

    Memory: one hash per request and per current event, and the events to retract.
    """

    def __init__(self, source: str, topic: str) -> None:
        self._source, self._topic = source, topic
        self._translated: set[str] = set()
        self._current: set[int] = set()
        self._published: dict[EventKey, _Published] = {}

    def add_current(self, received_at: datetime, result: TranslationResult) -> None:
        """Record what a request gives now. If part of it is invalid, nothing of it may be retracted."""
        if not result.invalid:
            self._translated.add(iso(received_at))
        for message in result.messages:
            if message.topic == self._topic:
                self._current.add(hash((message.key, orjson.loads(message.value)["id"])))

    def add_published(self, records: Iterable[ConsumerRecord]) -> None:
        """Compare records of `pipeline.events`, after all of `add_current`. Keeps events that did not come from these
        requests.
        """
        for record in records:
            if record.key and (message := _read(record.value)) and message["source"] == self._source:
                self._compare(record.key, message)

    def _compare(self, deal: bytes, message: dict[str, Any]) -> None:
        key = deal, str(message["id"])
        if key[1].startswith(_WITHOUT_REQUEST) or hash(key) in self._current:
            return
        if message.get("receivedat") not in self._translated:
            self._current.add(hash(key))
            self._published.pop(key, None)
            return
        # Of several events of one translation, a non-empty one has to be retracted.
        rank = message.get("translation", 0), not _is_empty(message)
        if key not in self._published or rank > self._published[key].rank:
            self._published[key] = _Published(rank, message)

    def messages(self, translation: int) -> Iterator[OutgoingMessage]:
        """The retractions; an event that is retracted already gets no second one."""
        for (deal, _), ((_, has_content), message) in self._published.items():
            if has_content:
                empty = message | {"type": EventType.CHANGED.value, "data": {}, "translation": translation}
                yield OutgoingMessage(self._topic, deal, compact(empty))


def _is_empty(message: dict[str, Any]) -> bool:
    return not message["data"] and message["type"] == EventType.CHANGED


def _read(value: bytes | None) -> dict[str, Any] | None:
    """The event; None if the record is invalid, which is in the dead letters."""
    try:
        DealEvent.model_validate_json(value or b"")
    except ValidationError:
        return None
    message: dict[str, Any] = orjson.loads(value or b"")
    return message
