"""The demo's inbox answers requests for this machine only, against DNS rebinding."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from services.demo.inbox import Mailbox, application


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8025", 200),
        ("localhost:8025", 200),
        ("[::1]:8025", 200),
        ("evil.example:8025", 400),
        ("127.0.0.1.evil.example", 400),
        ("", 400),
    ],
)
async def test_it_answers_requests_for_this_machine_only(tmp_path: Path, host: str, status: int) -> None:
    transport = httpx.ASGITransport(application(Mailbox(tmp_path)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.get("/", headers={"Host": host})).status_code == status
