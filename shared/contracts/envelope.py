"""CloudEvents 1.0 in structured JSON mode: the one form of every message.

Source: CloudEvents 1.0.2, JSON event format. Readers ignore attributes they do not know.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar
from uuid import uuid4

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

Data = TypeVar("Data")


def iso(moment: datetime) -> str:
    """`2011-09-30T22:38:44.880000Z`: UTC, always six digits, so that text order is time order."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    # orjson writes it in a quarter of isoformat's time, but leaves out a fraction of zero.
    text = orjson.dumps(utc, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return text if utc.microsecond else f"{text[:-1]}.000000Z"


def compact(value: Any) -> bytes:
    """A value as JSON in no more memory than it needs, for what waits in numbers.

    orjson leaves the bytes that it gives in the buffer that it wrote them in, of four KiB or more.
    """
    return bytes(memoryview(orjson.dumps(value)))


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character, which cannot be stored; send the text without it")
    return text


def _indexed(text: str) -> str:
    # So short, it cannot have more bytes.
    if 4 * len(text) > INDEXED_BYTES and len(text.encode()) > INDEXED_BYTES:
        raise ValueError(
            f"is longer than {INDEXED_BYTES} bytes in UTF-8, which cannot be found again; send a shorter one"
        )
    return _no_nul(text)


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside of the years 1 to 9999 in UTC; mend the time or its offset") from None


def _can_be_counted_from(moment: datetime) -> datetime:
    """Days are counted and drawn from these instants, in any zone: both ends of the calendar are too near its edge."""
    if not EARLIEST_YEAR <= moment.year < LATEST_YEAR:
        raise ValueError(f"lies outside of the years {EARLIEST_YEAR} to {LATEST_YEAR - 1}; mend the sender's clock")
    return moment


EARLIEST_YEAR, LATEST_YEAR = 1970, 9999
# Two names of so many bytes, and a time, have room in a row of an index of Postgres.
INDEXED_BYTES = 1300
_WRITTEN = PlainSerializer(iso, return_type=str, when_used="json")
AnyMoment = Annotated[AwareDatetime, AfterValidator(_to_utc), _WRITTEN]
Moment = Annotated[AwareDatetime, AfterValidator(_to_utc), AfterValidator(_can_be_counted_from), _WRITTEN]
Words = Annotated[str, AfterValidator(_no_nul)]
# What Postgres keeps as int and bigint, and JSON as a number.
Count = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Decimal = Annotated[str, StringConstraints(pattern=r"^-?\d{1,30}(\.\d{1,12})?$")]
Text = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_no_nul)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_no_nul)]
# A name that stands in an index beside another one.
Indexed = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_indexed)]


class Message(BaseModel):
    """Base of everything that is read from or written to a topic."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Envelope(Message, Generic[Data]):
    """One CloudEvent. `(source, id)` identifies it; `time` is when it became true."""

    specversion: Literal["1.0"] = "1.0"
    id: Name
    source: Name
    type: Name
    subject: Name
    time: Moment
    receivedat: Moment | None = None
    dataversion: int = 1
    data: Data

    @classmethod
    def new(cls, *, source: str, subject: str, time: datetime, data: Data, **attributes: str) -> Self:
        """A new event under a random id. `attributes` sets others, such as a `type` that has no default."""
        return cls(id=uuid4().hex, source=source, subject=subject, time=time, data=data, **attributes)

    def to_json(self) -> bytes:
        """The message as it goes on the wire. Fields that were never set are left out: absent says nothing."""
        return self.model_dump_json(exclude=self._unsaid()).encode()

    def _unsaid(self) -> dict[str, Any]:
        """What was not said: fields of `data` that were never set, and an absent `receivedat`."""
        unsaid: dict[str, Any] = {"receivedat": True} if self.receivedat is None else {}
        if isinstance(self.data, SparseData):
            unsaid["data"] = set(type(self.data).model_fields) - self.data.model_fields_set
        return unsaid


class SparseData(Message):
    """Data in which an absent field says nothing, while null takes a value back."""
