"""How a CRM tells what happens: one module for each, all of one shape, signed as that CRM signs."""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from services.simulator.company import PIPELINES
from services.simulator.model import Happening

CURRENCY = "EUR"
_CLOSED = {p.won: "won" for p in PIPELINES} | {p.lost: "lost" for p in PIPELINES}


@dataclass(frozen=True)
class Webhook:
    """One request, unsigned where `headers` are those of the content alone."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""


@dataclass(frozen=True)
class SimulatedDeal:
    """How a deal stands after a happening. `stage` is the last open one, `told` the stage as it was told."""

    id: int
    pipeline: str = ""
    stage: str = ""
    told: str = ""
    status: str = "open"
    name: str = ""
    amount: str = ""
    close: datetime | None = None
    made: datetime | None = None
    entered: datetime | None = None

    def after(self, happening: Happening) -> SimulatedDeal:
        said, changes = happening.properties, dict[str, Any]()
        for ours, theirs in (("pipeline", "pipeline"), ("name", "dealname"), ("amount", "amount")):
            if theirs in said:
                changes[ours] = said[theirs]
        if "closedate" in said:
            changes["close"] = datetime.fromtimestamp(int(said["closedate"]) / 1000, UTC)
        if "dealstage" in said:
            changes |= {"told": said["dealstage"], "status": _CLOSED.get(said["dealstage"], "open")}
            if changes["status"] == "open":
                changes |= {"stage": said["dealstage"], "entered": happening.time}
        if happening.created:
            changes["made"] = happening.time
        return replace(self, **changes)


class Dialect(ABC):
    """Tells happenings in order. `settings` is what a source of this kind needs to understand it."""

    kind: ClassVar[str]
    secret: ClassVar[str] = "the-secret-of-the-simulated-crm"  # noqa: S105 (nobody's)
    settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, secret: str | None = None, url: str = "https://hooks.example.org/v1/ingest/crm") -> None:
        self.key, self.url = secret or self.secret, url
        self._deals: dict[int, SimulatedDeal] = {}
        self.count = 0

    def tell(self, happening: Happening) -> Iterator[Webhook]:
        """The requests of one happening, signed as of its time."""
        for document in self.say(happening):
            yield self.signed(self.body(document), happening.time)

    def say(self, happening: Happening) -> Iterator[Any]:
        """What is said of a happening. In order: what a deal was before is remembered."""
        before = self._deals.get(happening.deal, SimulatedDeal(happening.deal))
        deal = self._deals[happening.deal] = before.after(happening)
        self.count += 1
        return self.documents(happening, before, deal)

    @abstractmethod
    def documents(self, happening: Happening, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        """What is said, not yet bytes."""

    def body(self, document: Any, attempt: int = 0) -> bytes:
        """The bytes; some CRMs count their attempts in them."""
        return orjson.dumps(document)

    @abstractmethod
    def signed(self, body: bytes, now: datetime) -> Webhook:
        """The request with what shows who sent it."""


def hex_hmac(key: bytes, message: bytes) -> str:
    return hmac.digest(key, message, hashlib.sha256).hex()


def z(moment: datetime) -> str:
    """`2026-03-10T09:00:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def naive(moment: datetime, timespec: str = "seconds") -> str:
    """`2026-03-10 09:00:00`, UTC without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", timespec)


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
