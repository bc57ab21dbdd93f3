"""Services as real processes, started, stopped and killed as an operator would."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from services.demo.ports import free_port
from services.demo.server import tail
from tests.support.nursery import ForkedProgram, nursery

_numbers = count(1)


def _plain() -> dict[str, str]:
    """The environment without settings of Andon."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ANDON_")}


class ServiceProcess:
    """One `andon <service>` that logs to a file.

    `is_forked`: as tests do, which start hundreds; benches and chaos start each as a program.
    """

    is_forked = False

    def __init__(self, service: str, environment: Mapping[str, str], folder: Path, port: int | None = None) -> None:
        self.service, self.port = service, port or free_port()
        self.log = folder / f"{service}-{self.port}.log"
        own = {"ANDON_PORT": str(self.port), "ANDON_REPLICA": f"{service}-{self.port}", "ANDON_LOG": "console"}
        self._environment = {**_plain(), **own, **environment}
        self._process: subprocess.Popen[bytes] | ForkedProgram | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> ServiceProcess:
        if self.is_forked:
            self._process = nursery().start([self.service], self._environment, self.log)
            return self
        command = [sys.executable, "-m", "services.cli.main", self.service]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        return self

    def ready(self, within: float = 120) -> ServiceProcess:
        """Wait until /readyz returns 200; kill the process where it does not."""
        deadline = time.monotonic() + within
        while not self._is_ready():
            assert self._process is not None
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                # Nobody else stops what did not become ready.
                self.kill()
                raise AssertionError(f"{self.service} is not ready:\n{tail(self.log, 40)}")
            time.sleep(0.1)
        return self

    def has_ended(self) -> bool:
        """Whether it was started and exited by itself."""
        return self.exit_code() is not None

    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal and do not wait."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL and wait."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        return self._end(signal.SIGTERM)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    def _is_ready(self) -> bool:
        try:
            self.get("/readyz")
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(60)


class CommandProcess:
    """One `andon <arguments>`, started, that says what it says to a file in `folder`."""

    def __init__(self, arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> None:
        self._log = folder / f"{arguments[0]}-{next(_numbers)}.log"
        self._process = nursery().start(arguments, {**_plain(), **environment}, self._log)

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """Send SIGKILL and wait."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)

    async def ended(self, within: float = 300) -> tuple[int, str]:
        """Wait; the exit code, and all that it said."""
        code = await asyncio.to_thread(self._process.wait, within)
        return code, self._log.read_text()
