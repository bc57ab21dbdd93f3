"""Workers share one server: started once, stopped after the last, started again for later ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.support.shared_server import shared


class CountedServer:
    """Counts its starts; `running` is whether it would answer now."""

    def __init__(self) -> None:
        self.starts, self.running = 0, False

    @contextmanager
    def start(self, folder: Path) -> Iterator[str]:
        assert not self.running
        self.starts, self.running = self.starts + 1, True
        yield f"address {self.starts}"
        self.running = False


def test_one_server_runs_until_the_last_worker_has_ended(tmp_path: Path) -> None:
    server, all_in = CountedServer(), threading.Barrier(4)

    def work(_: int) -> tuple[str, bool]:
        with shared(tmp_path / "kafka", server.start) as address:
            all_in.wait(60)
            return address, server.running

    with ThreadPoolExecutor(4) as workers:
        assert list(workers.map(work, range(4))) == [("address 1", True)] * 4
    assert (server.starts, server.running) == (1, False)


def test_a_worker_that_needs_it_later_gets_another(tmp_path: Path) -> None:
    server = CountedServer()

    for number in (1, 2):
        with shared(tmp_path / "kafka", server.start) as address:
            assert address == f"address {number}"
