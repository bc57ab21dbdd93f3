"""Posts webhooks as HubSpot does: signed, at most 100 events at once, and again until they were taken."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import httpx
import orjson

AT_ONCE, TOGETHER = 100, 4


class RefusedError(Exception):
    """The receiver will not take what is posted, however often it is tried."""


class Poster:
    """One sender with one secret; `public_url` is what the receiver knows itself by, and is signed."""

    def __init__(self, client: httpx.AsyncClient, url: str, secret: str, public_url: str | None = None) -> None:
        self._client, self._url, self._secret = client, url, secret.encode()
        self._signed_head = f"POST{public_url or url}".encode()

    async def post(self, events: list[dict[str, Any]]) -> None:
        """Until it is taken; raises RefusedError when that will never be."""
        for attempt in range(10_000):
            body = orjson.dumps([event | {"attemptNumber": attempt} for event in events])
            try:
                answer = await self._client.post(self._url, content=body, headers=self._headers(body))
            except httpx.TransportError:
                await asyncio.sleep(min(5.0, 0.2 * 2 ** min(attempt, 5)))
                continue
            if answer.is_success:
                return
            if answer.status_code in (429, 503):
                await asyncio.sleep(min(5.0, float(answer.headers.get("retry-after", "1"))))
                continue
            raise RefusedError(f"{self._url} answered {answer.status_code}: {answer.text[:300]}")

    def _headers(self, body: bytes) -> dict[str, str]:
        stamp = str(int(time.time() * 1000))
        signature = hmac.digest(self._secret, self._signed_head + body + stamp.encode(), hashlib.sha256)
        return {
            "Content-Type": "application/json", "X-HubSpot-Request-Timestamp": stamp,
            "X-HubSpot-Signature-v3": base64.b64encode(signature).decode(),
        }  # fmt: skip


@asynccontextmanager
async def poster(url: str, secret: str, public_url: str | None = None) -> AsyncIterator[Poster]:
    async with httpx.AsyncClient(timeout=15) as client:
        yield Poster(client, url, secret, public_url)


async def post_all(to: Poster, events: Iterable[dict[str, Any]], show: Callable[[int], None]) -> int:
    """Everything, a few requests at a time; how many events."""
    rest, posted = iter(events), 0
    while True:
        arrays = [part for _ in range(TOGETHER) if (part := list(islice(rest, AT_ONCE)))]
        if not arrays:
            return posted
        await asyncio.gather(*(to.post(array) for array in arrays))
        posted += sum(map(len, arrays))
        show(posted)
