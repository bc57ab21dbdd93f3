"""From a webhook to the mail: a stage's name in the CRM adds no header, no body and no line to the manager's mail."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.processes import ServiceProcess
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually
from tests.system.test_stage_names import POLICY, SOURCES, NamedStagesRun

FORGED = (
    "=?utf-8?q?x=0d=0aReply-To:_evil@x.example=0d=0a=0d=0a<h1>forged</h1>?="
    " =?utf-8?b?eA0KQmNjOiBldmlsQHguZXhhbXBsZQ0K?="
    " \u202e\u200b\r\nBcc: evil@x.example\r\n\r\n<h1>forged</h1>"
)
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "List-Id",
    "Thread-Index",
    "Thread-Topic",
    "MIME-Version",
    "Content-Type",
}


@pytest.fixture
async def mails(kafka: str, prefix: str, dsn: str, tmp_path: Path) -> AsyncIterator[tuple[NamedStagesRun, Sink]]:
    """All services from intake to the mail server."""
    (tmp_path / "sources.yaml").write_text(SOURCES)
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    with sink() as server:
        environment = {
            "ANDON_KAFKA": kafka,
            "ANDON_POSTGRES": dsn,
            "ANDON_TOPIC_PREFIX": prefix,
            "ANDON_SOURCES": str(tmp_path / "sources.yaml"),
            "ANDON_POLICY": str(tmp_path / "policy.yaml"),
            "ANDON_SMTP_PORT": str(server.port),
        }
        line = NamedStagesRun(environment, tmp_path)
        processes = (line.intake, line.detector, line.tickets, ServiceProcess("notifier", environment, tmp_path))
        for process in processes:
            process.start()
        for process in processes:
            process.ready()
        yield line, server
        for process in processes:
            process.stop()


async def test_a_stages_name_forges_nothing(mails: tuple[NamedStagesRun, Sink]) -> None:
    line, server = mails
    await line.pipedrive("pipedrive-v2-stage-change.json", "2026-03-10T08:00:00.512Z", name=FORGED)
    await eventually(lambda: line.page("/pipelines"), lambda page: "forged" in page)
    await line.pipedrive("pipedrive-v2-deal-change-stage.json", "2026-03-10T09:00:00.724Z")

    async def raw() -> list[bytes]:
        return server.raw

    (mail, *_) = await eventually(raw, bool, 60)
    head = mail.partition(b"\r\n\r\n")[0]

    fields = re.split(rb"\r\n(?![ \t])", head)
    assert {field.partition(b":")[0].decode() for field in fields} == HEADERS
    (read, *_) = server.mails
    assert set(read.keys()) == HEADERS
    assert "forged" in read["Subject"]
    assert "=?" not in read["Subject"]
    assert "\u202e" not in read["Subject"]
    text = read.get_body(("plain",)).get_content()  # type: ignore[union-attr, unused-ignore]
    html = read.get_body(("html",)).get_content()  # type: ignore[union-attr, unused-ignore]
    assert "=?" not in text + html
    assert not re.search(r"^(Bcc|Reply-To|<h1>)", text, re.MULTILINE)
    assert "<h1>forged" not in html
