"""The host names that pages answer to.

Behind a forged name, and behind one that a site lets resolve to this machine (DNS rebinding), a browser would show them
to that site as its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# Probes and Prometheus ask by an address of the network.
_FOR_MACHINES = ("/livez", "/readyz", "/metrics")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.IGNORECASE)


class KnownHosts:
    """Answers only to these host names, so that no forged one gets into an address, a check or a log.

    `setting`: which one names them. `are_machines_free`: whether health and metrics answer to any name.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], setting: str, are_machines_free: bool) -> None:
        self._app, self._hosts, self._setting = app, {host.lower() for host in hosts}, setting
        self._free = _FOR_MACHINES if are_machines_free else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_known(scope) or scope["path"] in self._free:
            await self._app(scope, receive, send)
            return
        answer = PlainTextResponse(f"Andon does not answer to this host name; see {self._setting}\n", 400)
        await answer(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        """Whether exactly one host is named, and it is one of ours."""
        named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        found = _HOST.fullmatch(named[0]) if len(named) == 1 else None
        return found is not None and found["name"].lower() in self._hosts
