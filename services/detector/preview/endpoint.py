"""`POST /preview`: what another policy would have found. Reads only; for the pages, not for people.

One question at a time: each takes up to a second of a core, which batches of events need too.
"""

from __future__ import annotations

import asyncio
import time

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.detector.preview.past import NoPast, PastReader, PipelinePast
from services.detector.preview.refolded import MOST_EVENTS, LongHistory, RefoldedHistory, refolded
from services.detector.preview.runs import PolicyPast, answer, try_rules
from services.detector.store import past as past_store
from services.detector.store.fingerprint import OtherPolicyError
from shared.contracts.envelope import Message
from shared.contracts.preview import PATH, PreviewAnswer, PreviewRefusal, PreviewRequest
from shared.flow.ruleset import Ruleset
from shared.policy import Policy, PolicyError, parse
from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.log import logger

_log = logger(__name__)
# How old the numbers of an answer may be, and how long a folded history is kept.
KEPT_SECONDS, REFOLDED_SECONDS = 300.0, 60.0
_LARGEST = 4_000_000
_TOO_LONG = (
    f"other stages, clocks or another time zone need all events again, and there are more than {MOST_EVENTS:,}: try the"
    " policy on a file of events with andon what-if"
)
_NO_DEALS = (
    "no event names a deal in an open stage of this pipeline, so there is nothing to try its rules on: save it, and try"
    " other limits once its deals have come"
)


class PreviewRefused(Exception):
    """The question has no answer; with its HTTP status, and reasons with their way out."""

    def __init__(self, status: int, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.status, self.reasons = status, reasons


class PreviewEndpoint:
    """Keeps the past of the pipeline that was asked about last, and the history under the policy that was."""

    def __init__(self, pool: Pool, ruleset: Ruleset) -> None:
        self._pool, self._ruleset = pool, ruleset
        self._reader = PastReader(pool, ruleset)
        self._busy = asyncio.Lock()
        self._kept: tuple[float, PipelinePast] | None = None
        self._refolded: RefoldedHistory | None = None

    def routes(self) -> list[Route]:
        return [Route(PATH, self.preview, methods=["POST"])]

    async def preview(self, request: Request) -> Response:
        try:
            asked, policy = await _read(request)
            self._check(asked.pipeline, policy)
            async with self._busy:
                return _json(200, await self._answer(asked.pipeline, policy))
        except PreviewRefused as refused:
            return _json(refused.status, PreviewRefusal(reasons=refused.reasons))
        except LongHistory:
            return _json(409, PreviewRefusal(reasons=(_TOO_LONG,)))
        except NoPast as error:
            return _json(503, PreviewRefusal(reasons=(str(error),)))
        except OtherPolicyError as error:
            return _json(503, PreviewRefusal(reasons=(f"{error}; try again in a minute",)))
        except TRANSIENT as error:
            _log.warning("preview failed: database unavailable", error=repr(error))
            return _json(503, PreviewRefusal(reasons=("the database does not answer just now; try again in a minute",)))

    def _check(self, pipeline: str, policy: Policy) -> None:
        if pipeline in policy.pipelines:
            return
        if pipeline in self._ruleset.policy.pipelines:
            raise PreviewRefused(409, f"the other policy has no pipeline {pipeline!r}; ask for one that it has")
        raise PreviewRefused(404, f"the policy has no pipeline {pipeline!r}; ask for one that it has")

    async def _answer(self, pipeline: str, policy: Policy) -> PreviewAnswer:
        other = Ruleset(policy)
        before, after = await self._pasts(pipeline, other)
        tried = await try_rules(self._reader, PolicyPast(self._ruleset, before), PolicyPast(other, after))
        deals = set[str]().union(*(one.deals_shown() for one in tried))
        return answer(before if before.stages else after, tried, await past_store.labels(self._pool, deals))

    async def _pasts(self, pipeline: str, other: Ruleset) -> tuple[PipelinePast, PipelinePast]:
        """The past under the policy in force and under the other: one where stays and their ages are the same."""
        in_force = self._ruleset.policy
        is_new = pipeline not in in_force.pipelines
        if not is_new and other.policy.stays(pipeline) == in_force.stays(pipeline):
            past = await self._past(pipeline)
            return past, past
        history = await self._refold(other)
        after = await asyncio.to_thread(history.past, pipeline)
        if not is_new:
            return await self._past(pipeline, history.as_of), after
        if not after.visits:
            raise PreviewRefused(409, _NO_DEALS)
        return PipelinePast(pipeline, after.weeks, after.as_of, {}), after

    async def _refold(self, other: Ruleset) -> RefoldedHistory:
        """Kept for a minute: the review of a policy asks for one pipeline after another."""
        kept = self._refolded
        if kept is None or kept.ruleset.policy.digest != other.policy.digest:
            # Two are too much for the memory.
            self._refolded = None
            self._refolded = kept = await refolded(self._pool, other)
            asyncio.get_running_loop().call_later(REFOLDED_SECONDS, self._drop, kept)
        return kept

    def _drop(self, history: RefoldedHistory) -> None:
        if self._refolded is history:
            self._refolded = None

    async def _past(self, pipeline: str, as_of: int | None = None) -> PipelinePast:
        """As of an instant; None: any of the last minutes."""
        if self._kept is not None:
            read_at, kept = self._kept
            is_fresh = time.monotonic() - read_at < KEPT_SECONDS
            if kept.pipeline == pipeline and is_fresh and as_of in (None, kept.as_of):
                return kept
        self._kept = None
        found = await self._reader.read(pipeline, as_of)
        self._kept = time.monotonic(), found
        return found


async def _read(request: Request) -> tuple[PreviewRequest, Policy]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise PreviewRefused(415, "the body is not called JSON; send content-type application/json")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            raise PreviewRefused(413, f"the body is longer than {_LARGEST} bytes; send a shorter policy")
    try:
        asked = PreviewRequest.model_validate_json(body)
        return asked, parse(asked.policy)
    except ValidationError as error:
        raise PreviewRefused(422, *(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from None
    except PolicyError as error:
        raise PreviewRefused(422, *map(str, error.faults)) from None


def _json(status: int, content: Message) -> Response:
    return Response(content.model_dump_json(), status, media_type="application/json")
