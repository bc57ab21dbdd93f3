"""A CRM's API as its vendor documents it, on loopback: fed with happenings; it can limit, fail, refuse, be slow."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from services.demo.ports import free_port
from services.simulator.dialects.base import SimulatedDeal
from services.simulator.model import DealChange
from tests.support.http_server import TestServer


@dataclass(frozen=True)
class Trouble:
    """An answer that is given instead of the right one."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    text: str = "not now"


@dataclass
class FakeDeal:
    """One deal: its state, and its changes as (when, before, after)."""

    deal: SimulatedDeal
    changes: list[tuple[datetime, SimulatedDeal, SimulatedDeal]] = field(default_factory=list)
    gone: datetime | None = None

    @property
    def modified(self) -> datetime:
        return self.gone or self.changes[-1][0]


class FakeCrm(ABC):
    """`troubles`: the next answers. `asked`: the requests so far, as method and path."""

    kind: ClassVar[str]
    token: ClassVar[str] = "the-token-of-the-api"

    def __init__(self) -> None:
        self.port = free_port()
        self.deals: dict[int, FakeDeal] = {}
        self.troubles: list[Trouble] = []
        self.asked: list[str] = []
        self.allowed = True
        # Smaller pages and slower answers than requested.
        self.page: int | None = None
        self.slow = 0.0
        # What is wrong with the records of some deals.
        self.broken: dict[int, dict[str, Any]] = {}
        # What happens before each right answer.
        self.meanwhile: Callable[[], None] = lambda: None
        self._server: TestServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> dict[str, Any]:
        """The block `api` of a source that asks this CRM."""
        return {"token": self.token, "url": self.url, "per_second": 1000}

    def take(self, happenings: Iterable[DealChange]) -> None:
        """Something became true of deals."""
        for happening in happenings:
            kept = self.deals.setdefault(happening.deal, FakeDeal(SimulatedDeal(happening.deal)))
            before, kept.deal = kept.deal, kept.deal.after(happening)
            kept.changes.append((happening.time, before, kept.deal))

    def number(self, deal: int) -> str:
        """The CRM's id of a deal."""
        return str(deal)

    def touch(self, deal: int, at: datetime) -> None:
        """A change that no history shows."""
        kept = self.deals[deal]
        kept.changes.append((at, kept.deal, kept.deal))

    def delete(self, deal: int, at: datetime) -> None:
        self.deals[deal].gone = at

    @abstractmethod
    def routes(self) -> list[BaseRoute]:
        """What is answered."""

    @abstractmethod
    def knows(self, request: Request) -> bool:
        """Whether the request shows the right credentials."""

    def start(self) -> None:
        application = Starlette(routes=self.routes())
        guarded = _Guarded(self, application)
        config = uvicorn.Config(guarded, host="127.0.0.1", port=self.port, log_level="warning", lifespan="off")
        self._server = TestServer(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        """Unavailable: refuses connections until the next start."""
        if self._server is not None and self._thread is not None:
            self._server.end()
            self._thread.join(10)
            self._server = self._thread = None


class _Guarded:
    """Credentials and troubles come before the right answer."""

    def __init__(self, crm: FakeCrm, application: Starlette) -> None:
        self._crm, self._application = crm, application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self._crm.asked.append(f"{request.method} {request.url.path}")
        await asyncio.sleep(self._crm.slow)
        if self._crm.troubles:
            trouble = self._crm.troubles.pop(0)
            await asyncio.sleep(trouble.seconds)
            answer: Any = Response(trouble.text, trouble.status, trouble.headers)
        elif not self._crm.allowed or not self._crm.knows(request):
            answer = JSONResponse({"message": "credentials are not right"}, 401)
        else:
            self._crm.meanwhile()
            answer = self._application
        await answer(scope, receive, send)


def z(moment: datetime) -> str:
    """`2026-03-10T09:00:00.123Z`."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
