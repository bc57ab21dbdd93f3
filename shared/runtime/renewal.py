"""A service that is built anew within its process, with its HTTP port open: no request is lost, and none is refused.

Whoever needs another policy, of which every part of the service is made, asks for it.
"""

from __future__ import annotations

import asyncio
import time

from starlette.types import ASGIApp, Receive, Scope, Send

# How often to look whether the requests to parts that are replaced are answered.
_POLL_SECONDS = 0.02


class ServiceRenewal:
    """Asks for new parts. `errors`: those of a loop that ask for them as well, in place of a crash."""

    def __init__(self, *errors: type[Exception]) -> None:
        self._asked, self._errors = asyncio.Event(), errors

    def ask(self) -> None:
        """The parts are out of date."""
        self._asked.set()

    async def asked(self) -> None:
        """Wait until new parts are asked for."""
        await self._asked.wait()

    def is_asked_by(self, error: BaseException | None) -> bool:
        """Whether a loop that ended so asks for new parts."""
        return isinstance(error, self._errors)

    def forget(self) -> None:
        """There are no new parts yet: go on with these until it is asked again."""
        self._asked.clear()


class _Built:
    """An application, and how many requests it has to answer."""

    __slots__ = ("application", "requests")

    def __init__(self, application: ASGIApp) -> None:
        self.application, self.requests = application, 0


class Front:
    """The application as it is built now. A request is answered by the one that it came to."""

    def __init__(self, application: ASGIApp) -> None:
        self._built = _Built(application)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        built = self._built
        built.requests += 1
        try:
            await built.application(scope, receive, send)
        finally:
            built.requests -= 1

    async def switch(self, application: ASGIApp, seconds: float) -> None:
        """Requests go to another application from now on. Waits for those to the one before, `seconds` at most."""
        before, self._built = self._built, _Built(application)
        end = time.monotonic() + seconds
        while before.requests and time.monotonic() < end:  # noqa: ASYNC110 (requests end one by one)
            await asyncio.sleep(_POLL_SECONDS)
