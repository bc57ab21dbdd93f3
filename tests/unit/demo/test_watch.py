"""A killed server of the demo is restarted on its port, with a message; not while everything stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from services.demo import restart_delay
from services.demo.server import Server, answers
from services.demo.watch import Watch
from tests.support.waiting import eventually


class WebServer(Server):
    """A small server of its own."""

    name = "Web"
    pid = 0

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        self.pid = process.pid
        return process

    def _is_ready(self) -> bool:
        return answers(self.port)


async def _told(told: list[str], text: str) -> bool:
    return any(text in line for line in told)


async def test_a_killed_server_is_started_again_on_its_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart_delay, "MAX_RESTART_DELAY", 0.0)
    told: list[str] = []
    server = WebServer(tmp_path / "web")
    server.start()
    watch = Watch(told.append, lambda name, pid: None)
    watch.add(server)
    port, first = server.port, server.pid

    os.kill(first, signal.SIGKILL)
    await eventually(partial(_told, told, "Web runs again"))

    assert (server.port, answers(port), server.pid != first) == (port, True, True)
    assert "Web ended, restarting it" in told[0]
    watch.close()
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    assert len(told) == 2
