"""What the dashboards show of the demo: everything but what a demo does not have. `make panels` runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from services.demo.server import tail
from shared.postgres.report import ROLE, grant_report
from tests.integration.deploy.test_observed import EMPTY_AT_FIRST, needs_prometheus, watching
from tests.support.grafana import panels
from tests.support.panel_answers import DataSources
from tests.support.waiting import eventually

pytestmark = [
    needs_prometheus,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.environ.get("ANDON_TEST_PANELS") != "1", reason="takes minutes: make panels"),
]
# There is no verdict yet, no enricher, and no other system; and what every installation waits for.
LACKING = {
    *("line: How many deals wait to be fetched?", "line: What do CRMs answer?", "line: Which CRM refuses us?"),
    *("line: Are messages to other systems late?", "line: What became of messages to other systems?"),
    *("line: Which were given up?", "line: How long do CRMs take?", "flow: Which stages does nobody watch?"),
    *("start: Webhooks answered in time", "start: Events seen in time", "start: Mails sent in time"),
    *(name for name in EMPTY_AT_FIRST if name.startswith(("start", "line", "service", "improvement"))),
}
# Its story has problems and deals over their age limit, and nobody at work on the tickets.
ALARMING = {
    *("flow: How do the stages stand now?", "flow: Which problems, and when?"),
    *("flow: How many deals are over their age limit?", "improvement: Not seen for a day"),
}


class DemoService(NamedTuple):
    """A service of the demo."""

    port: int


@contextmanager
def demo(folder: Path) -> Iterator[Path]:
    """A demo that runs; its log."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANDON_")}
    command = [sys.executable, "-m", "services.cli.main", "demo", "--folder", str(folder / "demo")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield folder / "log"
    finally:
        process.terminate()
        process.wait(60)


async def test_the_demo_shows_all_that_it_has(tmp_path: Path) -> None:
    with demo(tmp_path) as log:

        async def address() -> str:
            found = re.search(r"export ANDON_POSTGRES=(\S+)", log.read_text())
            return found[1] if found else ""

        dsn = await eventually(address, within=300)
        await grant_report(dsn)
        ports = json.loads((tmp_path / "demo" / "ports.json").read_text())
        services = {name: DemoService(ports[name]) for name in ("intake", "detector", "analyst", "tickets", "notifier")}
        connection = await asyncpg.connect(dsn)
        await connection.execute(f"SET ROLE {ROLE}")
        async with watching(services, tmp_path) as url:
            await looks_right(DataSources(url, connection))
        await connection.close()
        assert "Traceback" not in tail(log, 100)


async def looks_right(data: DataSources) -> None:
    rows = await data.postgres.fetch("SELECT pipeline, stage FROM report.stage")
    chosen = {"pipeline": sorted({row["pipeline"] for row in rows}), "stage": ["", *(row["stage"] for row in rows)]}

    async def empty() -> set[str]:
        return {name for name, one in (await data.shown(chosen)).items() if one.is_empty}

    assert {one.name for one in panels()} >= LACKING
    assert await eventually(empty, LACKING.issuperset, 240)
    assert set(await data.alarming(chosen)) == ALARMING
    await data.run_others(chosen)
