"""Processor seconds of every process of a demo in a minute in which nobody does anything but its simulated CRM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from services.demo.topology import SERVICES
from tests.bench.figures import Figure, at_most
from tests.bench.usage import processor_seconds

# Of one core, in percent, without Kafka and Postgres.
MOST = 3.0
# Loading half a year of history comes first; after it, what is left of it is evaluated and mailed.
_START_SECONDS, SETTLE_SECONDS = 900, 60
_READY = "Andon is running"
_SERVERS = ("java", "postgres")


async def measure(folder: Path, seconds: int, show: Callable[[str], None]) -> list[Figure]:
    """A demo of its own, from an empty folder."""
    log = folder / "demo.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANDON_")}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli.main", "demo", "--folder", str(folder / "demo")),
            env=environment | {"COLUMNS": "200"},
            stdout=output,
            stderr=output,
        )
    try:
        show("idle: starting a demo")
        await _started(log, process)
        show(f"idle: letting it come to rest for {SETTLE_SECONDS} s")
        await asyncio.sleep(SETTLE_SECONDS)
        show(f"idle: watching it for {seconds} s")
        demo = psutil.Process(process.pid)
        before = _used(demo)
        await asyncio.sleep(seconds)
        used = {name: spent - before.get(name, 0.0) for name, spent in _used(demo).items()}
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
    return figures_of(used, seconds)


async def _started(log: Path, process: asyncio.subprocess.Process) -> None:
    """Wait until the demo shows its addresses. Raises RuntimeError where it ends before."""
    async with asyncio.timeout(_START_SECONDS):
        while _READY not in (text := _text(log)):
            if process.returncode is not None:
                raise RuntimeError(f"the demo ended:\n{text[-2000:]}")
            await asyncio.sleep(0.5)


def _text(log: Path) -> str:
    return log.read_text(errors="replace")


def _used(demo: psutil.Process) -> dict[str, float]:
    """Processor seconds up to now, by process."""
    used = {"the demo itself": sum(demo.cpu_times()[:2])}
    for child in demo.children():
        used[_name(child)] = used.get(_name(child), 0.0) + processor_seconds(child)
    return used


def _name(process: psutil.Process) -> str:
    program = process.name()
    return program if program in _SERVERS else name_of(process.cmdline())


def name_of(command: list[str]) -> str:
    """What runs as `python -m MODULE ARGUMENTS`: the command of `andon`, else the module."""
    module, *arguments = command[2:]
    return arguments[0] if module == "services.cli.main" else module


def figures_of(used: Mapping[str, float], seconds: float) -> list[Figure]:
    """In percent of one core; the sum is without the servers."""
    share = {name: 100 * spent / seconds for name, spent in used.items()}
    missing = set(SERVICES) - set(share)
    assert not missing, f"no process of {missing}; there are {sorted(share)}"
    own = sum(percent for name, percent in share.items() if name not in _SERVERS)
    return [
        at_most("idle, all of Andon", own, "% of a core", MOST),
        *(Figure(f"idle, {name}", percent, "% of a core") for name, percent in sorted(share.items())),
    ]
