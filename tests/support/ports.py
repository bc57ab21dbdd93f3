"""Free ports below those that the system gives to outgoing connections, so that nothing takes one before its owner."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 10_000, 32_000


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on; by chance, since several runs may look at the same time."""
    while True:
        port = random.randrange(FIRST, LAST)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
