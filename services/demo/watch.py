"""Restarts servers and processes of the demo that ended or were killed, and says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from services.demo.processes import ChildProcess, OnStart
from services.demo.server import Server, ServerError, tail

INTERVAL_SECONDS = 0.5


class Watch:
    """Looks after what was added, in a thread, from the first start on. `tell` prints a line."""

    def __init__(self, tell: Callable[[str], None], on_start: OnStart) -> None:
        self._tell, self._on_start = tell, on_start
        self._watched: list[Server | ChildProcess] = []
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, *started: Server | ChildProcess) -> None:
        """Watch these from now on; they have been started."""
        self._watched += started

    def close(self) -> None:
        """Stop watching, before what is watched is stopped; waits for a restart in progress. Safe to repeat."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(INTERVAL_SECONDS):
            for one in list(self._watched):
                if one.has_ended() and not self._closed.is_set():
                    self._restart(one)

    def _restart(self, ended: Server | ChildProcess) -> None:
        if isinstance(ended, ChildProcess):
            if ended.restart_if_due(time.monotonic(), self._on_start):
                self._tell(f"{ended.name} ended and was restarted. {ended.log}:\n{tail(ended.log, 5)}")
        elif ended.is_restart_due(time.monotonic()):
            self._tell(f"{ended.name} ended, restarting it ... {ended.log}:\n{tail(ended.log, 3)}")
            try:
                ended.restart()
            except (ServerError, OSError) as error:
                self._tell(f"{ended.name} could not be restarted, trying again: {error}")
                return
            self._tell(f"{ended.name} runs again, with the same address and data.")
