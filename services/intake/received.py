"""`webhooks.received`: every genuine request, so that a fixed translator can translate it again.

A record's value is the body, byte for byte; everything else is in the record's headers, named as in the Kafka protocol
binding of CloudEvents (binary mode). A body too large for one record is split over several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from random import getrandbits
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

import orjson

from shared.connectors.base.source import Request, Source
from shared.contracts.envelope import compact, iso
from shared.contracts.topics import RECEIVED
from shared.kafka.publisher import OutgoingMessage

TYPE = b"andon.webhook.received"
# Kafka's default limit is a megabyte per record; headers of at most 32 KiB may grow sixfold when they are encoded.
MAX_PART_BYTES = 800_000
# Many times the largest body that a source may accept.
MAX_PENDING_BYTES = 2**28
# Secrets, and headers that the body makes redundant.
_OMITTED_HEADERS = frozenset(
    ("authorization", "proxy-authorization", "cookie", "x-andon-key", "x-webhook-key", "x-api-key", "content-length")
)
_SECRET_QUERIES = frozenset(("key", "code", "access_token", "token"))


class ReceivedRecord(Protocol):
    """The parts of a Kafka record that are read."""

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]: ...


def request_records(source: Source, request: Request, prefix: str) -> list[OutgoingMessage]:
    """The records of one request, without secrets."""
    body = source.archived_body(request)
    parts = [body[at : at + MAX_PART_BYTES] for at in range(0, len(body), MAX_PART_BYTES)] or [b""]
    received = iso(request.received_at)
    request_id = f"{received}/{getrandbits(96):024x}"
    described = {"method": request.method, "headers": _without_secrets(request.headers)}
    if request.query_string:
        described["query"] = _without_keys(request.query_string)
    headers = (
        ("ce_specversion", b"1.0"),
        ("ce_type", TYPE),
        ("ce_source", b"andon/intake"),
        ("ce_id", request_id.encode()),
        ("ce_time", received.encode()),
        ("ce_verifiedby", source.kind.encode()),
        ("ce_request", compact(described)),
    )
    topic, key = prefix + RECEIVED, source.name.encode()
    if len(parts) == 1:
        return [OutgoingMessage(topic, key, body, None, headers)]
    return [
        OutgoingMessage(topic, key, part, None, (*headers, ("ce_part", f"{index}/{len(parts)}".encode())))
        for index, part in enumerate(parts)
    ]


def _without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _OMITTED_HEADERS}


@lru_cache(256)
def _without_keys(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name not in _SECRET_QUERIES])


class RequestAssembler:
    """Assembles requests from the records of one source in one partition, in batches of any size.

    Replicas write at the same time, so parts of several requests may be interleaved. A request that was never written
    completely never got a 2xx either: beyond `max_pending_bytes` the oldest incomplete one is dropped.
    """

    def __init__(self, max_pending_bytes: int = MAX_PENDING_BYTES) -> None:
        self._max_pending_bytes, self._pending_bytes = max_pending_bytes, 0
        self._pending: dict[str, list[bytes]] = {}

    @property
    def pending_bytes(self) -> int:
        """Bytes of incomplete requests in memory."""
        return self._pending_bytes

    def assemble(self, records: Iterable[ReceivedRecord]) -> Iterator[Request]:
        """The requests that these records complete, in order. Omits requests whose first part is missing."""
        for record in records:
            headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
            if headers.get("ce_type") != TYPE.decode():
                # Another program wrote this record.
                continue
            index, _, count = headers.get("ce_part", "0/1").partition("/")
            parts = self._pending.setdefault(headers["ce_id"], [])
            if len(parts) == int(index):
                parts.append(record.value or b"")
                self._pending_bytes += len(parts[-1])
            if len(parts) == int(count) or not parts:
                self._drop(headers["ce_id"])
            if len(parts) == int(count):
                yield _request(headers, b"".join(parts))
            while self._pending_bytes > self._max_pending_bytes:
                self._drop(next(iter(self._pending)))

    def _drop(self, request_id: str) -> None:
        self._pending_bytes -= sum(map(len, self._pending.pop(request_id)))


def read_requests(records: Iterable[ReceivedRecord]) -> Iterator[Request]:
    """The requests in all records of one source, in order."""
    return RequestAssembler().assemble(records)


def _request(headers: Mapping[str, str], body: bytes) -> Request:
    received = datetime.fromisoformat(headers["ce_time"])
    described = orjson.loads(headers["ce_request"])
    return Request(described["method"], described["headers"], described.get("query", ""), body, received)
