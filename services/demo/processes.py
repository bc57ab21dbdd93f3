"""The processes of the demonstration: started with a log of their own, watched, started again, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from services.demo.kafka import ServerError, tail

STOP_WITHIN_SECONDS = 20
# What runs for so long has not failed at its start.
STEADY_SECONDS = 60
LONGEST_PAUSE = 10.0


class Child:
    """One process. `port` answers /readyz where it is a service."""

    def __init__(
        self, name: str, arguments: list[str], environment: Mapping[str, str], log: Path, port: int | None = None
    ) -> None:
        self.name, self.port, self.log = name, port, log
        self._command = [sys.executable, "-m", *arguments]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._begun_again, self._short_runs = 0.0, 0
        self._due: float | None = None

    def start(self, started: Callable[[str, int], None]) -> None:
        """Start it, and tell `started` its process."""
        # A session of its own: Ctrl-C in the terminal is for the demonstration, which ends its processes in order.
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        started(self.name, self._process.pid)

    def wait_until_ready(self, within_seconds: float = 60) -> None:
        deadline = time.monotonic() + within_seconds
        while not self._is_ready():
            if self.has_ended() or time.monotonic() > deadline:
                raise ServerError(f"{self.name} did not start. The end of {self.log}:\n{tail(self.log)}")
            time.sleep(0.05)

    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def pause(self, now: float) -> float:
        """Seconds until it is due to be started again: 1, 2, 4 ... 10 while it ends soon after each start.

        `now`: of a clock that never goes back. It is noted with the first call after each end.
        """
        if self._due is None:
            self._short_runs = self._short_runs + 1 if now - self._begun_again < STEADY_SECONDS else 0
            self._due = now + min(LONGEST_PAUSE, 2.0 ** max(0, self._short_runs))
        return max(0.0, self._due - now)

    def start_again(self, now: float, started: Callable[[str, int], None]) -> bool:
        """Start it if it is due; whether it was."""
        if self.pause(now) > 0:
            return False
        self._due, self._begun_again = None, now
        self.start(started)
        return True

    def ask_to_end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait_for_end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(STOP_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _is_ready(self) -> bool:
        path = "/readyz" if self._command[2] == "services.cli.main" else "/"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def end_all(children: list[Child]) -> None:
    """All at once, then wait for each."""
    for child in children:
        child.ask_to_end()
    for child in children:
        child.wait_for_end()
