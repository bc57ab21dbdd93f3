"""Kills the processes of a demo that was itself killed.

The reaper is a separate process. It reads lines "name<tab>pid" from standard input, where end of file means that the
demo has exited, and holds the lock on the demo's folder while it runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

STOP_SECONDS = 20


class Reaper:
    """The demo's handle on the reaper process."""

    def __init__(self, lock: IO[str], log: Path) -> None:
        """Start it; it inherits `lock`, an open and locked file."""
        read_end, self._write_end = os.pipe()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.demo.reaper"],
                stdin=read_end,
                stdout=output,
                stderr=output,
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
        os.close(read_end)

    def register(self, name: str, pid: int) -> None:
        """Report that `name` now runs as `pid`; replaces an earlier process of this name."""
        # A single write, since several threads start processes.
        os.write(self._write_end, f"{name}\t{pid}\n".encode())

    def close(self) -> None:
        """Make it kill what still runs, and wait for it to exit."""
        os.close(self._write_end)
        self._process.wait()


def main() -> None:
    """Read to end of file, then stop the processes that still run."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    running: dict[str, int] = {}
    for line in sys.stdin:
        name, _, pid = line.rstrip("\n").partition("\t")
        running[name] = int(pid)
    _end(list(running.values()))


def _end(pids: list[int]) -> None:
    # SIGINT, because Postgres would wait for its clients on SIGTERM.
    remaining = _signal(pids, signal.SIGINT)
    deadline = time.monotonic() + STOP_SECONDS
    while remaining and time.monotonic() < deadline:
        time.sleep(0.1)
        remaining = _signal(remaining, 0)
    _signal(remaining, signal.SIGKILL)


def _signal(pids: list[int], number: int) -> list[int]:
    """Send a signal; returns the processes that exist."""
    found = []
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        found.append(pid)
    return found


if __name__ == "__main__":
    main()
