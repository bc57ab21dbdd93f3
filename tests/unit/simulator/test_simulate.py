"""An interrupted `andon simulate` resumes the same history, not one with another end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from services.cli.simulation import Simulation, check_target
from services.demo.ports import free_port
from services.simulator.run import SimulationJournal


class Rejecting(BaseHTTPRequestHandler):
    """Rejects every webhook."""

    def do_POST(self) -> None:
        self.send_error(401)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        """Silent."""


@pytest.fixture
def rejecting() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Rejecting)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/ingest/hubspot-demo"
    server.shutdown()
    server.server_close()


def test_an_interrupted_history_is_posted_again_with_the_same_end(rejecting: str, tmp_path: Path) -> None:
    journal = tmp_path / "crm.json"
    for end in ("2026-07-01T09:00:00Z", "2026-07-02T09:00:00Z"):
        with pytest.raises(ValueError, match="answered 401"):
            Simulation(7, 30, end, journal).post(rejecting, "secret")

    kept = SimulationJournal.model_validate_json(journal.read_text())

    assert kept.end.isoformat() == "2026-07-01T09:00:00+00:00"
    assert not kept.history


@pytest.mark.parametrize(
    ("url", "words"),
    [
        # By an id of its own: workers must collect the same names.
        pytest.param(
            f"http://127.0.0.1:{free_port()}/v1/ingest/crm", "nothing listens there; start intake", id="nobody"
        ),
        ("http://nowhere.invalid/v1/ingest/crm", "its host name cannot be resolved; start intake"),
        ("127.0.0.1:8081", "is not an address"),
        ("http://a:port/", "is not an address"),
    ],
)
def test_a_receiver_that_is_not_there_is_reported(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_target(url, "secret", "hubspot")


def test_a_receiver_that_answers_is_taken(rejecting: str) -> None:
    assert check_target(rejecting, "secret", "hubspot") == rejecting
