"""The interface of a CRM's API, for the enricher.

Facts carry the CRM's own times and ids, so reading a deal twice, or by webhook and API, changes nothing. Ids begin with
`api/`, which no webhook's ids do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

import httpx

from shared.connectors.base.api_client import ApiClient
from shared.connectors.base.deal_parts import ALL_PARTS
from shared.connectors.base.facts import Invalid, Parsed
from shared.connectors.base.fields import InvalidField, object_of
from shared.connectors.base.quota import Quota
from shared.connectors.base.settings import ApiSettings
from shared.connectors.base.source import Source
from shared.contracts.envelope import compact
from shared.contracts.stages import StageData

Record = dict[str, Any]


class Page(NamedTuple):
    """Facts of one page of deals, and how far the listing has come.

    `reached`: every change before this time has been listed. `cursor`: where a listing of all deals continues.
    """

    parsed: list[Parsed]
    deals: int
    reached: datetime | None = None
    cursor: str = ""


class CrmApi(ABC):
    """One CRM's API. All methods raise CrmUnavailable or CrmRejected; an unreadable record costs only itself."""

    kind: ClassVar[str] = ""
    settings_type: ClassVar[type[ApiSettings]] = ApiSettings
    # Parts required before we stop fetching a deal.
    required_parts: ClassVar[int] = ALL_PARTS
    # How many deals to pass to one `read`.
    batch_size: ClassVar[int] = 10

    def __init__(self, source: Source, api: ApiSettings, client: ApiClient) -> None:
        self.source, self.api, self.client = source, api, client

    @staticmethod
    @abstractmethod
    def auth(api: ApiSettings, token: str) -> httpx.Auth:
        """How requests authenticate."""

    @staticmethod
    def is_transient(response: httpx.Response) -> bool:
        """Whether a rejection is only temporary."""
        return False

    @staticmethod
    def quota(headers: Mapping[str, str]) -> Quota | None:
        """How many requests the CRM still allows today, as an answer says; None where it does not say.

        `headers` are found in any case.
        """
        return None

    @abstractmethod
    async def read(self, deals: Sequence[str]) -> dict[str, list[Parsed]]:
        """The facts of these deals, with their history. Omits deals that the CRM does not know."""

    @abstractmethod
    def changed(self, since: datetime) -> AsyncIterator[Page]:
        """Deals changed or deleted at or after a time, ordered by `reached`."""

    @abstractmethod
    def all(self, since: datetime, cursor: str) -> AsyncIterator[Page]:
        """Every deal open at some time at or after `since`, from a cursor on; an empty cursor: from the beginning."""

    @abstractmethod
    async def stages(self) -> list[StageData]:
        """Names, order and outcomes of stages and pipelines."""


def whole(written: str) -> int | None:
    """A whole number as a header writes it; None for anything else."""
    return int(written) if written.isascii() and written.isdigit() and len(written) <= 12 else None


def parse_record(record: Record, parse: Callable[[Record], Iterable[Parsed]]) -> list[Parsed]:
    """The facts of one record; if a field is invalid, the whole record is a dead letter."""
    try:
        return list(parse(record))
    except InvalidField as error:
        return [invalid_record(record, error)]


def records_of(document: Any, field: str) -> list[Record]:
    """The list of objects in a response."""
    found = object_of(document, "response").get(field)
    return [object_of(one, field) for one in found] if isinstance(found, list) else []


def invalid_record(record: Record, error: InvalidField) -> Invalid:
    """The dead letter of a record."""
    return Invalid(str(error), compact(record))
