"""What the demo's Kafka and Postgres share: one process with its data in a folder, on a loopback port."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from services.demo.ports import free_port
from services.demo.restart_delay import RestartDelay

STOP_SECONDS = 30


class ServerError(Exception):
    """A server did not start or cannot be used; the message includes the end of its log."""


class Server(ABC):
    """A server process that keeps its port and its data when it is restarted.

    `on_start` is called with the process id after each start.
    """

    name: str

    def __init__(
        self, folder: Path, port: int | None = None, on_start: Callable[[int], None] = lambda pid: None
    ) -> None:
        self.folder, self._on_start = folder, on_start
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._delay = RestartDelay()

    def start(self, within_seconds: float = 60) -> None:
        """Start, and wait until it accepts connections; raises ServerError if it exits or takes too long."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = process = self._launch()
        self._on_start(process.pid)
        deadline = time.monotonic() + within_seconds
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                # One that is only slow would keep the port, and never count as ended.
                process.kill()
                raise ServerError(f"{self.name} did not start:\n{tail(self.log)}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Shut down cleanly; kill the process if that takes too long."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again with the same port and data."""
        self.start()

    def has_ended(self) -> bool:
        """Whether it exited or was killed, by others than us."""
        return self._process is not None and self._process.poll() is not None

    def is_restart_due(self, now: float) -> bool:
        """Whether a server that has ended may be started again; `now` is monotonic time. True once for each end."""
        if self._delay.left(now) > 0:
            return False
        self._delay.restarted(now)
        return True

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name.lower()}.log"

    @abstractmethod
    def _launch(self) -> subprocess.Popen[bytes]:
        """Start the process in a separate session: Ctrl-C must reach only the demo."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether it accepts connections."""

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            wait_or_kill(process, STOP_SECONDS)


def wait_or_kill(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until the process has ended; kill it after `seconds`."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """Whether something on this machine accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"
