"""Services as real processes, each signed in to Postgres with its own role, for tests with a real CRM."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from shared.postgres.roles import SCHEMAS
from tests.support.databases import as_service
from tests.support.processes import ServiceProcess

SERVICES = ("intake", "detector", "tickets")


class Line:
    """Services that receive a real CRM's webhooks. The policy allows one deal in the second of the CRM's stages.

    `dsn`: of the owner of the tables. `settings`: more of them, for all services.
    """

    def __init__(
        self,
        kafka: str,
        dsn: str,
        prefix: str,
        folder: Path,
        services: Sequence[str] = SERVICES,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._dsn, self._folder = dsn, folder
        environment = {
            **(settings or {}),
            "ANDON_KAFKA": kafka,
            "ANDON_TOPIC_PREFIX": prefix,
            "ANDON_POLICY": str(folder / "policy.yaml"),
            "ANDON_SOURCES": str(folder / "sources.yaml"),
        }
        signed_in = {name: {"ANDON_POSTGRES": as_service(dsn, name)} for name in services if name in SCHEMAS}
        self.services = {name: ServiceProcess(name, environment | signed_in.get(name, {}), folder) for name in services}
        self.hook = f"{self.services['intake'].url}/v1/ingest/crm"

    async def start(self, pipeline: str, stages: Sequence[tuple[str, str, str]], source: dict[str, Any]) -> None:
        """Write the policy and start all services. `stages`: id, name and outcome of each, in order."""
        policy = {
            "version": 1,
            "timezone": "UTC",
            "pipelines": {
                pipeline: {
                    "name": "Sales",
                    "owner": {"name": "Head of sales", "mail": "sales@andon.example"},
                    "stages": [{"id": stage, "name": name, "outcome": outcome} for stage, name, outcome in stages],
                    "rules": [{"kind": "wip-high", "stage": stages[1][0], "max": 1}],
                }
            },
        }
        (self._folder / "policy.yaml").write_text(json.dumps(policy))
        (self._folder / "sources.yaml").write_text(json.dumps({"sources": {"crm": source}}))
        for service in self.services.values():
            service.start()
        for service in self.services.values():
            service.ready()

    def stop(self) -> None:
        for service in self.services.values():
            service.stop()

    async def ticket(self) -> tuple[str, str]:
        """Title and state of the only ticket; empty strings if there is none."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{self.services['tickets'].url}/api/v1/tickets")
        found = answer.json()["tickets"]
        assert len(found) <= 1
        return (found[0]["title"], found[0]["state"]) if found else ("", "")

    async def visits(self) -> list[tuple[str, str, bool, bool]]:
        """(deal, stage, entry is known, visit is open) of every visit, in order of entry."""
        connection = await asyncpg.connect(self._dsn)
        rows = await connection.fetch("SELECT deal, stage, known, left_at FROM flow.visit ORDER BY entered, deal")
        await connection.close()
        return [(r["deal"].rpartition(":")[2], r["stage"], r["known"], r["left_at"] is None) for r in rows]
