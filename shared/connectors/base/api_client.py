"""HTTP client for one CRM's API: rate limit, retries of transient failures, no retry of rejections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Protocol

import httpx
import orjson
from aiolimiter import AsyncLimiter
from prometheus_client import Counter, Histogram
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_before_delay, wait_random_exponential

from shared.connectors.base.quota import Quota
from shared.connectors.base.settings import ApiSettings
from shared.runtime.measured import MeasuredGauge
from shared.runtime.tls import trusted_certificates

MAX_RETRY_AFTER_SECONDS = 3600.0
_BACKOFF = wait_random_exponential(multiplier=0.5, max=30)
_CREDENTIALS_STATUSES = (401, 403)


class ApiResult(StrEnum):
    """The result of one request: a label of the request counter."""

    OK = "ok"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"


class ApiMetrics(Protocol):
    """What the client measures: requests by source and ApiResult, seconds to a response and quota left by source."""

    @property
    def requests(self) -> Counter: ...

    @property
    def seconds(self) -> Histogram: ...

    @property
    def quota_left(self) -> MeasuredGauge: ...


class CrmUnavailable(Exception):
    """The CRM cannot be reached, fails, or limits our rate: worth a retry.

    `after`: seconds that the CRM asked us to wait, if it did.
    """

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


class CrmRejected(Exception):
    """The CRM rejects this request; a retry would not help. `bad_credentials`: it will reject every request.

    `body`: the whole response body.
    """

    def __init__(self, status: int, text: str, body: bytes = b"") -> None:
        super().__init__(f"{status}: {text}")
        self.status, self.bad_credentials, self.body = status, status in _CREDENTIALS_STATUSES, body


def error_text(error: CrmUnavailable | CrmRejected, kind: str) -> str:
    """The error with the way out, for the person who ran a command."""
    if isinstance(error, CrmUnavailable):
        return f"{error}; run it again when the CRM answers"
    if error.bad_credentials:
        return f"{error}; correct `api` of the source, or the scopes of its token: docs/sources/{kind}.md"
    return str(error)


def retry_after(headers: Mapping[str, str], now: datetime, longest: float = MAX_RETRY_AFTER_SECONDS) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or as a date (RFC 9110, 10.2.3); None if it is neither."""
    written = headers.get("retry-after", "").strip()
    try:
        seconds = float(written)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(written) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(0.0, seconds), longest) if seconds == seconds else None


class ApiClient:
    """Client for one CRM's API. Retries until `give_up` seconds have passed.

    `is_transient` recognises rejections that this CRM uses for temporary conditions. `quota` reads from headers how
    many requests are still allowed today.
    """

    def __init__(
        self,
        source: str,
        api: ApiSettings,
        auth: httpx.Auth,
        metrics: ApiMetrics,
        give_up: float,
        is_transient: Callable[[httpx.Response], bool],
        quota: Callable[[Mapping[str, str]], Quota | None] = lambda headers: None,
    ) -> None:
        self._source, self._metrics, self._give_up, self._is_transient = source, metrics, give_up, is_transient
        self._read_quota = quota
        self._http = httpx.AsyncClient(
            base_url=api.url, auth=auth, timeout=api.timeout_seconds, verify=trusted_certificates()
        )
        burst = max(1.0, api.per_second)
        self._limiter = AsyncLimiter(burst, burst / api.per_second)
        self._paused_until = 0.0
        self.quota: Quota | None = None
        """As the last answer said; None: this CRM does not say."""

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, **params: Any) -> Any:
        """The document at a path; raises CrmUnavailable or CrmRejected. Omits parameters that are None."""
        return await self._request("GET", path, params={name: v for name, v in params.items() if v is not None})

    async def post(self, path: str, document: Any, **params: Any) -> Any:
        """The response to a document; raises CrmUnavailable or CrmRejected."""
        return await self._request("POST", path, params=params, json=document)

    async def _request(self, method: str, path: str, **parts: Any) -> Any:
        retrying = AsyncRetrying(
            stop=stop_before_delay(self._give_up),
            wait=_wait,
            retry=retry_if_exception_type(CrmUnavailable),
            reraise=True,
        )
        return await retrying(self._request_once, method, path, **parts)

    async def _request_once(self, method: str, path: str, **parts: Any) -> Any:
        pause = self._paused_until - time.monotonic()
        if pause > self._give_up:
            raise CrmUnavailable(f"{method} {path}: the CRM asked us to pause requests", pause)
        await asyncio.sleep(max(0.0, pause))
        async with self._limiter:
            began = time.monotonic()
            try:
                response = await self._http.request(method, path, **parts)
            except httpx.RequestError as error:
                self._count(ApiResult.UNAVAILABLE)
                raise CrmUnavailable(f"{method} {path}: {error!r}") from error
        self._metrics.seconds.labels(self._source).observe(time.monotonic() - began)
        self._note_quota(response.headers)
        return self._document(response)

    def _note_quota(self, headers: Mapping[str, str]) -> None:
        quota = self._read_quota(headers)
        if quota is not None:
            self.quota = quota
            self._metrics.quota_left.set(quota.left, self._source)

    def _document(self, response: httpx.Response) -> Any:
        request = f"{response.request.method} {response.request.url.path}"
        if not response.is_success:
            raise self._error(response, request)
        try:
            document = orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            self._count(ApiResult.UNAVAILABLE)
            raise CrmUnavailable(f"{request}: response {response.status_code} is not JSON ({error})") from None
        self._count(ApiResult.OK)
        return document

    def _error(self, response: httpx.Response, request: str) -> CrmUnavailable | CrmRejected:
        status = response.status_code
        if status in (408, 429) or status >= 500 or self._is_transient(response):
            after = retry_after(response.headers, datetime.now(UTC))
            # The pause is for the whole source, not just for this request.
            self._paused_until = max(self._paused_until, time.monotonic() + (after or 0.0))
            self._count(ApiResult.UNAVAILABLE if status >= 500 else ApiResult.LIMITED)
            return CrmUnavailable(f"{request}: {status}", after)
        self._count(ApiResult.REJECTED)
        return CrmRejected(status, f"{request}: {response.text[:300]}", response.content)

    def _count(self, result: ApiResult) -> None:
        self._metrics.requests.labels(self._source, result.value).inc()


def _wait(state: RetryCallState) -> float:
    """The pause that the CRM asked for, or else random exponential backoff."""
    error = state.outcome.exception() if state.outcome else None
    after = error.after if isinstance(error, CrmUnavailable) else None
    return _BACKOFF(state) if after is None else after
