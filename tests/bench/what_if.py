"""Processor time and memory of `andon what-if` over a million events with every kind of rule, against bare reading."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from tests.bench.figures import Figure, at_most

SHOP = Path(__file__).parents[1] / "data" / "shop"
EVENTS = 1_000_000
_BARE = "import collections, orjson, sys; collections.deque(map(orjson.loads, open(sys.argv[1], 'rb')), maxlen=0)"


class _Usage(NamedTuple):
    """Of one process: processor time in seconds, and the most resident memory in MB."""

    seconds: float
    memory: float


def measure(folder: Path, rounds: int, show: Callable[[str], None]) -> list[Figure]:
    """The least of `rounds` rounds: what other processes take from the caches is no cost of these."""
    show(f"what-if: writing {EVENTS} events")
    log = folder / "events.jsonl"
    _write(log)
    command = ["-m", "services.cli.main", "what-if", str(log), "--policy", str(SHOP / "policy.yaml")]
    bare, mine = list[_Usage](), list[_Usage]()
    for number in range(rounds):
        show(f"what-if, round {number + 1} of {rounds}")
        bare.append(_run(["-c", _BARE, str(log)]))
        mine.append(_run([*command, "--format", "json", "--measures"]))
    log.unlink()
    seconds = min(one.seconds for one in mine)
    return [
        Figure(f"bare reading of {EVENTS} lines as JSON, processor time", min(one.seconds for one in bare), "s"),
        at_most(f"what-if over {EVENTS} events, processor time", seconds, "s", 15),
        Figure("what-if against bare reading", seconds / min(one.seconds for one in bare), "x"),
        at_most(f"what-if over {EVENTS} events, memory", max(one.memory for one in mine), "MB", 1000),
    ]


def _write(path: Path) -> None:
    """The log of the shop, each deal many times: as many open deals, in the order of time."""
    with gzip.open(SHOP / "events.jsonl.gz") as lines:
        events = [orjson.loads(line) for line in lines]
    copies, written = -(-EVENTS // len(events)), 0
    with path.open("wb") as out:
        for event in events:
            for copy in range(min(copies, EVENTS - written)):
                out.write(orjson.dumps(_copy(event, copy)) + b"\n")
                written += 1


def _copy(event: dict[str, object], number: int) -> dict[str, object]:
    data = event["data"]
    assert isinstance(data, dict)
    if data.get("into"):
        data = data | {"into": f"{data['into']}x{number}"}
    return event | {"id": f"{event['id']}-{number}", "subject": f"{event['subject']}x{number}", "data": data}


def _run(arguments: Sequence[str]) -> _Usage:
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return _Usage(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
