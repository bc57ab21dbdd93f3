"""What sources of JSON have in common: one document, its parts, its ways to show who sent it, its times."""

from __future__ import annotations

import base64
import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from shared.connectors.base.source import (
    DealFact,
    Invalid,
    InvalidField,
    Parsed,
    RefusalReason,
    Request,
    Source,
    StageFact,
    Unauthenticated,
    fits,
    json_of,
    raw,
    shown,
    unreadable,
)
from shared.contracts.envelope import iso
from shared.contracts.events import EventType

KEY_HEADER, KEY_QUERY = "x-andon-key", "key"
Read = Callable[[Any, str], Any]


class JsonSource(Source):
    """A source whose request is one JSON document; a fault in one part costs the other parts nothing."""

    def translate(self, request: Request) -> list[Parsed]:
        try:
            document = json_of(request.body)
        except InvalidField as error:
            return [unreadable(request.body, error)]
        said: list[Parsed] = []
        try:
            for part in self.parts(document):
                said += self._of(part, request, whole=part is document)
        except InvalidField as error:
            said.append(Invalid(str(error), self.kept(request)))
        return said

    def _of(self, part: Any, request: Request, whole: bool) -> list[Parsed]:
        try:
            return list(self.said(part, request))
        except InvalidField as error:
            return [Invalid(str(error), self.kept(request) if whole else raw(part))]

    def parts(self, document: Any) -> Iterable[Any]:
        """What is translated by itself; raises InvalidField."""
        return [document]

    @abstractmethod
    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        """What one part says; raises InvalidField."""


def verify_key(
    request: Request,
    secrets: Iterable[str],
    headers: Iterable[str] = (KEY_HEADER,),
    queries: Iterable[str] = (KEY_QUERY,),
) -> None:
    """For senders that cannot sign: a key in a header or in the address."""
    given = [value for name in headers if (value := request.headers.get(name))]
    query = request.query if request.query_string else {}
    given += [value for name in queries if (value := query.get(name))]
    if not given:
        raise Unauthenticated(
            RefusalReason.NO_SIGNATURE,
            f"no key: send it as header {' or '.join(headers)}, or at the address's end as {' or '.join(queries)}=",
        )
    if not fits([secret.encode() for secret in secrets], [value.encode() for value in given]):
        raise Unauthenticated(
            RefusalReason.WRONG_SIGNATURE, "the key is not one of this source; compare it with `secrets`"
        )


def verify_basic(request: Request, secrets: Iterable[str]) -> None:
    """HTTP Basic; each secret is `user:password` (the password may hold colons)."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated(
            RefusalReason.NO_SIGNATURE, "header authorization is missing; set user and password of the webhook"
        )
    right = [base64.b64encode(secret.encode()) for secret in secrets]
    if not fits(right, [given.strip().encode()]):
        raise Unauthenticated(
            RefusalReason.WRONG_SIGNATURE, "user and password do not fit; compare them with `secrets`, user:password"
        )


def blanked(body: bytes, secrets: Iterable[str], field: str) -> bytes:
    """A JSON body without secrets that its sender wrote into it, else byte for byte as it was.

    Where the sender writes characters in another way, the document is written anew without what stands in `field`.
    """
    for secret in secrets:
        for escaped in (True, False):
            body = body.replace(json.dumps(secret, ensure_ascii=escaped)[1:-1].encode(), b"")
    try:
        document = json_of(body)
    except InvalidField:
        return body
    if isinstance(document, dict) and document.get(field):
        return raw(document | {field: ""})
    return body


def named(value: Any, field: str) -> str:
    """What a message is about. One that does not say so has another form than we know: it is kept, not ignored."""
    if not isinstance(value, str) or not value:
        raise InvalidField(f"{field}: {shown(value)}; the kind of record is expected, the sender's form has changed")
    return value


def fields_of(value: Any, field: str) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise InvalidField(f"{field}: {shown(value)}; an object is expected")
    return value


def zoneless(value: Any, field: str) -> datetime:
    """A time without a zone that means UTC: `2026-03-10 09:00:00`, with T or not; an offset is honoured."""
    try:
        if not isinstance(value, str) or len(value) < 16:
            raise ValueError
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidField(f"{field}: {shown(value)} is no time; as 2026-03-10 09:00:00 is expected") from None


def instant(value: Any, field: str) -> str:
    """A time as it is kept."""
    return iso(zoneless(value, field))


def day_of(value: Any, field: str) -> str:
    """The day of a date, or of a time that begins with one."""
    try:
        if not isinstance(value, str):
            raise ValueError
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        raise InvalidField(f"{field}: {shown(value)} is no date; as 2026-04-30 is expected") from None


def order_of(value: Any, field: str) -> int:
    """The place of a stage among others."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1_000_000:
        raise InvalidField(f"{field}: {shown(value)} is no place in an order; an integer is expected")
    return value


def share_of(value: Any, field: str, whole: int = 1) -> float:
    """A probability, told as a part of `whole`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= whole:
        raise InvalidField(f"{field}: {shown(value)} is no probability; a number from 0 to {whole} is expected")
    return value / whole


def taken(data: Mapping[str, Any], fields: Mapping[str, tuple[str, Read]]) -> dict[str, Any]:
    """Our fields from theirs (their name, ours, how it is read), where they are there; null takes a value back."""
    return {
        ours: None if data[theirs] is None else read(data[theirs], theirs)
        for theirs, (ours, read) in fields.items()
        if theirs in data
    }


def standing(
    number: str, deal: str, time: datetime, status: str, data: dict[str, Any], created: bool = False
) -> list[Parsed]:
    """What a message says that tells how the whole deal stands: open in its stage, won, or lost.

    A message that was never delivered is mended by the next: staying in a stage again is no move.
    """
    events: list[Parsed] = []
    if created:
        events.append(DealFact(EventType.CREATED, number, deal, time, data))
    if status == "won":
        return [*events, DealFact(EventType.WON, f"{number}/won", deal, time, data)]
    if status == "lost":
        return [*events, DealFact(EventType.LOST, f"{number}/lost", deal, time, data)]
    if created:
        return events
    kind = EventType.MOVED if data.get("stage") else EventType.CHANGED
    return [DealFact(kind, number, deal, time, data)]


def beside(time: datetime, ids: Mapping[str, Any], **said: Any) -> list[StageFact]:
    """What a deal's message tells of its stage and pipeline, whose ids are in `ids`; None and what is no name is left
    out: it must not cost the deal its event.
    """
    place = {part: ids[part] for part in ("pipeline", "stage") if ids.get(part)}
    told = {
        field: value[:4000]
        for field, value in said.items()
        if isinstance(value, str) and value and "\x00" not in value
        if ("pipeline" if field == "pipeline_name" else "stage") in place
    }
    return [StageFact(time, place | told)] if told else []


def unnamed(request: Request, part: Any) -> str:
    """A number for what has none: its content and when it came. To be told the same twice is harmless."""
    digest = hashlib.sha256(raw(part)).hexdigest()[:32]
    return f"{digest}/{iso(request.received_at)}"
