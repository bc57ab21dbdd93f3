"""The demo's own Kafka and Postgres: restarted when they are killed, at the same addresses at the next start."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.waiting import eventually
from tests.system.test_line import DemoProcess


def pid_of(word: str, place: str) -> int:
    """The process whose command line has both."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    (found,) = [line for line in listed.splitlines() if word in line and place in line]
    return int(found.split()[0])


def addresses(demo: DemoProcess) -> list[str]:
    """Every address that it printed, and every setting."""
    return re.findall(r"http://\S+|^export .*$", demo.log.read_text(), re.MULTILINE)


@pytest.mark.slow
async def test_killed_servers_are_restarted_and_ports_stay(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with closing(DemoProcess(folder, {})) as first:
        # While the history is loaded, the busiest time of a demo.
        await eventually(partial(_logged, first, "mail inbox and services"), within=120)
        await _kill(first, folder)
        pages = await first.url("Tickets")
        await eventually(lambda: _is_ready(pages), within=60)
        before = addresses(first)
        assert await asyncio.to_thread(first.end) == 0

    exported = dict(re.findall(r"export (ANDON_KAFKA|ANDON_POSTGRES)=(\S+)", "\n".join(before)))
    # As in a terminal where the settings were exported: they name the demo's own servers.
    with closing(DemoProcess(folder, exported)) as second:
        await second.url("Tickets")
        await eventually(lambda: _logged(second, "export ANDON_SOURCES="))
        assert addresses(second) == before
        assert await asyncio.to_thread(second.end) == 0


async def _kill(demo: DemoProcess, folder: Path) -> None:
    """Kill both servers, and wait until they have been restarted."""
    data = str((folder / "postgres" / "data").resolve())
    for pid in (pid_of("kafka.Kafka", str(folder)), pid_of("bin/postgres -D", data)):
        os.kill(pid, signal.SIGKILL)
    for name in ("Kafka", "Postgres"):
        await _until_logged(demo, f"{name} runs again")


async def _until_logged(demo: DemoProcess, text: str) -> None:
    """Wait; show what the demo said instead."""
    try:
        await eventually(partial(_logged, demo, text), within=180)
    except AssertionError:
        raise AssertionError(f"no {text!r} in:\n{demo.log.read_text()}") from None


async def _logged(demo: DemoProcess, text: str) -> bool:
    return text in demo.log.read_text()


async def _is_ready(pages: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{pages}/readyz")).is_success
        except httpx.TransportError:
            return False
