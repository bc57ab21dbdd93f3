"""Every alert has a runbook by one pattern, whose commands and panels exist."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from services.cli.main import app
from shared.runtime.yaml_file import read_yaml
from tests.support.alert_rules import alert_rules

ROOT = Path(__file__).resolve().parents[3]
OPERATOR = ROOT / "docs" / "operator"
BOARDS = ROOT / "deploy" / "grafana" / "dashboards"
RUNBOOKS = sorted((OPERATOR / "runbooks").glob("*.md"))
HEADINGS = ["What it means", "First look", "Mend", "If that does not help", "Over when", "False alarms"]
DASHBOARDS = {"start", "flow", "improvement", "line", "service"}
# Stands for the service that the alert names.
ANY_SERVICE = "SERVICE"
COMPOSE_COMMANDS = {"ps", "logs", "exec", "run", "up", "restart", "stop"}
# Programs of the images and of the host that are not ours.
PROGRAMS = {"amtool", "cat", "date", "df", "docker", "getent", "git", "grep", "printenv", "promtool", "psql"}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS} == {rule["alert"] for rule in alert_rules()}


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_has_its_six_parts(page: Path) -> None:
    text = page.read_text()

    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    look = text.split("## First look")[1].partition("## Mend")[0]
    assert len(re.findall(r"^- `", look, re.MULTILINE)) == 3
    assert re.search(r"^Panel \*[^*]+\* of \*(Start|Flow|Improvement|Line|Service)\*", look, re.MULTILINE)


def test_the_list_of_alerts_names_each_with_its_severity() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| ([a-z, ]+) \|", _alerts(), re.MULTILINE)
    expected: dict[str, set[str]] = {}
    for rule in alert_rules():
        expected.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])

    assert all(name == file for name, file, _ in listed)
    assert {name: set(severities.split(", ")) for name, _, severities in listed} == expected


def _alerts() -> str:
    return (OPERATOR / "alerts.md").read_text()


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_an_alert_says_what_it_is_and_leads_to_its_pages(rule: dict[str, Any]) -> None:
    said = rule["annotations"]

    assert said["summary"]
    assert said["description"]
    assert said["runbook_url"] == f"{{{{ $externalLabels.runbooks }}}}/{rule['alert']}.md"
    base, _, dashboard = said["dashboard_url"].rpartition("/d/andon-")
    assert base == "{{ $externalLabels.grafana }}"
    assert dashboard in DASHBOARDS


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_commands_of_a_runbook_can_be_run(page: Path) -> None:
    found = list(commands(page.read_text()))

    assert found
    for words in found:
        check(words)


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_panels_of_a_runbook_are_there(page: Path) -> None:
    for title, board in re.findall(r"\*([^*]+)\* of \*(\w+)\*", page.read_text()):
        assert title in titles(board.lower())


@cache
def titles(board: str) -> set[str]:
    """The titles of all panels of a dashboard, also of those in folded rows."""
    dashboard = json.loads((BOARDS / f"{board}.json").read_text())
    folded = [panel for row in dashboard["panels"] for panel in row.get("panels") or []]
    return {panel.get("title", "") for panel in (*dashboard["panels"], *folded)}


def commands(text: str) -> Iterator[list[str]]:
    """The commands in backticks, by words; each part of a pipe is one."""
    for one in re.findall(rf"`((?:andon|{'|'.join(sorted(PROGRAMS))}) [^`]+)`", text):
        yield from _split(one)


def _split(command: str) -> Iterator[list[str]]:
    part: list[str] = []
    for word in shlex.split(command):
        if word == "|":
            yield part
            part = []
        else:
            part.append(word)
    yield part


def check(words: list[str]) -> None:
    """Fail unless this is a command that there is, with options that it takes."""
    if words[:2] == ["docker", "compose"]:
        check_compose(words[2:])
    elif words[0] == "andon":
        check_andon(words[1:])
    else:
        assert words[0] in PROGRAMS or words[0].startswith("/opt/kafka/bin/kafka-"), words


def check_compose(words: list[str]) -> None:
    command, rest = words[0], words[1:]
    assert command in COMPOSE_COMMANDS, words
    taken = {"--tail": 1, "-v": 1}
    while rest and rest[0].startswith("-"):
        rest = rest[1 + taken.get(rest[0], 0) :]
    if command not in ("exec", "run"):
        assert set(rest) <= {*services(), ANY_SERVICE}, words
        return
    assert rest[0] in {*services(), ANY_SERVICE}, words
    if command == "run":
        # The image's program is andon. Without words, the service's own command runs.
        if rest[1:]:
            check_andon(rest[1:])
    else:
        check(rest[1:])


def check_andon(words: list[str]) -> None:
    command: Any = get_command(app)
    while hasattr(command, "commands"):
        assert words[0] in command.commands, words
        command, words = command.commands[words[0]], words[1:]
    context = command.context_class(command, info_name=command.name)
    command.make_parser(context).parse_args(list(words))


@cache
def services() -> set[str]:
    """The services of Compose."""
    _, document = read_yaml((ROOT / "docker-compose.yml").read_text())
    return set(document["services"])
