"""A server that cannot be used is reported at once, in one line that names the setting to change."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.errors import explain
from services.cli.main import app
from services.demo.ports import free_port
from shared.policy import PolicyError
from shared.runtime.yaml_file import Fault

EVENT = (
    '{"specversion":"1.0","id":"1","source":"crm","type":"andon.deal.moved","subject":"crm:1",'
    '"time":"2026-03-02T09:00:00Z","data":{"pipeline":"new","stage":"lead"}}\n'
)
STAGES = "stages:\n  - {source: crm, pipeline: default, stage: a, name: A}\n"
KAFKA, POSTGRES = "ANDON_KAFKA", "ANDON_POSTGRES"
# Every command that needs a server, and the settings of all that it needs.
COMMANDS = {
    "topics create": [KAFKA],
    "migrate": [POSTGRES],
    "dead-letters list": [KAFKA],
    "dead-letters show x": [KAFKA],
    "dead-letters redrive": [KAFKA],
    "dead-letters dismiss --all": [KAFKA],
    "stages list": [POSTGRES],
    "stages import stages.yaml": [KAFKA],
    "hold": [POSTGRES],
    "reevaluate --since 2026-03-01": [POSTGRES],
    "replay events.jsonl": [KAFKA],
    "import deals.csv --source crm": [KAFKA, POSTGRES],
    "reconcile --source crm": [KAFKA, POSTGRES],
    "backfill --source crm --since 2026-03-01": [KAFKA, POSTGRES],
    "retranslate --source crm --since 2026-03-01": [KAFKA],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with every file that a command reads."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.jsonl").write_text(EVENT)
    (tmp_path / "stages.yaml").write_text(STAGES)
    (tmp_path / "deals.csv").write_text("id,stage,created\n1,Lead,2026-03-01\n")
    (tmp_path / "sources.yaml").write_text("sources:\n  crm: {kind: cloudevents, secrets: [a-token-that-is-long]}\n")
    monkeypatch.setenv("ANDON_POLICY", str(Path(__file__).parents[3] / "services/demo/policy.yaml"))
    return tmp_path


def run(command: str, port: int, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setenv(KAFKA, f"127.0.0.1:{port}")
    monkeypatch.setenv(POSTGRES, f"postgresql://andon:a-secret@localhost:{port}/andon?password=another-secret")
    return CliRunner().invoke(app, command.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_servers_that_are_not_there_are_reported_one_per_line(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(command, free_port(), monkeypatch)

    lines = [line for line in result.stderr.splitlines() if line]
    assert (result.exit_code, len(lines)) == (1, len(COMMANDS[command])), result.stderr
    for line, name in zip(lines, COMMANDS[command], strict=True):
        assert f"({name}) cannot be used: nothing listens there; start it, or set its address" in line
    assert "secret" not in result.stderr


@pytest.mark.parametrize(
    ("command", "content", "words"),
    [
        ("replay events.jsonl", None, "No such file"),
        ("replay events.jsonl", EVENT + "{broken\n", "events.jsonl, line 2: is not one JSON object"),
        ("replay events.jsonl", EVENT.replace("2026-", "2999-"), "line 1: time: 2999-03-02T09:00:00.000000Z is in the"),
        ("replay events.jsonl", "id,stage\n1,Lead\n", "is a table, not a file of events"),
        ("import events.jsonl --source crm", None, "No such file"),
        ("import events.jsonl --source crm", "no table\n", "cannot be split into columns"),
        ("import events.jsonl --source CRM", "id,stage\n", "--source CRM"),
        ("stages import events.jsonl", None, "No such file"),
    ],
)
def test_a_fault_of_the_file_is_reported_before_the_servers_are_asked(
    command: str, content: str | None, words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "events.jsonl").unlink()
    if content is not None:
        (folder / "events.jsonl").write_text(content)

    result = run(command, free_port(), monkeypatch)

    assert result.exit_code in (1, 2)
    assert words in " ".join(result.stderr.split())
    assert KAFKA not in result.stderr


@pytest.fixture
def frozen() -> Iterator[int]:
    """The port of a server that takes connections and never answers, as a frozen one."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize("command", ["stages list", "reevaluate --since 2026-03-01", "dead-letters list"])
def test_a_frozen_server_is_reported_as_well(
    command: str, folder: Path, frozen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.servers.WITHIN_SECONDS", 0.3)
    result = run(command, frozen, monkeypatch)

    assert result.exit_code == 1
    assert f"({COMMANDS[command][0]}) cannot be used: no answer within 0.3 s" in result.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (KAFKA, "nowhere.invalid:9092", "its host name cannot be resolved"),
        (POSTGRES, "postgresql://andon@nowhere.invalid/andon", "its host name cannot be resolved"),
        (POSTGRES, "no address", "cannot be used"),
        (KAFKA, "host:port", "is not host:port"),
    ],
)
def test_an_address_that_cannot_be_right_is_reported(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["topics", "create"] if name == KAFKA else ["migrate"])

    assert (result.exit_code, f"({name})" in result.stderr, words in result.stderr) == (1, True, True), result.stderr


def test_a_misspelt_setting_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_KAFKAA", "127.0.0.1:9092")
    result = CliRunner().invoke(app, ["topics", "create"])

    assert (result.exit_code, "ANDON_KAFKAA: no such setting" in result.stderr) == (1, True), result.stderr


def test_a_policy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_POLICY", "/etc/andon/policy.yaml")

    message = explain(PolicyError([Fault(3, "version", "is missing; add it")]))

    assert message == (
        "The policy /etc/andon/policy.yaml (ANDON_POLICY) cannot be used:\nline 3: version: is missing; add it"
    )


def test_other_errors_are_not_hidden() -> None:
    assert explain(RuntimeError("a bug")) is None
    assert explain(OSError(28, "No space left on device")) is None
