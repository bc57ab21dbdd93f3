"""Forks services and commands from a process that has imported them: importing took a fifth of the suite's time.

A forked program has a pid, environment, signals and an end of its own, and begins where `python -m services.cli.main`
does. Only hash seeds are those of the nursery. Demo and containers start services as users do.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[2]
SERVICES = ("intake", "detector", "analyst", "tickets", "notifier", "enricher")


class _Start(NamedTuple):
    """Asks for `andon <arguments>` in `folder`, whose output is added to the end of `log`. The answer is its pid."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    log: str


class _Poll(NamedTuple):
    """Asks how a process ended, or None while it runs: minus the signal that killed it, or its exit code."""

    pid: int


class Nursery:
    """The process that forks. It ends when this end of the connection does."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        self._lock = threading.Lock()
        with theirs:
            command = [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno())]
            # The first test that starts a service may have gone to another folder.
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], cwd=_ROOT)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> ForkedProgram:
        # As with a program, it is there at once.
        log.touch()
        return ForkedProgram(self, self._ask(_Start(arguments, dict(environment), str(Path.cwd()), str(log))))

    def poll(self, pid: int) -> int | None:
        return self._ask(_Poll(pid))

    def _ask(self, question: _Start | _Poll) -> int | None:
        with self._lock:
            self._connection.send(question)
            answer: int | None = self._connection.recv()
            return answer


class ForkedProgram:
    """One `andon`, with what `subprocess.Popen` would offer."""

    def __init__(self, nursery: Nursery, pid: int | None) -> None:
        assert pid is not None
        self.pid, self._nursery = pid, nursery
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            self._code = self._nursery.poll(self.pid)
        return self._code

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} goes on after {timeout:.0f} s")
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


@cache
def nursery() -> Nursery:
    """The one of this process."""
    return Nursery()


def _serve(connection: Connection) -> _Start:
    """Fork whenever asked. Returns only in a child, with what it is to be."""
    gc.collect()
    gc.freeze()
    while True:
        question = connection.recv()
        if isinstance(question, _Poll):
            ended, status = os.waitpid(question.pid, os.WNOHANG)
            connection.send(os.waitstatus_to_exitcode(status) if ended else None)
            continue
        if (pid := os.fork()) == 0:
            connection.close()
            return question
        connection.send(pid)


def _become(one: _Start) -> None:
    log = os.open(one.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    os.chdir(one.folder)
    os.environ.clear()
    os.environ.update(one.environment)
    time.tzset()
    sys.argv = ["andon", *one.arguments]
    import_module("services.cli.main").app()


def main() -> None:
    for service in SERVICES:
        import_module(f"services.{service}.app")
    import_module("services.cli.main")
    try:
        one = _serve(Connection(int(sys.argv[1])))
    except (EOFError, ConnectionError):
        return
    _become(one)


if __name__ == "__main__":
    # Questions are of the classes of this module under its own name.
    import_module("tests.support.nursery").main()
