"""A client that is slow or sends without end gets an error and is disconnected; others are not affected."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.runtime.http_limits import MAX_HEAD_BYTES, LimitedHttpProtocol
from tests.support.http_server import TestServer

GOOD = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


class ShortTimeouts(LimitedHttpProtocol):
    head_seconds = 0.3
    body_seconds = 0.6


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body, for `/heads` with the names of headers; for `/early` before the body is read."""
    body, more = b"early", scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body.removeprefix(b"early") + message["body"], message["more_body"]
    body = b",".join(name for name, _ in scope["headers"]) if scope["path"] == "/heads" else body
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        echo, http=ShortTimeouts, ws="none", lifespan="off", log_level="error", timeout_keep_alive=1
    )
    server = TestServer(config)
    running = asyncio.ensure_future(server.serve([listener]))
    yield listener.getsockname()[1]
    server.end()
    await running


async def told(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """The server's answer until it closed the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 60)
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()


@pytest.mark.parametrize(
    "begun", [b"", b"POST /a HT", b"POST /a HTTP/1.1\r\nHost: x\r\nX-A: a", b"\r\n\r\n", GOOD + b"POST"]
)
async def test_a_head_that_does_not_come_is_not_waited_for(port: int, begun: bytes) -> None:
    said = await told(port, begun)

    assert b"HTTP/1.1 408 Request Timeout" in said
    assert said.endswith(b"the request did not come to the end of its head within 0 seconds; send it again")


@pytest.mark.slow
async def test_a_head_that_trickles_has_no_more_time(port: int) -> None:
    said = await told(port, b"POST /a HTTP/1.1\r\nHost: x\r\n", *[b"X-A: a\r\n"] * 20, pause=0.05)

    assert b"408" in said or said == b"reset"


@pytest.mark.parametrize("head", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_come_is_not_waited_for(port: int, head: bytes) -> None:
    said = await told(port, b"POST /a HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")

    assert b"408" in said
    assert b"body" in said


@pytest.mark.slow
async def test_a_body_that_goes_on_after_its_answer_is_not_read_for_ever(port: int) -> None:
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    said = await told(
        port, b"POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", *[chunk] * 40, pause=0.05
    )

    assert said.count(b"HTTP/1.1") == 1 or said == b"reset"


@pytest.mark.parametrize("pieces", [1, 50])
@pytest.mark.parametrize("line", ["X-A: {}", "X-{}: a", "many"])
async def test_a_head_larger_than_32_kib_is_refused(port: int, pieces: int, line: str) -> None:
    lines = "X-A: a\r\n" * 5000 if line == "many" else line.format("a" * 40_000)
    head = f"POST /a HTTP/1.1\r\nHost: x\r\n{lines}\r\nContent-Length: 0\r\n\r\n".encode()
    step = len(head) // pieces + 1
    said = await told(port, *[head[at : at + step] for at in range(0, len(head), step)])

    assert said == b"reset" or (b"431" in said and str(MAX_HEAD_BYTES).encode() in said)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"", b"400"),
        (b"Host: x\r\nHost: x\r\n", b"400"),
        (b"Host: x\r\nhost: y\r\n", b"400"),
        (b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", b"501"),
        (b"Host: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", b"501"),
        (b"Host: x\r\nTransfer-Encoding: Chunked\r\n", b"200"),
        (b"Host: x\r\nTransfer-Encoding: chunked\r\n", b"200"),
    ],
)
async def test_a_head_that_a_proxy_may_read_in_another_way_is_refused(port: int, lines: bytes, status: bytes) -> None:
    body = b"3\r\nabc\r\n0\r\n\r\n" if b"ransfer" in lines else b""

    said = await told(port, b"POST /a HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n" + body)

    assert said.startswith(b"HTTP/1.1 " + status)


async def test_a_request_of_http_1_0_needs_no_host(port: int) -> None:
    assert b" 200 " in await told(port, b"POST /a HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")


async def test_a_long_address_is_refused(port: int) -> None:
    assert b"431" in await told(port, b"POST /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")


@pytest.mark.slow
async def test_a_head_of_30_kib_a_slow_body_and_several_requests_are_served(port: int) -> None:
    long = b"POST /a HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 30_000 + b"\r\nContent-Length: 200000\r\n\r\n"
    said = await told(port, long + b"x" * 100_000, b"x" * 100_000, GOOD * 3, pause=0.1)

    assert said.count(b"HTTP/1.1 200") == 4


@pytest.mark.slow
async def test_who_has_been_served_may_come_again(port: int) -> None:
    said = await told(port, GOOD, GOOD, GOOD, pause=0.5)

    assert said.count(b"HTTP/1.1 200") == 3
    assert b"408" not in said


@pytest.mark.slow
async def test_who_was_answered_early_is_let_go_once_the_body_has_come(port: int) -> None:
    said = await told(port, b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n", b"abc", b"def", pause=0.1)

    assert said.count(b"HTTP/1.1") == 1
    assert b"408" not in said


@pytest.mark.slow
async def test_trailers_are_no_headers(port: int) -> None:
    said = await told(
        port,
        b"POST /heads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Late: b\r\n\r\n",
        GOOD,
    )

    assert said.count(b"HTTP/1.1 200") == 2
    assert b"transfer-encoding" in said
    assert b"late" not in said


@pytest.mark.parametrize("late", [b"a: b\r\n" * 20_000, b"a: " + b"b" * 100_000, b"1;" + b"x" * 100_000])
async def test_trailers_without_end_are_refused(port: int, late: bytes) -> None:
    begun = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    end = b"" if late.startswith(b"1;") else b"0\r\n"
    said = await told(port, begun + end, *[late[at : at + 5000] for at in range(0, len(late), 5000)])

    assert said == b"reset" or b"431" in said


@pytest.mark.slow
async def test_many_small_chunks_are_a_body(port: int) -> None:
    chunks = b"1\r\nx\r\n" * 30_000
    said = await told(
        port, b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n", GOOD
    )

    assert said.count(b"HTTP/1.1 200") == 2
    assert b"x" * 30_000 in said


async def test_who_does_not_take_his_answers_is_let_go(port: int) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        large = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(client, large + b"x" * 8_000_000)
        connections = lambda: [c for c in psutil.Process().net_connections("tcp") if c.laddr.port == port and c.raddr]  # noqa: E731
        assert len(connections()) == 1
        async with asyncio.timeout(60):
            while connections():
                await asyncio.sleep(0.1)


async def test_requests_that_were_sent_at_once_take_little_memory_and_are_answered_in_order() -> None:
    """A request takes hundreds of times the memory of its bytes: they wait as bytes."""
    one, many = b"GET /%05d HTTP/1.1\r\nHost: x\r\n\r\n", 20_000
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await gate.wait()
        await send(start((b"content-length", b"5")))
        await send({"type": "http.response.body", "body": scope["path"][1:].encode()})

    connection, wire = connected(LimitedHttpProtocol, app)
    sent = b"".join(one % number for number in range(many))
    most = 0
    for at in range(0, len(sent), 65536):
        while wire.paused:
            gate.set()
            most = max(most, len(connection.pipeline))
            await asyncio.sleep(0)
        connection.data_received(sent[at : at + 65536])
    while len(wire.sent) < many:
        most = max(most, len(connection.pipeline))
        await asyncio.sleep(0)
    connection.connection_lost(None)

    assert b"".join(wire.sent).split(b"\r\n\r\n")[-1] == b"%05d" % (many - 1)
    assert [int(answer.rpartition(b"\r\n\r\n")[2]) for answer in wire.sent] == list(range(many))
    assert 0 < most < 250


class RecordingTransport(asyncio.Transport):
    """Keeps what it was given to send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0


START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}
BODY = {"type": "http.response.body", "body": b"four"}
PART = {"type": "http.response.body", "body": b"fo", "more_body": True}
REST = {"type": "http.response.body", "body": b"ur"}
EMPTY = {"type": "http.response.body"}


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def connected(protocol: type[Any], app: ASGIApp) -> tuple[Any, RecordingTransport]:
    """A connection to this application, and what it is connected by."""
    config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_level="critical")
    config.load()
    state = uvicorn.server.ServerState()
    state.default_headers = [(b"date", b"today")]
    wire, connection = RecordingTransport(), protocol(config, state, {})
    connection.connection_made(wire)
    return connection, wire


