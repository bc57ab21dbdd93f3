"""Posts webhooks like a CRM: retries until they are accepted, and signs every attempt again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx

from services.simulator.dialects import DIALECTS, Dialect

CONCURRENT_REQUESTS = 4


class PostRejected(Exception):
    """The receiver rejects a webhook for a reason that no retry can change."""


class Poster:
    """Posts to one URL in one dialect."""

    def __init__(self, client: httpx.AsyncClient, url: str, dialect: Dialect) -> None:
        self._client, self._url, self.dialect = client, url, dialect

    async def post(self, document: Any) -> None:
        """Post until it is accepted; raises PostRejected if the receiver rejects it for good."""
        for attempt in range(10_000):
            webhook = self.dialect.sign(self.dialect.body(document, attempt), datetime.now(UTC))
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
    """`public_url` is the receiver's address as the CRM knows it, where it differs from `url`: some CRMs sign it."""
    async with httpx.AsyncClient(timeout=15) as client:
        yield Poster(client, url, DIALECTS[kind](secret, public_url or url))


async def post_all(to: Poster, documents: Iterable[Any], show: Callable[[int], None]) -> int:
    """Post all documents, a few at a time; the number of events in them (an array holds several)."""
    rest, posted = iter(documents), 0
    while batch := list(islice(rest, CONCURRENT_REQUESTS)):
        await asyncio.gather(*(to.post(document) for document in batch))
        posted += sum(len(document) if isinstance(document, list) else 1 for document in batch)
        show(posted)
    return posted
