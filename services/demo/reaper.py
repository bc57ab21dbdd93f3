"""Ends the demonstration's processes when the demonstration itself was killed, so that none is left behind.

It learns of each process by a line "name pid" on its standard input, whose end is the end of the demonstration, and
holds the folder's lock as long as it runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

END_WITHIN_SECONDS = 20


class Guard:
    """The guard as the demonstration sees it: started once, told of every process, dismissed at the end."""

    def __init__(self, lock: IO[str], log: Path) -> None:
        told, self._tell = os.pipe()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.demo.reaper"],
                stdin=told,
                stdout=output,
                stderr=output,
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
        os.close(told)

    def watch(self, name: str, pid: int) -> None:
        """`name` runs as `pid` now, and no longer as another."""
        # One write: several threads start processes.
        os.write(self._tell, f"{name}\t{pid}\n".encode())

    def dismiss(self) -> None:
        """Everything has ended."""
        os.close(self._tell)
        self._process.wait()


def main() -> None:
    """Read to the end, then end what is still there."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    running: dict[str, int] = {}
    for line in sys.stdin:
        name, _, pid = line.rstrip("\n").partition("\t")
        running[name] = int(pid)
    _end(list(running.values()))


def _end(pids: list[int]) -> None:
    # Interrupt: to Postgres SIGTERM would mean to wait for its clients.
    left = _signal(pids, signal.SIGINT)
    deadline = time.monotonic() + END_WITHIN_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = _signal(left, 0)
    _signal(left, signal.SIGKILL)


def _signal(pids: list[int], number: int) -> list[int]:
    """Those that were there."""
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
