"""`andon simulate` when it is cut off: the next run tells the same history, not one that ends at another time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from services.cli.commands.simulate import simulate
from services.simulator.run import SimulationJournal


class Refusing(BaseHTTPRequestHandler):
    """Takes no webhook."""

    def do_POST(self) -> None:
        self.send_error(401)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Nothing: the answer is all that matters."""


@pytest.fixture
def refusing() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/ingest/hubspot-demo"
    server.shutdown()
    server.server_close()


def test_a_history_that_was_cut_off_is_told_again_with_the_same_end(refusing: str, tmp_path: Path) -> None:
    journal = tmp_path / "crm.json"
    for end in ("2026-07-01T09:00:00Z", "2026-07-02T09:00:00Z"):
        with pytest.raises(ValueError, match="answered 401"):
            simulate(refusing, "secret", None, None, 7, 30, end, False, 20, journal)

    kept = SimulationJournal.model_validate_json(journal.read_text())

    assert kept.end.isoformat() == "2026-07-01T09:00:00+00:00"
    assert not kept.history
