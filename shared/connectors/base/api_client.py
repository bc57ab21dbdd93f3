"""Asks one CRM over HTTP: not faster than it allows, again after what passes, never again after what it refuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_before_delay, wait_random_exponential

from services.enricher.metrics import Answer, EnricherMetrics
from shared.connectors.base.api_settings import ApiSettings

LONGEST_REST = 3600.0
_BACKOFF = wait_random_exponential(multiplier=0.5, max=30)
_OF_CREDENTIALS = (401, 403)


class CrmUnavailable(Exception):
    """The CRM cannot be reached, is out of order, or wants us to come later: worth another try.

    `after`: seconds until then, where it said so.
    """

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


class CrmRejected(Exception):
    """The CRM will not answer this however often it is asked. `of_credentials`: nor anything else.

    `answer`: all that it said.
    """

    def __init__(self, status: int, text: str, answer: bytes = b"") -> None:
        super().__init__(f"{status}: {text}")
        self.status, self.of_credentials, self.answer = status, status in _OF_CREDENTIALS, answer


def explained(error: CrmUnavailable | CrmRejected, kind: str) -> str:
    """What it says to a person who asked, with the way out."""
    if isinstance(error, CrmUnavailable):
        return f"{error}; run it again when the CRM answers"
    if error.of_credentials:
        return f"{error}; mend `api` of the source, or what its token may do: docs/sources/{kind}.md"
    return str(error)


def rest_asked(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or as a date (RFC 9110, 10.2.3); None where it says neither."""
    written = headers.get("retry-after", "").strip()
    try:
        seconds = float(written)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(written) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(0.0, seconds), LONGEST_REST) if seconds == seconds else None


class Client:
    """One CRM's API. `passing` knows the refusals of this CRM that only mean: later."""

    def __init__(
        self,
        source: str,
        api: ApiSettings,
        auth: httpx.Auth,
        metrics: EnricherMetrics,
        give_up: float,
        passing: Callable[[httpx.Response], bool],
    ) -> None:
        self._source, self._metrics, self._give_up, self._passing = source, metrics, give_up, passing
        self._http = httpx.AsyncClient(base_url=api.url, auth=auth, timeout=api.timeout_seconds)
        burst = max(1.0, api.per_second)
        self._limiter = AsyncLimiter(burst, burst / api.per_second)
        self._resume = 0.0

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, **params: Any) -> Any:
        """The document at a path; raises CrmUnavailable or CrmRejected. Parameters that are None are left out."""
        return await self._ask("GET", path, params={name: v for name, v in params.items() if v is not None})

    async def post(self, path: str, document: Any, **params: Any) -> Any:
        """The answer to a document; raises CrmUnavailable or CrmRejected."""
        return await self._ask("POST", path, params=params, json=document)

    async def _ask(self, method: str, path: str, **parts: Any) -> Any:
        retrying = AsyncRetrying(
            stop=stop_before_delay(self._give_up),
            wait=_wait,
            retry=retry_if_exception_type(CrmUnavailable),
            reraise=True,
        )
        return await retrying(self._once, method, path, **parts)

    async def _once(self, method: str, path: str, **parts: Any) -> Any:
        rest = self._resume - time.monotonic()
        if rest > self._give_up:
            raise CrmUnavailable(f"{method} {path}: the CRM wants to be left in peace", rest)
        await asyncio.sleep(max(0.0, rest))
        async with self._limiter:
            began = time.monotonic()
            try:
                response = await self._http.request(method, path, **parts)
            except httpx.RequestError as error:
                self._count(Answer.AWAY)
                raise CrmUnavailable(f"{method} {path}: {error!r}") from error
        self._metrics.seconds.labels(self._source).observe(time.monotonic() - began)
        return self._document(response)

    def _document(self, response: httpx.Response) -> Any:
        status, asked = response.status_code, f"{response.request.method} {response.request.url.path}"
        if response.is_success:
            try:
                document = orjson.loads(response.content)
            except orjson.JSONDecodeError as error:
                self._count(Answer.AWAY)
                raise CrmUnavailable(f"{asked}: answer {status} is no JSON ({error})") from None
            self._count(Answer.OK)
            return document
        if status in (408, 429) or status >= 500 or self._passing(response):
            after = rest_asked(response.headers, datetime.now(UTC))
            # Whoever asks next waits, too: it is the source that is to be left in peace.
            self._resume = max(self._resume, time.monotonic() + (after or 0.0))
            self._count(Answer.AWAY if status >= 500 else Answer.LIMITED)
            raise CrmUnavailable(f"{asked}: {status}", after)
        self._count(Answer.REFUSED)
        raise CrmRejected(status, f"{asked}: {response.text[:300]}", response.content)

    def _count(self, answer: Answer) -> None:
        self._metrics.requests.labels(self._source, answer.value).inc()


def _wait(state: RetryCallState) -> float:
    """What the CRM asked for, else longer each time, by chance."""
    error = state.outcome.exception() if state.outcome else None
    after = error.after if isinstance(error, CrmUnavailable) else None
    return _BACKOFF(state) if after is None else after
