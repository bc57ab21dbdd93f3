"""Whether the servers that a service needs answer: part of its readiness, and a metric."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge

from shared.runtime.log import logger

_log = logger(__name__)
# A lost server shows after at most the sum of both, so `/readyz` turns within 5 s.
INTERVAL_SECONDS, TIMEOUT_SECONDS = 3.0, 2.0
NOT_ASKED = "has not been checked yet"
# Returns when the server has answered; raises any error if it does not.
Probe = Callable[[], Awaitable[None]]


class Dependencies:
    """Asks each server again and again. `probes` by the server's name, such as `Kafka`."""

    def __init__(self, probes: Mapping[str, Probe], registry: CollectorRegistry) -> None:
        self._probes = probes
        self._faults: dict[str, str | None] = dict.fromkeys(probes, NOT_ASKED)
        self._up = Gauge(
            "andon_dependency_up",
            "1 if this server answers, 0 if it does not. Of a replica: aggregate by min.",
            ["to"],
            registry=registry,
        )
        self._last_ok = Gauge(
            "andon_dependency_last_ok_timestamp_seconds",
            "When this server last answered; 0: never since the start. Of a replica: aggregate by max.",
            ["to"],
            registry=registry,
        )
        for name in probes:
            self._last_ok.labels(name.lower())

    def unavailable(self) -> dict[str, str]:
        """The servers that do not answer, each with the reason."""
        return {name: fault for name, fault in self._faults.items() if fault is not None}

    async def run(self) -> None:
        """Ask until cancelled."""
        await asyncio.gather(*(self._watch(name, probe) for name, probe in self._probes.items()))

    async def _watch(self, name: str, probe: Probe) -> None:
        while True:
            self._record(name, await _ask(probe))
            await asyncio.sleep(INTERVAL_SECONDS)

    def _record(self, name: str, fault: str | None) -> None:
        before, self._faults[name] = self._faults[name], fault
        self._up.labels(name.lower()).set(fault is None)
        if fault is None:
            self._last_ok.labels(name.lower()).set_to_current_time()
        if fault is not None and before in (None, NOT_ASKED):
            _log.warning("server unavailable", server=name, reason=fault)
        elif fault is None and before not in (None, NOT_ASKED):
            _log.info("server available again", server=name)


async def _ask(probe: Probe) -> str | None:
    """Why the server does not answer; None if it does."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await probe()
    except Exception as error:
        return reason_of(error, TIMEOUT_SECONDS)
    return None


def reason_of(error: Exception, seconds: float) -> str:
    """Why a server could not be reached, in plain words. `seconds`: how long it was waited for."""
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(error, socket.gaierror):
        return "its host name cannot be resolved"
    text = str(error) or repr(error)
    # asyncio sums up the failures of several addresses of one host as text.
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in text:
        return "nothing listens there"
    return text.splitlines()[0]
