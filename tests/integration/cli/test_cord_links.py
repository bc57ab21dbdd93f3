"""`andon cord links` on a real Postgres, and the demo's own link."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.demo.cord import cord_address
from services.demo.ports import Ports
from services.demo.topology import Topology
from tests.support.databases import migrated_database

POLICY = {
    "version": 1,
    "pipelines": {
        "p": {
            "name": "P",
            "owner": {"name": "O", "mail": "o@x.example"},
            "stages": [{"id": "lead", "cord": True}, {"id": "demo"}, {"id": "won", "outcome": "won"}],
        }
    },
}


@pytest.fixture
async def andon(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    monkeypatch.setenv("ANDON_POSTGRES", dsn)
    monkeypatch.setenv("ANDON_POLICY", str(tmp_path / "policy.yaml"))
    monkeypatch.setenv("ANDON_CORD_URL", "https://cord.example/")
    monkeypatch.setenv("ANDON_CORD_MAIL", "cord@andon.example")
    return dsn


async def links(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["cord", "links", *arguments])


async def test_a_link_is_shown_once_and_kept_as_a_hash(andon: str) -> None:
    made = await links("new", "p", "lead")

    assert made.exit_code == 0
    address, mail = made.stdout.split()
    token = re.fullmatch(r"https://cord\.example/cord/([a-z2-7]{26})", address)
    assert token
    assert mail == f"cord+{token[1]}@andon.example"
    assert "link 1 to the cord of p/lead; it is not shown again" in made.stderr
    connection = await asyncpg.connect(andon)
    rows = await connection.fetch("SELECT t::text FROM tickets.cord_link AS t")
    await connection.close()
    assert token[1] not in str(rows)


async def test_links_are_listed_and_revoked(andon: str) -> None:
    assert "there are no links; make one with andon cord links new" in (await links("list")).stderr
    for _ in range(2):
        await links("new", "p", "lead")

    assert "link 2 to the cord of p/lead is revoked" in (await links("revoke", "2")).stderr

    listed = (await links("list")).stdout.splitlines()
    assert listed[0].split() == ["number", "pipeline", "stage", "made", "state"]
    assert [re.sub(r"\d{4}-\d\d-\d\d", "day", line).split() for line in listed[1:]] == [
        ["1", "p", "lead", "day", "in", "force"],
        ["2", "p", "lead", "day", "revoked", "day"],
    ]
    told = json.loads((await links("list", "--format=json")).stdout)
    assert [(one["id"], one["revoked_at"] is None) for one in told] == [(1, True), (2, False)]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("new", "q", "lead"), "PIPELINE 'q' is not in the policy; use one of p"),
        (("new", "p", "nowhere"), "STAGE 'nowhere' is not a stage of p; use one of lead, demo"),
        (("new", "p", "won"), "STAGE 'won' is a closing one, where nobody works; use one of lead, demo"),
        (
            ("new", "p", "demo"),
            "the policy gives stage 'demo' no cord; write cord: true there, or for the whole pipeline",
        ),
        (("revoke", "7"), "there is no link 7; see andon cord links list"),
    ],
)
async def test_each_refusal_names_the_way_out(andon: str, arguments: tuple[str, ...], reason: str) -> None:
    refused = await links(*arguments)

    assert (refused.exit_code, refused.stdout, reason in refused.stderr) == (1, "", True)


async def test_a_link_is_revoked_once(andon: str) -> None:
    await links("new", "p", "lead")
    await links("revoke", "1")

    again = await links("revoke", "1")

    assert (again.exit_code, "link 1 is revoked already" in again.stderr) == (1, True)


async def test_the_demo_keeps_its_link(dsn: str, postgres: str, tmp_path: Path) -> None:
    topology = Topology(tmp_path, "127.0.0.1:9", dsn, Ports(tmp_path / "ports.json"))

    first, second = [await cord_address(topology) for _ in range(2)]
    topology.postgres = await migrated_database(postgres)
    third = await cord_address(topology)

    assert first == second != third
    assert re.fullmatch(rf"{topology.tickets_url}/cord/[a-z2-7]{{26}}", third)
