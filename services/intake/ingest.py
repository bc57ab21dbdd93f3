"""`/v1/ingest/{source}`: raw bytes with a limit, verify, translate, and an answer once Kafka has everything."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.intake.canonical import Translated, translated
from services.intake.delivery import AwayError, Delivery
from services.intake.metrics import IntakeMetrics
from services.intake.sources.base import RefusedError, Request, Said, Source, Unclear
from shared.runtime.log import logger

_log = logger(__name__)
RETRY_AFTER = {"Retry-After": "5"}


class TooLargeError(Exception):
    """The body is larger than the source may send."""


class Ingest:
    """Answers the webhooks of every source."""

    def __init__(
        self, sources: Mapping[str, Source], delivery: Delivery, metrics: IntakeMetrics, topic_prefix: str
    ) -> None:
        self._sources, self._delivery, self._metrics, self._prefix = sources, delivery, metrics, topic_prefix

    def routes(self) -> list[Route]:
        return [Route("/v1/ingest/{source}", self.answer, methods=["POST", "OPTIONS"])]

    async def answer(self, http: HttpRequest) -> Response:
        """The endpoint."""
        started = time.perf_counter()
        source = self._sources.get(http.path_params["source"])
        if source is None:
            return _problem(404, "no such source; the address ends with the name of a source in the sources file")
        response = await self._of(source, http)
        self._metrics.answered(source.name, response.status_code)
        self._metrics.seconds.observe(time.perf_counter() - started)
        return response

    async def _of(self, source: Source, http: HttpRequest) -> Response:
        if http.method == "OPTIONS":
            headers = source.handshake(_request(http, b""))
            return Response(status_code=200, headers=headers) if headers else _problem(405, "send a POST")
        try:
            body = await _read(http, source.settings.max_bytes)
        except TooLargeError:
            most = source.settings.max_bytes
            return _problem(413, f"the body is larger than {most} bytes; send less at once, or raise max_bytes")
        except ClientDisconnect:
            return _problem(400, "the body ended early")
        return await self._take(source, _request(http, body))

    async def _take(self, source: Source, request: Request) -> Response:
        try:
            source.verify(request)
        except RefusedError as error:
            self._metrics.refused.labels(source.name, error.reason.value).inc()
            _log.warning("request refused", source=source.name, reason=error.reason.value)
            return _problem(error.status, str(error))
        result = translated(source.name, self._said(source, request), request.received_at, self._prefix)
        try:
            if result.messages:
                await self._delivery.deliver(result.messages)
        except AwayError:
            return _problem(503, "the events could not be kept just now; send the request again", RETRY_AFTER)
        return self._accepted(source.name, result, request)

    def _said(self, source: Source, request: Request) -> list[Said]:
        """A fault of ours must not cost the CRM's events: they are kept whole until it is mended."""
        try:
            return source.translate(request)
        except Exception as error:
            _log.error("a translator failed", source=source.name, exc_info=error)
            return [Unclear(f"the translator failed: {type(error).__name__}; tell those who make Andon", request.body)]

    def _accepted(self, source: str, result: Translated, request: Request) -> Response:
        counts = {"accepted": result.accepted, "ignored": result.ignored, "dead": len(result.unclear)}
        self._metrics.took(source, counts, request.received_at)
        for unclear in result.unclear:
            self._metrics.failures.labels(source, unclear.reason.value).inc()
        if result.unclear:
            _log.warning("events went to the dead letters", source=source, count=len(result.unclear))
        answer: dict[str, object] = dict(counts)
        if result.unclear:
            answer["why"] = [unclear.detail[:300] for unclear in result.unclear[:5]]
        return Response(orjson.dumps(answer), 202, media_type="application/json")


def _request(http: HttpRequest, body: bytes) -> Request:
    return Request(http.method, http.headers, http.query_params, body, datetime.now(UTC))


async def _read(http: HttpRequest, most: int) -> bytes:
    """The body, given up as soon as it is known to be too large."""
    told = http.headers.get("content-length", "")
    if told.isdigit() and len(told) < 19 and int(told) > most:
        raise TooLargeError
    parts, size, more = [], 0, True
    while more:
        message = await http.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size > most:
            raise TooLargeError
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """RFC 9457."""
    return JSONResponse({"status": status, "detail": detail}, status, headers, media_type="application/problem+json")
