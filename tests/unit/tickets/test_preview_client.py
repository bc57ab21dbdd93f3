"""The detector is asked directly: it has deals, which no proxy of the environment gets to see."""

from __future__ import annotations

import asyncio

import pytest

from services.tickets.preview.client import NoPreview, PreviewClient
from shared.contracts.preview import PreviewRefusal


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = PreviewRefusal(reasons=("the detector itself was asked",)).model_dump_json().encode()
    head = f"HTTP/1.1 422 No\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with await asyncio.start_server(_refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NoPreview, match="the detector itself was asked"):
            await PreviewClient(f"http://127.0.0.1:{port}").ask("new", "policy")
