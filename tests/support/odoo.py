"""A real Odoo, if one is available, with its own database, used over its JSON-RPC."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from services.demo.ports import free_port
from services.demo.server import tail
from tests.support.waiting import eventually

DATABASE = "odoo"
USER, PASSWORD = "admin", "admin"  # as every new database of Odoo has them
# As docs/sources/odoo.md has them.
TRIGGERS = (
    "stage_id",
    "team_id",
    "name",
    "expected_revenue",
    "date_deadline",
    "probability",
    "active",
    "type",
)
SENT = (*TRIGGERS, "write_date", "create_date", "date_last_stage_update", "date_conversion")


class Odoo:
    """One Odoo with its CRM, on loopback. `place` is the folder of `odoo-bin`."""

    def __init__(self, place: Path, dsn: str, folder: Path) -> None:
        server = urlsplit(dsn)
        self.log, self.port = folder / "odoo.log", free_port()
        self._command = [
            os.environ.get("ANDON_TEST_ODOO_PYTHON", "python3"),
            "odoo-bin",
            "--addons-path=addons,odoo/addons",
            f"--data-dir={folder / 'odoo-data'}",
            f"--db_host={server.hostname}",
            f"--db_port={server.port}",
            f"--db_user={server.username}",
            f"--database={DATABASE}",
        ]
        self._place, self._password = place, server.password or ""
        self._process: subprocess.Popen[bytes] | None = None
        self._user = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def install(self) -> None:
        """Make the database, with the CRM and the automation rules; takes half a minute."""
        ended = self._start("--init=crm,base_automation", "--without-demo=all", "--stop-after-init", "--no-http").wait()
        assert ended == 0, tail(self.log, 40)

    async def start(self) -> None:
        self._process = self._start(
            "--http-interface=127.0.0.1", f"--http-port={self.port}", "--max-cron-threads=0", "--workers=0"
        )
        await eventually(self._answers, within=60)
        self._user = await self._rpc("common", "login", DATABASE, USER, PASSWORD)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    async def call(self, model: str, method: str, *args: Any) -> Any:
        """What the web client calls: a method of a model, in a transaction of its own."""
        return await self._rpc("object", "execute_kw", DATABASE, self._user, PASSWORD, model, method, list(args))

    async def tell(self, url: str) -> None:
        """The two automation rules of docs/sources/odoo.md."""
        (model,) = await self.call("ir.model", "search", [("model", "=", "crm.lead")])
        for trigger, where in (("on_create_or_write", url), ("on_unlink", f"{url}&event=delete")):
            updating = await self._fields(TRIGGERS) if trigger == "on_create_or_write" else []
            rule = await self.call(
                "base.automation",
                "create",
                {
                    "name": "Andon",
                    "model_id": model,
                    "trigger": trigger,
                    "trigger_field_ids": [(6, 0, updating)],
                },
            )
            await self.call(
                "ir.actions.server",
                "create",
                {
                    "name": "Andon",
                    "model_id": model,
                    "state": "webhook",
                    "webhook_url": where,
                    "webhook_field_ids": [(6, 0, await self._fields(SENT))],
                    "base_automation_id": rule,
                    "usage": "base_automation",
                },
            )

    async def _fields(self, names: tuple[str, ...]) -> list[int]:
        found = await self.call("ir.model.fields", "search", [("model", "=", "crm.lead"), ("name", "in", list(names))])
        assert len(found) == len(names)
        return list(found)

    async def _rpc(self, service: str, method: str, *args: Any) -> Any:
        params = {"service": service, "method": method, "args": args}
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(f"{self.url}/jsonrpc", json={"jsonrpc": "2.0", "params": params})
        said = answer.raise_for_status().json()
        assert "error" not in said, said["error"]
        return said.get("result")

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, tail(self.log, 40)
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.url}/web/health")).is_success
        except httpx.TransportError:
            return False

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self._command, *options],
                cwd=self._place,
                stdout=log,
                stderr=log,
                env=os.environ | {"PGPASSWORD": self._password},
            )


@asynccontextmanager
async def running(place: Path, dsn: str, folder: Path) -> AsyncIterator[Odoo]:
    odoo = Odoo(place, dsn, folder)
    odoo.install()
    await odoo.start()
    try:
        yield odoo
    finally:
        odoo.stop()
