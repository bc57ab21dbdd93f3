"""Handles a webhook: verify, translate, publish, and reply once Kafka has acknowledged everything."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping

import orjson

from services.intake.delivery import BrokerUnavailable, Delivery
from services.intake.metrics import IntakeMetrics
from services.intake.rate_limits import FREE_BODY_BYTES, LogThrottle, MemoryBudget, RateLimit, Reservation
from services.intake.received import request_records
from services.intake.replies import problem
from services.intake.stage_cache import RecentDescriptions
from services.intake.webhook_body import BodyRejected, OutOfMemoryBudget, RequestReader
from shared.connectors.base.facts import Parsed
from shared.connectors.base.messages import TranslationResult, to_messages, translate_request
from shared.connectors.base.source import Reply, Request, Source, Unauthenticated
from shared.runtime import tracing
from shared.runtime.log import logger

_log = logger(__name__)
RETRY_AFTER = {"Retry-After": "5"}
ACCEPTED = Reply(202)
# How often to log what a sender may repeat with every request.
UNREADABLE_LOG_SECONDS = 60.0
MEMORY = "too many bytes in flight; retry later, or send less at once"
# What a value takes in memory once a body is parsed, and what separates values in JSON and XML.
PARSED_VALUE_BYTES, SEPARATORS = 64, (b",", b"<")
THROTTLED = "too many requests for this source; retry later, or raise per_second or at_once"


class Ingest:
    """Answers the webhooks of every source."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        delivery: Delivery,
        metrics: IntakeMetrics,
        topic_prefix: str,
        memory: MemoryBudget,
    ) -> None:
        self._sources, self._delivery, self._metrics, self._prefix = sources, delivery, metrics, topic_prefix
        self._memory, self._descriptions = memory, RecentDescriptions()
        self._refusals = {name: LogThrottle(1.0) for name in sources}
        self._left_out = {name: LogThrottle(UNREADABLE_LOG_SECONDS) for name in sources}
        self._unknown_paths = LogThrottle(UNREADABLE_LOG_SECONDS)
        self._limits = {name: RateLimit(s.settings.per_second, s.settings.at_once) for name, s in sources.items()}

    async def answer(self, name: str, read: RequestReader) -> Reply:
        """The reply to one request for the source of this name."""
        started = time.perf_counter()
        # People paste the URL with a slash at its end.
        name = name.removesuffix("/")
        source = self._sources.get(name)
        if source is None:
            self._metrics.unknown_paths.inc()
            if count := self._unknown_paths.count():
                _log.warning("requests for unknown sources", count=count, last=name[:60])
            return problem(404, "no such source; the URL ends with the name of a source in the sources file")
        reservation = self._memory.reserve(name)
        try:
            with tracing.request("webhook", source=name):
                reply = await self._read_and_process(source, read, reservation)
        finally:
            reservation.release()
        self._metrics.count_reply(source.name, reply.status)
        self._metrics.seconds.observe(time.perf_counter() - started)
        return reply

    async def _read_and_process(self, source: Source, read: RequestReader, reservation: Reservation) -> Reply:
        try:
            request = await read(source.settings.max_bytes, reservation.grow)
        except BodyRejected as error:
            return error.reply
        except OutOfMemoryBudget:
            return _throttled(source, 1, MEMORY)
        # Count a request only once it is read: a slow and unauthenticated sender must not use up the limit.
        limit = self._limits[source.name]
        limit.in_flight += 1
        try:
            if limit.is_exceeded():
                return _throttled(source, 1)
            if request.method != "POST":
                return _no_post(source, request)
            return await self._process(source, request, reservation)
        finally:
            limit.in_flight -= 1

    async def _process(self, source: Source, request: Request, reservation: Reservation) -> Reply:
        started = time.perf_counter()
        if challenge_reply := source.challenge(request):
            return challenge_reply
        # Process a large body in threads, so that other senders do not wait for it.
        is_large = len(request.body) > FREE_BODY_BYTES
        if is_large and not reservation.grow(_parsed_bytes(request.body)):
            return _throttled(source, 1, MEMORY)
        try:
            if is_large:
                await asyncio.to_thread(source.verify, request)
            else:
                source.verify(request)
        except Unauthenticated as error:
            return self._refused(source, request, error)
        self._metrics.record_genuine(source.name, request.received_at)
        reply = await self._store(source, request, reservation, is_large)
        self._metrics.time_genuine(reply.status, time.perf_counter() - started)
        return reply

    async def _store(self, source: Source, request: Request, reservation: Reservation, is_large: bool) -> Reply:
        """Translate and publish a genuine request."""
        # Only genuine requests count: nobody else can use up the rate limit.
        if wait := self._limits[source.name].acquire():
            return _throttled(source, wait)
        if is_large:
            parsed, result = await asyncio.to_thread(self._translated, source, request)
            if not reservation.grow(sum(len(message.value) for message in result.messages)):
                return _throttled(source, 1, MEMORY)
        else:
            parsed, result = self._translated(source, request)
        try:
            await self._delivery.deliver([*request_records(source, request, self._prefix), *result.messages])
        except BrokerUnavailable:
            return problem(503, "the events could not be stored; send the request again", RETRY_AFTER)
        if result.described:
            self._descriptions.remember(source.name, parsed)
        reply = self._accepted(source.name, result)
        return reply if source.success_reply is None else source.success_reply

    def _refused(self, source: Source, request: Request, error: Unauthenticated) -> Reply:
        self._metrics.count_refusal(source.name, error.reason.value, request.received_at)
        if count := self._refusals[source.name].count():
            _log.warning("requests refused", source=source.name, count=count, last=error.reason.value)
        return problem(error.status, str(error))

    def _translated(self, source: Source, request: Request) -> tuple[list[Parsed], TranslationResult]:
        """The facts of a genuine request, without descriptions that were published recently, and their messages."""
        parsed = self._descriptions.without_repeats(source.name, translate_request(source, request))
        return parsed, to_messages(source.name, parsed, request.received_at, self._prefix)

    def _accepted(self, source: str, result: TranslationResult) -> Reply:
        counts = result.counts
        self._metrics.count_parts(source, counts)
        if result.accepted and not result.invalid and not result.ignored and not result.left_out:
            # The usual case.
            return ACCEPTED
        summary: dict[str, object] = dict(counts)
        if result.invalid:
            summary["why"] = [invalid.detail[:300] for invalid in result.invalid[:5]]
            _log.warning("events dead-lettered", source=source, count=len(result.invalid))
        if result.left_out:
            summary["left_out"] = [detail[:300] for _, detail in list(result.left_out)[:5]]
            self._report_left_out(source, result)
        for invalid in result.invalid:
            self._metrics.failures.labels(source, invalid.reason.value).inc()
        return Reply(202, orjson.dumps(summary))

    def _report_left_out(self, source: str, result: TranslationResult) -> None:
        for (field, _), count in result.left_out.items():
            self._metrics.left_out.labels(source, field).inc(count)
        if count := self._left_out[source].count():
            detail = next(iter(result.left_out))[1]
            _log.warning("fields left out of events: unreadable", source=source, requests=count, last=detail[:300])


def _parsed_bytes(body: bytes) -> int:
    """About how much memory a body takes once it is parsed."""
    return PARSED_VALUE_BYTES * max(body.count(separator) for separator in SEPARATORS)


def _no_post(source: Source, request: Request) -> Reply:
    headers = source.handshake(request) if request.method == "OPTIONS" else None
    return Reply(200, headers=headers) if headers else problem(405, "send a POST", {"Allow": "POST, OPTIONS"})


def _throttled(source: Source, seconds: float, detail: str = THROTTLED) -> Reply:
    """This source exceeds its limits; other sources are not affected."""
    return problem(source.throttle_status, detail, {"Retry-After": str(math.ceil(seconds))})
