"""Explains a saved request: what it contains, whether it is genuine, which facts it gives."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from shared.connectors.base.facts import DealFact, Ignored, Invalid, Parsed, StageFact, UnreadableField
from shared.connectors.base.fields import time_of
from shared.connectors.base.messages import to_messages, translate_request
from shared.connectors.base.source import Request, Source, Unauthenticated
from shared.contracts.envelope import iso

_HIDDEN_HEADERS = ("authorization", "cookie", "x-andon-key", "x-webhook-key")
_MAX_VALUE_LENGTH = 100


def parse_saved_request(raw: bytes, now: datetime) -> Request:
    """A request as text: an optional request line, headers, an empty line, the body. Raises ValueError.

    It counts as received `now`, or at the time of a header `X-Received-At` (RFC 3339).
    """
    normal = raw.replace(b"\r\n\r\n", b"\n\n", 1)
    head, separator, body = normal.partition(b"\n\n")
    if not separator:
        raise ValueError("no empty line between headers and body; save the headers, an empty line, then the body")
    lines = [line.strip() for line in head.decode("latin-1").splitlines() if line.strip()]
    method, target = "POST", ""
    if lines and ":" not in lines[0].partition(" ")[0]:
        method, _, rest = lines.pop(0).partition(" ")
        target = rest.partition(" ")[0]
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"{line[:60]!r} is not a header; write name: value")
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    received_at = headers.pop("x-received-at", None)
    received = time_of(received_at, "header X-Received-At") if received_at else now
    return Request(method, headers, target.partition("?")[2], body, received)


def explain(source: Source, request: Request) -> Iterator[str]:
    """Lines for a person."""
    yield f"source {source.name}, kind {source.kind}: {request.method}, {len(request.body)} bytes"
    for name, value in request.headers.items():
        yield f"  header {name}: {'(hidden)' if name in _HIDDEN_HEADERS else value[:_MAX_VALUE_LENGTH]}"
    names = ", ".join(request.query) or "none"
    yield f"  query parameters: {names}"
    if source.challenge(request) is not None:
        yield "accepted: a set-up challenge, which is answered"
        return
    try:
        source.verify(request)
    except Unauthenticated as error:
        yield f"refused with {error.status} ({error.reason.value}): {error}"
        if error.reason.value == "old-timestamp":
            yield "  a saved request expires; add a line X-Received-At with the time it was received"
        return
    yield "genuine"
    yield from explain_facts(source, request)


def explained(source: Source, request: Request) -> dict[str, Any]:
    """The same as a document for programs. Headers and query parameters are left out: they may hold secrets."""
    about = {"source": source.name, "kind": source.kind, "bytes": len(request.body)}
    if source.challenge(request) is not None:
        return about | {"result": "challenge"}
    try:
        source.verify(request)
    except Unauthenticated as error:
        refusal = {"status": error.status, "reason": error.reason.value, "detail": str(error)}
        return about | {"result": "refused"} | refusal
    parsed = translate_request(source, request)
    result = to_messages(source.name, parsed, request.received_at, "")
    counts = {"events": result.accepted, "stages": result.described, "ignored": result.ignored}
    counts["dead_letters"] = len(result.invalid)
    return about | {"result": "genuine", "counts": counts, "parts": [_part(part) for part in parsed]}


def _part(part: Parsed) -> dict[str, Any]:
    match part:
        case Ignored():
            return {"part": "ignored", "reason": part.reason}
        case Invalid():
            return {"part": "dead-letter", "reason": part.reason.value, "detail": part.detail}
    fields = part.data.items()
    data = {name: value for name, value in fields if not isinstance(value, UnreadableField)}
    left_out = {name: value.detail for name, value in fields if isinstance(value, UnreadableField)}
    known = {"time": iso(part.time), "data": data, "left_out": left_out}
    if isinstance(part, StageFact):
        return {"part": "stage", **known}
    return {"part": "event", "type": part.type.value, "id": part.id, "deal": part.deal, **known}


def is_refused(source: Source, request: Request) -> bool:
    """Whether intake refuses this request."""
    if source.challenge(request) is not None:
        return False
    try:
        source.verify(request)
    except Unauthenticated:
        return True
    return False


def explain_facts(source: Source, request: Request) -> Iterator[str]:
    """The facts of a genuine request, line by line, and a summary."""
    parsed = translate_request(source, request)
    for part in parsed:
        yield f"  {_line(part)}"
        if isinstance(part, DealFact | StageFact):
            yield from (
                f"    left out: {value.detail}" for value in part.data.values() if isinstance(value, UnreadableField)
            )
    result = to_messages(source.name, parsed, request.received_at, "")
    counts = [_count(result.accepted, "event", "events")]
    if result.described:
        counts.append(_count(result.described, "description of a stage", "descriptions of stages"))
    yield f"{', '.join(counts)}, {result.ignored} ignored, {len(result.invalid)} to the dead letters"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _line(part: Parsed) -> str:
    match part:
        case DealFact():
            return _deal_line(part)
        case StageFact():
            return _stage_line(part)
        case Ignored():
            return f"ignored: {part.reason}"
        case Invalid():
            return f"not understood ({part.reason.value}), stored in the dead letters: {part.detail}"


def _stage_line(fact: StageFact) -> str:
    key = " of ".join(f"{part} {fact.data[part]}" for part in ("stage", "pipeline") if part in fact.data)
    others = _others(fact.data, ("stage", "pipeline"))
    return f"{key} is described: {others}"


def _deal_line(fact: DealFact) -> str:
    event = fact.type.value.rpartition(".")[2]
    stage = f" to stage {fact.data['stage']}" if fact.data.get("stage") else ""
    others = _others(fact.data, ("stage", "url"))
    return f"deal {fact.deal} {event}{stage} at {iso(fact.time)}" + (f" ({others})" if others else "")


def _others(data: Mapping[str, Any], shown: Collection[str]) -> str:
    readable = {name: value for name, value in data.items() if not isinstance(value, UnreadableField)}
    return ", ".join(f"{name} {value}" for name, value in readable.items() if name not in shown)
