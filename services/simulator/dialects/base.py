"""A dialect: how one CRM writes changes of deals as webhooks, and how it signs them."""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from services.simulator.company import PIPELINES
from services.simulator.model import DealChange

_CLOSED = {p.won: "won" for p in PIPELINES} | {p.lost: "lost" for p in PIPELINES}


@dataclass(frozen=True)
class Webhook:
    """One request: the body, and the headers and query string that authenticate it."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""


@dataclass(frozen=True)
class SimulatedDeal:
    """The state of a deal after a change.

    `stage` is the last open stage, `stage_or_outcome` the current one, including the won and lost stages.
    """

    id: int
    pipeline: str = ""
    stage: str = ""
    stage_or_outcome: str = ""
    status: str = "open"
    name: str = ""
    amount: str = ""
    expected_close: datetime | None = None
    created_at: datetime | None = None
    entered_at: datetime | None = None

    def after(self, change: DealChange) -> SimulatedDeal:
        """The state after the next change."""
        properties, new = change.properties, dict[str, Any]()
        for field_name, name in (("pipeline", "pipeline"), ("name", "dealname"), ("amount", "amount")):
            if name in properties:
                new[field_name] = properties[name]
        if "closedate" in properties:
            new["expected_close"] = datetime.fromtimestamp(int(properties["closedate"]) / 1000, UTC)
        if "dealstage" in properties:
            stage = properties["dealstage"]
            new |= {"stage_or_outcome": stage, "status": _CLOSED.get(stage, "open")}
            if new["status"] == "open":
                new |= {"stage": stage, "entered_at": change.time}
        if change.created:
            new["created_at"] = change.time
        return replace(self, **new)


class Dialect(ABC):
    """Turns changes of deals, in order, into webhooks.

    `settings` are the fields that a source of this kind needs in the sources file to accept them.
    """

    kind: ClassVar[str]
    secret: ClassVar[str] = "the-secret-of-the-simulated-crm"  # noqa: S105 (nobody's)
    settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, secret: str | None = None, url: str = "https://hooks.example.org/v1/ingest/crm") -> None:
        self.key, self.url = secret or self.secret, url
        self._deals: dict[int, SimulatedDeal] = {}
        self.count = 0

    def webhooks(self, change: DealChange) -> Iterator[Webhook]:
        """The requests for one change, signed as of its time."""
        for document in self.documents(change):
            yield self.sign(self.body(document), change.time)

    def documents(self, change: DealChange) -> Iterator[Any]:
        """The documents for one change; call it in order, since it remembers the state of every deal."""
        before = self._deals.get(change.deal, SimulatedDeal(change.deal))
        deal = self._deals[change.deal] = before.after(change)
        self.count += 1
        return self.describe(change, before, deal)

    def history(self, changes: Iterable[DealChange]) -> Iterator[Any]:
        """The documents for all changes of a history, in order; some CRMs put several changes into one request."""
        return (document for change in changes for document in self.documents(change))

    def live(self, change: DealChange, number: int) -> Iterator[Any]:
        """The documents for a change after the history; `number` counts these from 0, across restarts."""
        return self.documents(change)

    def restore(self, past: Iterable[DealChange]) -> None:
        """Restore the deals after a restart: most CRMs send whole deals, not only what changed."""
        if self.count == 0:
            for change in past:
                deque(self.documents(change), maxlen=0)

    @abstractmethod
    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        """The documents for a change from `before` to `deal`, not yet encoded."""

    def body(self, document: Any, attempt: int = 0) -> bytes:
        """The encoded document; some CRMs include the number of the attempt."""
        return orjson.dumps(document)

    @abstractmethod
    def sign(self, body: bytes, now: datetime) -> Webhook:
        """The request, authenticated as this CRM does."""


def hex_hmac(key: bytes, message: bytes) -> str:
    return hmac.digest(key, message, hashlib.sha256).hex()


def z(moment: datetime) -> str:
    """`2026-03-10T09:00:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def naive(moment: datetime, timespec: str = "seconds") -> str:
    """`2026-03-10 09:00:00`: UTC, without an offset."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", timespec)


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
