"""Explains a saved request: what was seen, whether it is genuine, what would be understood of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from shared.connectors.base.canonical import translated
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    Invalid,
    Request,
    Source,
    StageFact,
    Unauthenticated,
    moment_of_text,
)
from shared.contracts.envelope import iso

_HIDDEN = ("authorization", "cookie", "x-andon-key", "x-webhook-key")
_LONGEST = 100


def saved(raw: bytes, now: datetime) -> Request:
    """A request as text: an optional request line, headers, an empty line, the body. Raises ValueError.

    The time at which it came is `now`, unless a header `X-Received-At` (ISO 8601) tells when that was.
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
            raise ValueError(f"{line[:60]!r} is no header; write name: value")
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    came = headers.pop("x-received-at", None)
    received = moment_of_text(came, "header X-Received-At") if came else now
    return Request(method, headers, target.partition("?")[2], body, received)


def explained(source: Source, request: Request) -> Iterator[str]:
    """Line by line, for people."""
    yield f"source {source.name}, kind {source.kind}: {request.method}, {len(request.body)} bytes"
    for name, value in request.headers.items():
        yield f"  header {name}: {'(hidden)' if name in _HIDDEN else value[:_LONGEST]}"
    names = ", ".join(request.query) or "none"
    yield f"  in the address after '?': {names}"
    if source.challenge(request) is not None:
        yield "taken: a question at set-up, which is answered"
        return
    try:
        source.verify(request)
    except Unauthenticated as error:
        yield f"refused with {error.status} ({error.reason.value}): {error}"
        if error.reason.value == "old-timestamp":
            yield "  a saved request grows old; add a line X-Received-At with the time at which it came"
        return
    yield "genuine"
    yield from understood(source, request)


def understood(source: Source, request: Request) -> Iterator[str]:
    """What a genuine request says, line by line."""
    for one in source.translate(request):
        match one:
            case DealFact():
                yield f"  {_sentence(one)}"
            case StageFact():
                yield f"  {_description(one)}"
            case Ignored():
                yield f"  ignored: {one.reason}"
            case Invalid():
                yield f"  not understood ({one.reason.value}), kept in the dead letters: {one.detail}"
    result = translated(source.name, source.translate(request), request.received_at, "")
    events = "1 event" if result.accepted == 1 else f"{result.accepted} events"
    described = (
        "1 description of a stage, " if result.described == 1 else f"{result.described} descriptions of stages, "
    )
    described = described if result.described else ""
    yield f"{events}, {described}{result.ignored} ignored, {len(result.unclear)} to the dead letters"


def _description(told: StageFact) -> str:
    named = " of ".join(f"{part} {told.data[part]}" for part in ("stage", "pipeline") if part in told.data)
    others = ", ".join(f"{name} {value}" for name, value in told.data.items() if name not in ("stage", "pipeline"))
    return f"{named} is described: {others}"


def _sentence(told: DealFact) -> str:
    what = told.type.value.rpartition(".")[2]
    stage = f" to stage {told.data['stage']}" if told.data.get("stage") else ""
    others = ", ".join(f"{name} {value}" for name, value in told.data.items() if name not in ("stage", "url"))
    return f"deal {told.deal} {what}{stage} at {iso(told.time)}" + (f" ({others})" if others else "")
