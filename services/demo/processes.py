"""A child process of the demo: writes its own log, is restarted with a growing delay when it exits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from services.demo.restart_delay import RestartDelay
from services.demo.server import ServerError, tail, wait_or_kill

STOP_SECONDS = 20
OnStart = Callable[[str, int], None]


class ChildProcess:
    """`python -m ARGUMENTS` with extra environment; `health` is a path that answers 200 once it is ready."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        environment: Mapping[str, str],
        log: Path,
        port: int | None = None,
        health: str = "/",
    ) -> None:
        self.name, self.log = name, log
        self._health = f"http://127.0.0.1:{port}{health}"
        self._command = [sys.executable, "-m", *arguments]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._delay = RestartDelay()

    def start(self, on_start: OnStart) -> None:
        """Start it, and report its name and process id to `on_start`."""
        # In a separate session: Ctrl-C must reach only the demo, which stops its processes in order.
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        on_start(self.name, self._process.pid)

    def wait_until_ready(self, within_seconds: float = 60) -> None:
        """Raises ServerError with the end of its log if it exits or takes too long."""
        deadline = time.monotonic() + within_seconds
        while not self._is_ready():
            if self.has_ended() or time.monotonic() > deadline:
                raise ServerError(f"{self.name} did not start. The end of {self.log}:\n{tail(self.log)}")
            time.sleep(0.05)

    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def restart_delay(self, now: float) -> float:
        """Seconds until the next restart is due; `now` is monotonic time."""
        return self._delay.left(now)

    def restart_if_due(self, now: float, on_start: OnStart) -> bool:
        """Start it if its delay has passed; whether it was started."""
        if self.restart_delay(now) > 0:
            return False
        self._delay.restarted(now)
        self.start(on_start)
        return True

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Wait until it has ended; kill it if that takes too long."""
        process, self._process = self._process, None
        if process is not None:
            wait_or_kill(process, STOP_SECONDS)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._health, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def stop_all(children: Iterable[ChildProcess]) -> None:
    """Send SIGTERM to all, then wait for each."""
    children = list(children)
    for child in children:
        child.terminate()
    for child in children:
        child.wait()
