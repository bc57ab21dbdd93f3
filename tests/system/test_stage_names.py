"""Stages from end to end: ids in events, names in the policy, descriptions that come late or change."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.support.webhooks import sample, signed_v3

SECRET, URL = "the-client-secret", "https://hooks.example.org/v1/ingest/crm"
SOURCES = f"""
sources:
  crm: {{kind: hubspot, secrets: [{SECRET}], public_url: "{URL}"}}
  pipe: {{kind: pipedrive, secrets: ["andon:a-long-password"]}}
"""
OWNER = {"name": "Head of sales", "mail": "head@sales.example"}
POLICY = {
    "version": 1,
    "pipelines": {
        "Sales": {
            "name": "New business",
            "owner": OWNER,
            "stages": [{"id": "Qualified"}, {"id": "Proposal"}],
            "rules": [{"kind": "wip-high", "stage": "Proposal", "max": 1}],
        },
        "1": {
            "name": "Renewals",
            "owner": OWNER,
            "stages": [{"id": "3"}, {"id": "4"}],
            "rules": [{"kind": "wip-high", "stage": "3", "max": 0}],
        },
    },
}
STAGES = """source,pipeline,stage,name,order,probability,outcome,pipeline_name
crm,default,1001,Qualified,1,0.2,,
crm,default,1002,Proposal,2,0.6,,
crm,default,1003,Legal check,3,0.8,,
crm,default,1004,Closed lost,5,0,lost,
crm,default,,,,,,Sales
"""
VISITS = "SELECT deal, pipeline, stage, left_at IS NULL FROM flow.visit ORDER BY deal, entered"


class NamedStagesRun:
    """Intake, detector and tickets as processes."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment, self.folder = environment, folder
        self.intake, self.detector, self.tickets = (
            ServiceProcess(name, environment, folder) for name in ("intake", "detector", "tickets")
        )

    async def hubspot(self, *moves: tuple[int, str]) -> None:
        """Move deals into stages, one after the other; HubSpot sends an event per property."""
        now = int(time.time() * 1000) - 60_000
        events = [
            {
                "subscriptionType": "deal.propertyChange",
                "objectId": deal,
                "portalId": 1,
                "eventId": number,
                "occurredAt": now + number,
                "propertyName": name,
                "propertyValue": value,
            }
            for number, (deal, name, value) in enumerate(
                part for deal, stage in moves for part in ((deal, "dealstage", stage), (deal, "pipeline", "default"))
            )
        ]
        body = json.dumps(events).encode()
        headers = signed_v3(body, SECRET, str(int(time.time() * 1000)), URL)
        await self._post("crm", body, headers=headers)

    async def pipedrive(self, file: str, at: str, **data: Any) -> None:
        document = json.loads(sample(file))
        document["meta"]["timestamp"] = at
        document["data"] |= data
        await self._post("pipe", json.dumps(document).encode(), auth=httpx.BasicAuth("andon", "a-long-password"))

    async def _post(self, source: str, body: bytes, **how: Any) -> None:
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self.intake.url}/v1/ingest/{source}", content=body, **how)
        assert answer.status_code == 202, answer.text

    async def page(self, path: str = "/") -> str:
        async with httpx.AsyncClient() as client:
            return (await client.get(self.tickets.url + path)).text

    async def visits(self) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.environment["ANDON_POSTGRES"])
        try:
            return [tuple(row) for row in await connection.fetch(VISITS)]
        finally:
            await connection.close()

    async def andon(self, *words: str) -> str:
        run = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "services.cli.main", *words],
            capture_output=True,
            text=True,
            env=os.environ | self.environment | {"COLUMNS": "240"},
            check=False,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout


@pytest.fixture
async def line(kafka: str, prefix: str, dsn: str, tmp_path: Path) -> AsyncIterator[NamedStagesRun]:
    (tmp_path / "sources.yaml").write_text(SOURCES)
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    line = NamedStagesRun(
        {
            "ANDON_KAFKA": kafka,
            "ANDON_POSTGRES": dsn,
            "ANDON_TOPIC_PREFIX": prefix,
            "ANDON_SOURCES": str(tmp_path / "sources.yaml"),
            "ANDON_POLICY": str(tmp_path / "policy.yaml"),
        },
        tmp_path,
    )
    for process in (line.intake, line.detector, line.tickets):
        process.start()
    for process in (line.intake, line.detector, line.tickets):
        process.ready()
    yield line
    assert [process.stop() for process in (line.intake, line.detector, line.tickets)] == [0, 0, 0]


async def test_names_that_come_after_the_deals_give_the_same_visits(line: NamedStagesRun) -> None:
    await line.hubspot((1, "1001"), (1, "1002"), (2, "1002"), (3, "1003"), (4, "1004"))
    unknown = await eventually(lambda: line.page("/pipelines"), lambda page: "does not know" in page)
    assert "1002" in unknown
    assert "the policy has no such pipeline; add default under pipelines" in unknown

    (line.folder / "stages.csv").write_text(STAGES)
    await line.andon("stages", "import", str(line.folder / "stages.csv"))

    after = [
        ("crm:1", "Sales", "Qualified", False),
        ("crm:1", "Sales", "Proposal", True),
        ("crm:2", "Sales", "Proposal", True),
        ("crm:3", "Sales", "1003", True),
    ]
    assert await eventually(line.visits, lambda rows: len(rows) == 4) == after
    await eventually(line.page, lambda page: "Too much work in Proposal" in page)

    # Other deals make the same moves, now that the names are known beforehand.
    await line.hubspot((11, "1001"), (11, "1002"), (12, "1002"), (13, "1003"), (14, "1004"))
    rows = await eventually(line.visits, lambda rows: len(rows) == 8)
    assert [(f"crm:1{deal[4:]}", *rest) for deal, *rest in after] == [row for row in rows if len(row[0]) > 5]

    listed = await line.andon("stages", "list", "--source", "crm")
    assert 'stage 1003 (Legal check) of pipeline default is not in the policy; add `- {id: "1003"}`' in listed
    assert "name it `Legal check`" in listed
    unknown = await eventually(lambda: line.page("/pipelines"), lambda page: "Legal check" in page)
    assert "name it `Legal check`" in unknown


async def test_a_stage_renamed_in_pipedrive_is_renamed_everywhere(line: NamedStagesRun) -> None:
    await line.pipedrive("pipedrive-v2-deal-change-stage.json", "2026-03-10T09:00:00.724Z")
    await eventually(line.page, lambda page: "Too much work in 3" in page)

    await line.pipedrive("pipedrive-v2-stage-change.json", "2026-03-10T09:30:00.512Z")
    await eventually(line.page, lambda page: "Too much work in Proposal" in page)
    await line.pipedrive("pipedrive-v2-stage-change.json", "2026-03-11T09:30:00.512Z", name="Offer")
    await eventually(line.page, lambda page: "Too much work in Offer" in page)
    # A late description does not undo it.
    await line.pipedrive("pipedrive-v2-stage-change.json", "2026-03-10T10:30:00.512Z", name="Draft")
    await line.pipedrive("pipedrive-v2-stage-change.json", "2026-03-11T09:30:00.512Z", id=4, name="Contract")
    assert "Too much work in Offer" in await eventually(
        lambda: line.page("/pipelines"), lambda page: "Contract" in page
    )
