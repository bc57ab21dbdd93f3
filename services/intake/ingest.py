"""What is done with a webhook: verify, translate, and an answer once Kafka has everything."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import orjson

from services.intake.delivery import BrokerUnavailable, Delivery
from services.intake.http import BodyReader, NoRoomError, NotReadError, problem
from services.intake.metrics import IntakeMetrics
from services.intake.rate_limits import LogThrottle, MemoryBudget, RateLimit, Reservation
from services.intake.received import kept
from services.intake.stage_cache import RecentDescriptions
from shared.connectors.base.canonical import Translated, said_by, translated
from shared.connectors.base.source import Reply, Request, Source, Unauthenticated
from shared.runtime.log import logger

_log = logger(__name__)
RETRY_AFTER = {"Retry-After": "5"}
ACCEPTED = Reply(202)
CROWDED = "too many requests of this source; come again, or raise per_second or at_once"


class Ingest:
    """Answers the webhooks of every source."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        delivery: Delivery,
        metrics: IntakeMetrics,
        topic_prefix: str,
        room: MemoryBudget,
    ) -> None:
        self._sources, self._delivery, self._metrics, self._prefix = sources, delivery, metrics, topic_prefix
        self._room, self._lately = room, RecentDescriptions()
        self._refusals = {name: LogThrottle(1.0) for name in sources}
        self._limits = {name: RateLimit(s.settings.per_second, s.settings.at_once) for name, s in sources.items()}

    async def answer(self, name: str, read: BodyReader) -> Reply:
        """The answer to one request to the source of this name."""
        started = time.perf_counter()
        source = self._sources.get(name)
        if source is None:
            return problem(404, "no such source; the address ends with the name of a source in the sources file")
        share = self._room.share(name)
        try:
            answer = await self._within(source, read, share)
        finally:
            share.give_back()
        self._metrics.answered(source.name, answer.status)
        self._metrics.seconds.observe(time.perf_counter() - started)
        return answer

    async def _within(self, source: Source, read: BodyReader, share: Reservation) -> Reply:
        try:
            request = await read(source.settings.max_bytes, share.take)
        except NotReadError as error:
            return error.answer
        except NoRoomError:
            return _later(source, 1, "too many bytes are in hand; come again, or send less at once")
        # Not before: who only sends slowly, and need not be who he says he is, takes nobody's place.
        limit = self._limits[source.name]
        limit.together += 1
        try:
            if limit.crowded():
                return _later(source, 1)
            return await self._take(source, request) if request.method == "POST" else _no_post(source, request)
        finally:
            limit.together -= 1

    async def _take(self, source: Source, request: Request) -> Reply:
        if question := source.challenge(request):
            return question
        try:
            source.verify(request)
        except Unauthenticated as error:
            self._metrics.refused.labels(source.name, error.reason.value).inc()
            if count := self._refusals[source.name].count():
                _log.warning("requests refused", source=source.name, count=count, last=error.reason.value)
            return problem(error.status, str(error))
        # Only what is genuine counts: nobody else can use up the allowance.
        if wait := self._limits[source.name].wait():
            return _later(source, wait)
        said = self._lately.news(source.name, said_by(source, request))
        result = translated(source.name, said, request.received_at, self._prefix)
        try:
            await self._delivery.deliver([*kept(source, request, self._prefix), *result.messages])
        except BrokerUnavailable:
            return problem(503, "the events could not be kept just now; send the request again", RETRY_AFTER)
        if result.described:
            self._lately.wrote(source.name, said)
        answer = self._accepted(source.name, result, request)
        return answer if source.reply is None else source.reply

    def _accepted(self, source: str, result: Translated, request: Request) -> Reply:
        counts = result.counts
        self._metrics.took(source, counts, request.received_at)
        if result.accepted and not result.unclear and not result.ignored:
            # The usual case.
            return ACCEPTED
        answer: dict[str, object] = dict(counts)
        if result.unclear:
            answer["why"] = [unclear.detail[:300] for unclear in result.unclear[:5]]
            _log.warning("events went to the dead letters", source=source, count=len(result.unclear))
        for unclear in result.unclear:
            self._metrics.failures.labels(source, unclear.reason.value).inc()
        return Reply(202, orjson.dumps(answer))


def _no_post(source: Source, request: Request) -> Reply:
    headers = source.handshake(request) if request.method == "OPTIONS" else None
    return Reply(200, headers=headers) if headers else problem(405, "send a POST", {"Allow": "POST, OPTIONS"})


def _later(source: Source, seconds: float, detail: str = CROWDED) -> Reply:
    """This source asks for more than it may; the others go on."""
    return problem(source.slow_down, detail, {"Retry-After": str(math.ceil(seconds))})
