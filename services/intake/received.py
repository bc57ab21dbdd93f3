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

from services.intake.sources.base import Request, Source
from shared.bus.publisher import OutgoingMessage
from shared.contracts.envelope import compact, iso
from shared.contracts.topics import RECEIVED

TYPE = b"andon.webhook.received"
# Kafka takes no record over a megabyte by default; the headers, of at most 32 KiB, may grow sixfold when they are kept.
LARGEST_PART = 800_000
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
        ("ce_specversion", b"1.0"), ("ce_type", TYPE), ("ce_source", b"andon/intake"), ("ce_id", number.encode()),
        ("ce_time", received.encode()), ("ce_verifiedby", source.kind.encode()), ("ce_request", compact(asked)),
    )  # fmt: skip
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


def is_ours(record: Any) -> bool:
    """Not written beside the requests by another program."""
    return dict(record.headers).get("ce_type") == TYPE


def requests(records: Iterable[Any]) -> Iterator[Request]:
    """The requests of one source's records, in their order; those whose first part is not among them are left out."""
    ahead: dict[str, list[bytes]] = {}
    for record in filter(is_ours, records):
        said = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
        place, _, count = said.get("ce_part", "0/1").partition("/")
        parts = ahead.setdefault(said["ce_id"], [])
        if len(parts) == int(place):
            parts.append(record.value or b"")
        if len(parts) == int(count):
            yield _request(said, b"".join(ahead.pop(said["ce_id"])))


def _request(said: Mapping[str, str], body: bytes) -> Request:
    received = datetime.fromisoformat(said["ce_time"])
    asked = orjson.loads(said["ce_request"])
    return Request(asked["method"], asked["headers"], asked.get("query", ""), body, received)
