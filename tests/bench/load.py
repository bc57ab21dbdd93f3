"""A load generator for HTTP: keeps N connections busy with prepared requests and records each latency.

Python's HTTP clients cost more per request than the service under test, so this parses just enough HTTP/1.1 for
uvicorn's responses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """Result of a run: responses by status, latencies in seconds, and the seconds of the whole run."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return sum(self.statuses.values()) / self.seconds

    def quantile(self, q: float) -> float:
        """Latency in seconds at quantile `q`."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last response is complete; closes when none is left."""

    def __init__(self, requests: Iterator[bytes], outcome: Outcome, done: asyncio.Future[None]) -> None:
        self._requests, self._outcome, self._done = requests, outcome, done
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send_next()

    def _send_next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(rest) < length:
            return
        status = int(self._buffer[9:12])
        self._outcome.statuses[status] = self._outcome.statuses.get(status, 0) + 1
        self._outcome.latencies.append(time.perf_counter() - self._sent_at)
        self._buffer = rest[length:]
        self._send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


async def flood(port: int, requests: list[bytes], connections: int = 32) -> Outcome:
    """Send all requests as fast as the service answers, over `connections` connections."""
    outcome, queue = Outcome(), iter(requests)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    finished = []
    for _ in range(connections):
        done = loop.create_future()
        await loop.create_connection(lambda done=done: _Connection(queue, outcome, done), "127.0.0.1", port)
        finished.append(done)
    await asyncio.gather(*finished)
    outcome.seconds = time.perf_counter() - started
    return outcome


def post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """One POST request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def paced(
    port: int,
    make: Callable[[int], bytes],
    total: int,
    per_second: float,
    on_sent: Callable[[int], None],
    connections: int = 32,
) -> Outcome:
    """Send `make(0)`, `make(1)` ... at a steady rate, and call `on_sent` with the number of each.

    Latency counts from when a request was due, so waiting for a free connection counts too.
    """
    numbers, outcome = iter(range(total)), Outcome()
    began = time.perf_counter()

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            ahead = began + number / per_second - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            request = make(number)
            on_sent(number)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            status = int(head[9:12])
            outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
            outcome.latencies.append(time.perf_counter() - began - number / per_second)
        writer.close()

    await asyncio.gather(*(worker() for _ in range(connections)))
    outcome.seconds = time.perf_counter() - began
    return outcome
