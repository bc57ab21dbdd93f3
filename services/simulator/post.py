"""Posts webhooks as a CRM does: signed anew for each attempt, and again until they were taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx

from services.simulator.dialects import DIALECTS, Dialect

AT_ONCE, TOGETHER = 100, 4


class PostRejected(Exception):
    """The receiver will not take what is posted, however often it is tried."""


class Poster:
    """One sender that speaks one dialect."""

    def __init__(self, client: httpx.AsyncClient, url: str, dialect: Dialect) -> None:
        self._client, self._url, self.dialect = client, url, dialect

    async def post(self, document: Any) -> None:
        """Until it is taken; raises PostRejected when that will never be."""
        for attempt in range(10_000):
            webhook = self.dialect.signed(self.dialect.body(document, attempt), datetime.now(UTC))
            url = f"{self._url}?{webhook.query}" if webhook.query else self._url
            headers = {"Content-Type": "application/json", **webhook.headers}
            try:
                answer = await self._client.post(url, content=webhook.body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(min(5.0, 0.2 * 2 ** min(attempt, 5)))
                continue
            if answer.is_success:
                return
            if answer.status_code in (429, 503):
                await asyncio.sleep(min(5.0, float(answer.headers.get("retry-after", "1"))))
                continue
            raise PostRejected(f"{self._url} answered {answer.status_code}: {answer.text[:300]}")


@asynccontextmanager
async def poster(url: str, secret: str, public_url: str | None = None, kind: str = "hubspot") -> AsyncIterator[Poster]:
    """`public_url` is what the receiver knows itself by; some sign it."""
    async with httpx.AsyncClient(timeout=15) as client:
        yield Poster(client, url, DIALECTS[kind](secret, public_url or url))


def arrays(events: Iterable[Any]) -> Iterator[list[Any]]:
    """Events as they go together in one request."""
    rest = iter(events)
    while array := list(islice(rest, AT_ONCE)):
        yield array


async def post_all(to: Poster, documents: Iterable[Any], show: Callable[[int], None]) -> int:
    """Everything, a few requests at a time; how many events (those of an array are counted)."""
    rest, posted = iter(documents), 0
    while some := list(islice(rest, TOGETHER)):
        await asyncio.gather(*(to.post(document) for document in some))
        posted += sum(len(document) if isinstance(document, list) else 1 for document in some)
        show(posted)
    return posted
