"""CloudEvents 1.0 in structured JSON mode: the form of every message.

Source: CloudEvents 1.0.2, JSON event format. Readers ignore unknown attributes.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, cast
from uuid import uuid4

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from shared.traceparent import TRACEPARENT

Data = TypeVar("Data")


def iso(moment: datetime) -> str:
    """`2011-09-30T22:38:44.880000Z`: UTC, always six digits, so that text order is time order."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    # Four times as fast as isoformat, but orjson omits a fraction of zero.
    text = orjson.dumps(utc, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return text if utc.microsecond else f"{text[:-1]}.000000Z"


def compact(value: Any) -> bytes:
    """A value as JSON in exactly as much memory as it needs, for values that are kept in large numbers.

    The bytes that orjson returns keep their whole write buffer, of four KiB or more.
    """
    return bytes(memoryview(orjson.dumps(value)))


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character, which cannot be stored; send the text without it")
    return text


def _indexed(text: str) -> str:
    # A character has at most four bytes: most texts need not be encoded.
    if 4 * len(text) > INDEXED_BYTES and len(text.encode()) > INDEXED_BYTES:
        raise ValueError(f"is longer than {INDEXED_BYTES} bytes in UTF-8, too long for an index; send a shorter one")
    return _no_nul(text)


def _any_moment(value: Any, read: ValidatorFunctionWrapHandler) -> datetime:
    """One function in place of one for each check: every call from pydantic costs, and every event has a time."""
    if isinstance(value, str):
        if _AS_WRITTEN.fullmatch(value):
            try:
                # As pydantic reads it, at half the cost: the result is in UTC already.
                return datetime.fromisoformat(value)
            except ValueError:
                # A leap second, or no instant at all.
                pass
        if ":60" in value:
            return _to_utc(_leap_second(value, read))
    return _to_utc(read(value))


def _moment(value: Any, read: ValidatorFunctionWrapHandler) -> datetime:
    """Reject the ends of the calendar: days are counted from these instants, in any time zone."""
    moment = _any_moment(value, read)
    if not EARLIEST_YEAR <= moment.year < LATEST_YEAR:
        raise ValueError(f"is outside the years {EARLIEST_YEAR} to {LATEST_YEAR - 1}; correct the sender's clock")
    return moment


def _leap_second(value: str, read: ValidatorFunctionWrapHandler) -> datetime:
    """A leap second, which RFC 3339 has and Python has not, is the last instant of its minute."""
    utc = _to_utc(read(_LEAP_SECOND.sub(r"\1:59.999999", value)))
    # They occur only at the end of a UTC day.
    return utc if (utc.hour, utc.minute) == (23, 59) else cast("datetime", read(value))


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999 in UTC; correct the time or its offset") from None


EARLIEST_YEAR, LATEST_YEAR = 1970, 9999
# Two names of this length and a time fit into one index entry of Postgres.
INDEXED_BYTES = 1300
# What `iso` writes.
_AS_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_LEAP_SECOND = re.compile(r"(?<=\d)([Tt ]\d\d:\d\d):60(?:\.\d+)?(?=[Zz+-]|$)")
_WRITTEN = PlainSerializer(iso, return_type=str, when_used="json")
AnyMoment = Annotated[AwareDatetime, WrapValidator(_any_moment), _WRITTEN]
Moment = Annotated[AwareDatetime, WrapValidator(_moment), _WRITTEN]
Words = Annotated[str, AfterValidator(_no_nul)]
# `int` and `bigint` of Postgres.
Count = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Decimal = Annotated[str, StringConstraints(pattern=r"^-?\d{1,30}(\.\d{1,12})?$")]
Text = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_no_nul)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_no_nul)]
OptionalName = Annotated[str, StringConstraints(max_length=400), AfterValidator(_no_nul)]
# A name that shares an index entry with another one.
Indexed = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_indexed)]


def content_id(*parts: object) -> str:
    """The id of a message from its content, so that a message published again, as after a restore, has the same id.

    If the same content may occur twice, such as a value that changes and changes back, add a number.
    """
    return hashlib.sha256(orjson.dumps([str(part) for part in parts])).hexdigest()[:32]


class Message(BaseModel):
    """Base of everything on a topic."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)


class Envelope(Message, Generic[Data]):
    """One CloudEvent. `(source, id)` identifies it; `time` is when it became true.

    `traceparent`: of the trace that it belongs to (CloudEvents extension "Distributed Tracing"); None: of none.
    """

    specversion: Literal["1.0"] = "1.0"
    id: Name
    source: Name
    type: Name
    subject: Name
    time: Moment
    receivedat: Moment | None = None
    traceparent: str | None = None
    dataversion: int = 1
    data: Data

    @classmethod
    def new(cls, *, source: str, subject: str, time: datetime, data: Data, **attributes: str) -> Self:
        """A new event. `attributes` sets others: a `type` that has no default, an `id` in place of a random one."""
        return cls(**{"id": uuid4().hex} | attributes, source=source, subject=subject, time=time, data=data)

    def with_data(self, subject: str, data: Data) -> Self:
        """A new event like this one, with other data. Checks nothing again, at half the cost: only for our own data."""
        return self.model_copy(update={"id": uuid4().hex, "subject": subject, "data": data})

    def to_json(self) -> bytes:
        """The message as published. Fields that were never set are omitted, as an absent field means "not known"."""
        trace = TRACEPARENT.get()
        if trace is not None and self.traceparent is None:
            return self.model_copy(update={"traceparent": trace}).to_json()
        return self.model_dump_json(exclude=self._unset()).encode()

    def _unset(self) -> dict[str, Any]:
        """What to omit: fields of `data` that were never set, and attributes that are empty."""
        unset: dict[str, Any] = {"receivedat": True} if self.receivedat is None else {}
        if self.traceparent is None:
            unset["traceparent"] = True
        if isinstance(self.data, SparseData):
            unset["data"] = set(type(self.data).model_fields) - self.data.model_fields_set
        return unset


class SparseData(Message):
    """Data in which an absent field means "not known", and null clears a value."""
