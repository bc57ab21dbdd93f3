"""What every CRM that can be asked has in common.

What is made of its answers carries the CRM's own times and ids, so that to be told twice, or by webhook and by API,
changes nothing. Ids begin with `api/`: no webhook's do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

import httpx

from services.enricher.gaps import ALL
from shared.connectors.base.api_client import Client
from shared.connectors.base.api_settings import ApiSettings
from shared.connectors.base.json_source import fields_of
from shared.connectors.base.source import Invalid, InvalidField, Parsed, Source, raw
from shared.contracts.stages import StageData

Record = dict[str, Any]


class Page(NamedTuple):
    """Some deals of a walk, and how far it has come with them.

    `reached`: everything that changed before this time was listed. `place`: where a walk through all deals goes on.
    """

    said: list[Parsed]
    deals: int
    reached: datetime | None = None
    place: str = ""


class CrmApi(ABC):
    """One CRM's API. All methods raise AwayError or RefusedError; a record that cannot be read costs only itself."""

    kind: ClassVar[str] = ""
    settings_type: ClassVar[type[ApiSettings]] = ApiSettings
    # What must have been said of a deal, lest it is asked for.
    needs: ClassVar[int] = ALL
    # How many deals `read` takes together.
    at_once: ClassVar[int] = 10

    def __init__(self, source: Source, api: ApiSettings, client: Client) -> None:
        self.source, self.api, self.client = source, api, client

    @staticmethod
    @abstractmethod
    def auth(api: ApiSettings, token: str) -> httpx.Auth:
        """How a request shows who asks."""

    @staticmethod
    def passing(response: httpx.Response) -> bool:
        """Whether a refusal only means: later."""
        return False

    @abstractmethod
    async def read(self, deals: Sequence[str]) -> dict[str, list[Parsed]]:
        """What the CRM tells of these deals, with their history. One that it does not know is left out."""

    @abstractmethod
    def changed(self, since: datetime) -> AsyncIterator[Page]:
        """Deals that changed, or were deleted, at or after a time; in order of `reached`."""

    @abstractmethod
    def all(self, since: datetime, place: str) -> AsyncIterator[Page]:
        """Every deal that was open at some time at or after `since`, from a place on; empty: from the beginning."""

    @abstractmethod
    async def stages(self) -> list[StageData]:
        """What stages and pipelines are called, and where they stand."""


def told_of(record: Record, read: Callable[[Record], Iterable[Parsed]]) -> list[Parsed]:
    """What one record says; a fault in it goes to the dead letters with the record."""
    try:
        return list(read(record))
    except InvalidField as error:
        return [fault_of(record, error)]


def records_of(document: Any, field: str) -> list[Record]:
    """The list of objects in an answer."""
    found = fields_of(document, "answer").get(field)
    return [fields_of(one, field) for one in found] if isinstance(found, list) else []


def fault_of(record: Record, error: InvalidField) -> Invalid:
    """A record that cannot be read."""
    return Invalid(str(error), raw(record))
