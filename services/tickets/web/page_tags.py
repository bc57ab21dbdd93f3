"""Tells that a page is still as a reader has it without making it again.

A page is made of the answers to its statements, of who asks for it and how, and of the minute that the clock of pages
shows. While all of these are the same, so is the page. Nothing else may go into a page that is watched: no state of
this process, and no other clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from services.tickets.access.roles import current_visitor
from services.tickets.web.zones import page_zone
from shared.postgres.answers import Answers, answers_noted
from shared.postgres.pool import Pool, snapshot
from shared.runtime.clock import Clock

# Pages that are open somewhere: about 5 kB each.
KEPT = 512
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class MadePage:
    """What a page was made of. `asked`: by whom, how and when."""

    asked: Hashable
    answers: Answers


class PageTags:
    """The pages of one service that readers keep open, by their ETag. `clock`: that of the pages."""

    def __init__(self, pool: Pool, clock: Clock, policy_zone: str) -> None:
        self._pool, self._clock, self._policy_zone = pool, clock, policy_zone
        self._kept: OrderedDict[str, MadePage] = OrderedDict()

    def watch(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint of a page; it answers 304 where the page is still what its tag names."""

        async def answer(request: Request) -> Response:
            tag = request.headers.get("if-none-match")
            # Who asks with a tag will ask again. To others the notes would be of no use.
            return await endpoint(request) if tag is None else await self._answer(endpoint, request, tag)

        return answer

    async def _answer(self, endpoint: Endpoint, request: Request, tag: str) -> Response:
        asked, known = self._asked(request), self._kept.get(tag)
        if known is not None and known.asked == asked and await self._is_answered_alike(known.answers):
            self._kept.move_to_end(tag)
            return Response(status_code=304, headers={"etag": tag})
        with answers_noted() as answers:
            page = await endpoint(request)
        # Not where a minute began meanwhile: which one the page shows is not known.
        if (made := page.headers.get("etag")) and answers.given and self._asked(request) == asked:
            self._keep(made, MadePage(asked, answers))
        return page

    def _asked(self, request: Request) -> Hashable:
        """All that a page may depend on beside the database; the policy of this service never changes."""
        return request.url.path, request.url.query, current_visitor(), page_zone(self._policy_zone), self._clock.now()

    async def _is_answered_alike(self, answers: Answers) -> bool:
        async with snapshot(self._pool) as connection:
            return await answers.are_still_given(connection)

    def _keep(self, tag: str, made: MadePage) -> None:
        self._kept[tag] = made
        self._kept.move_to_end(tag)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
