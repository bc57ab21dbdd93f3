"""Ports of the demo stay the same at the next start, unless another program has taken one."""

from __future__ import annotations

import socket
from pathlib import Path

from services.demo.ports import FIRST, LAST, Ports, free_port
from services.demo.topology import POLICY, Topology


def test_a_port_is_kept_for_the_next_start(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = Ports(file)
    chosen = {name: first.choose(name) for name in ("kafka", "postgres", "tickets")}

    again = Ports(file)

    assert {name: again.choose(name) for name in reversed(chosen)} == chosen
    assert len(set(chosen.values())) == 3
    assert again.moved == []


def test_the_preferred_port_is_used_unless_it_is_taken(tmp_path: Path) -> None:
    preferred = free_port()

    assert Ports(tmp_path / "a").choose("tickets", preferred) == preferred
    with socket.create_server(("127.0.0.1", preferred)):
        assert Ports(tmp_path / "b").choose("tickets", preferred) != preferred


def test_a_kept_port_that_is_taken_is_replaced_and_reported(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    kept = Ports(file).choose("tickets")
    with socket.create_server(("127.0.0.1", kept)):
        ports = Ports(file)
        other = ports.choose("tickets")

    assert other != kept
    assert ports.moved == [f"port {kept} of tickets is taken by another program; it is at {other} now"]
    assert Ports(file).choose("tickets") == other


def test_the_settings_for_another_terminal_are_complete_and_hold_no_password(tmp_path: Path) -> None:
    def exports(dsn: str) -> list[str]:
        return Topology(tmp_path, "127.0.0.1:9092", dsn, Ports(tmp_path / "ports.json")).exports()

    assert exports("postgresql://andon@127.0.0.1:5432/postgres") == [
        "export ANDON_KAFKA=127.0.0.1:9092",
        f"export ANDON_POLICY={POLICY}",
        "export ANDON_POSTGRES=postgresql://andon@127.0.0.1:5432/postgres",
        f"export ANDON_SOURCES={tmp_path / 'sources.yaml'}",
    ]
    assert not any("secret" in line for line in exports("postgresql://andon:secret@db/andon"))


def test_browsers_open_every_port_that_is_chosen() -> None:
    # Fetch Standard, 2.9, "bad port".
    refused = (6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080)
    assert not [port for port in refused if FIRST <= port < LAST]