async def sent_by(protocol: type[HttpToolsProtocol], messages: list[Message], asked: bytes) -> RecordingTransport:
    """The bytes on the wire for an application's answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    connection, wire = connected(protocol, app)
    connection.data_received(asked)
    await asyncio.gather(*connection.tasks)
    connection.connection_lost(ConnectionResetError())
    return wire


async def test_a_whole_answer_goes_out_in_one_write() -> None:
    wire = await sent_by(LimitedHttpProtocol, [START, BODY], GOOD)

    assert wire.sent == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 4\r\n\r\nfour"]
    assert not wire.closed


@pytest.mark.parametrize(
    "messages",
    [
        [START, BODY],
        [START, PART, REST],
        [start(), BODY],
        [start(), PART, REST],
        [start(status=204), EMPTY],
        [start((b"content-length", b"4"), (b"connection", b"close")), BODY],
        [start((b"content-length", b"3")), BODY],
        [start((b"Content-Length", b"4"), (b"Connection", b"close")), BODY],
        [start((b"content-length", b"5")), BODY],
        [start((b"transfer-encoding", b"chunked")), BODY],
        [start((b"a", b"b\r\nc"), (b"content-length", b"4")), BODY],
        [{"type": "http.response.start", "status": 200}, BODY],
        [START, BODY, BODY],
        [START, START, BODY],
        [BODY],
        [],
    ],
)
@pytest.mark.parametrize("asked", [GOOD, GOOD.replace(b"POST", b"HEAD"), GOOD.replace(b"1.1", b"1.0")])
async def test_every_answer_is_the_one_that_uvicorn_gives(messages: list[Message], asked: bytes) -> None:
    mine, other = await sent_by(LimitedHttpProtocol, messages, asked), await sent_by(HttpToolsProtocol, messages, asked)

    assert b"".join(mine.sent).lower() == b"".join(other.sent).lower()
    assert mine.closed == other.closed


async def test_an_application_that_ends_before_its_answer_has_a_body_is_a_500() -> None:
    wire = await sent_by(LimitedHttpProtocol, [START], GOOD)

    assert wire.sent[0].startswith(b"HTTP/1.1 500")
    assert wire.closed


async def test_an_answer_without_a_body_is_not_kept_back(port: int) -> None:
    """A HEAD has no body, regardless of its length. Held back, it would be sent only when the connection closes."""
    asked = b"HEAD /early HTTP/1.1\r\nHost: x\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(asked)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        assert b"content-length: 5" in head
    writer.close()
