"""Which port each process of a demo listens on. Kept in a file, so that addresses stay the same at the next start."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

# Below the ports that the system gives to outgoing connections: nothing takes one while the demo is stopped. Above
# 10080, which browsers refuse to open (Fetch Standard, 2.9).
FIRST, LAST = 10_081, 32_000
# Chosen in this process. Whoever chose one may not listen there yet.
_chosen_ports: set[int] = set()


class Ports:
    """Ports by the name of the process. `moved` tells which of the kept ones are taken, and what is used instead."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        self._chosen: dict[str, int] = {}
        self.moved: list[str] = []

    def choose(self, name: str, preferred: int = 0) -> int:
        """The kept port if nobody listens there, else the preferred one, else any free one."""
        if name not in self._chosen:
            self._chosen[name] = self._free(name, preferred)
            _chosen_ports.add(self._chosen[name])
            self._save()
        return self._chosen[name]

    def _free(self, name: str, preferred: int) -> int:
        kept = self._kept.get(name)
        for port in (kept, preferred):
            if port and port not in self._chosen.values() and is_free(port):
                return port
        found = free_port()
        if kept:
            self.moved.append(f"port {kept} of {name} is taken by another program; it is at {found} now")
        return found

    def _save(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._kept | self._chosen, indent=1))
        new.replace(self._file)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface."""
    with socket.socket() as tried:
        # Connections of an earlier server may not have timed out yet.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that nobody listens on, and that this process has not chosen before.

    Random, since several programs may look at the same time.
    """
    while (port := random.randrange(FIRST, LAST)) in _chosen_ports or not is_free(port):
        pass
    _chosen_ports.add(port)
    return port
