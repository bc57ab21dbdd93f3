"""`webhooks.received`: each genuine request as it came, so that a mended translator can be run over it again.

A record's value is the body, byte for byte; what else belongs to the request stands in the record's headers, named as
by the Kafka protocol binding of CloudEvents (binary mode). A body too large for one record lies in several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from random import getrandbits
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from shared.connectors.base.source import Request, Source
from shared.contracts.envelope import compact, iso
from shared.contracts.topics import RECEIVED
from shared.kafka.publisher import OutgoingMessage

TYPE = b"andon.webhook.received"
# Kafka takes no record over a megabyte by default; the headers, of at most 32 KiB, may grow sixfold when they are kept.
LARGEST_PART = 800_000
# Many times the largest body that a source may be set to take.
UNFINISHED_BYTES = 2**28
# Secrets, and what the body tells by itself.
_LEFT_OUT = frozenset(
    ("authorization", "proxy-authorization", "cookie", "x-andon-key", "x-webhook-key", "x-api-key", "content-length")
)
_SECRET_QUERIES = frozenset(("key", "code", "access_token", "token"))


def kept(source: Source, request: Request, prefix: str) -> list[OutgoingMessage]:
    """The records of one request, without secrets."""
    body = source.kept(request)
    parts = [body[at : at + LARGEST_PART] for at in range(0, len(body), LARGEST_PART)] or [b""]
    received = iso(request.received_at)
    number = f"{received}/{getrandbits(96):024x}"
    asked = {"method": request.method, "headers": _harmless(request.headers)}
    if request.query_string:
        asked["query"] = _without_keys(request.query_string)
    own = (
        ("ce_specversion", b"1.0"),
        ("ce_type", TYPE),
        ("ce_source", b"andon/intake"),
        ("ce_id", number.encode()),
        ("ce_time", received.encode()),
        ("ce_verifiedby", source.kind.encode()),
        ("ce_request", compact(asked)),
    )
    topic, key = prefix + RECEIVED, source.name.encode()
    if len(parts) == 1:
        return [OutgoingMessage(topic, key, body, None, own)]
    return [
        OutgoingMessage(topic, key, part, None, (*own, ("ce_part", f"{place}/{len(parts)}".encode())))
        for place, part in enumerate(parts)
    ]


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _LEFT_OUT}


@lru_cache(256)
def _without_keys(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name not in _SECRET_QUERIES])


class RequestAssembler:
    """Puts requests together from the records of one source in one partition, however they are handed in.

    Parts of several requests lie mixed where replicas wrote them at once. What was not written to its end, and so was
    never answered with a 2xx, waits in vain: beyond so many bytes the oldest is let go.
    """

    def __init__(self, most_bytes: int = UNFINISHED_BYTES) -> None:
        self._most, self._held = most_bytes, 0
        self._ahead: dict[str, list[bytes]] = {}

    def requests(self, records: Iterable[Any]) -> Iterator[Request]:
        """The requests that these records end, in their order; one whose first part was not among any is left out."""
        for record in records:
            said = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
            if said.get("ce_type") != TYPE.decode():
                # Written beside the requests by another program.
                continue
            place, _, count = said.get("ce_part", "0/1").partition("/")
            parts = self._ahead.setdefault(said["ce_id"], [])
            if len(parts) == int(place):
                parts.append(record.value or b"")
                self._held += len(parts[-1])
            if len(parts) == int(count) or not parts:
                self._drop(said["ce_id"])
            if len(parts) == int(count):
                yield _request(said, b"".join(parts))
            while self._held > self._most:
                self._drop(next(iter(self._ahead)))

    def _drop(self, number: str) -> None:
        self._held -= sum(map(len, self._ahead.pop(number)))


def requests(records: Iterable[Any]) -> Iterator[Request]:
    """The requests of all of one source's records, in their order."""
    return RequestAssembler().requests(records)


def _request(said: Mapping[str, str], body: bytes) -> Request:
    received = datetime.fromisoformat(said["ce_time"])
    asked = orjson.loads(said["ce_request"])
    return Request(asked["method"], asked["headers"], asked.get("query", ""), body, received)
