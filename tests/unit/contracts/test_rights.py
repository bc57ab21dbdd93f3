"""What services are granted on Kafka is what their code reads and writes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from services.analyst import handlers as analyst
from services.tickets import handlers as tickets
from shared.contracts import topics
from shared.contracts.rights import RIGHTS
from shared.contracts.topics import ALL_TOPICS, HANDLED, PROBLEMS
from shared.stream.policy_follower import PolicyVersionWriter

ROOT = Path(__file__).resolve().parents[3]


class ComposeLoader(yaml.SafeLoader):
    """Knows Compose's own tag for what replaces the list of another file."""


ComposeLoader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))
NAMES = {name: value for name, value in vars(topics).items() if value in [topic.name for topic in ALL_TOPICS]}


def imported(service: str) -> set[str]:
    """The topics that a service's modules import, and that of problems through their outbox."""
    found = set()
    for path in (ROOT / "services" / service).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "shared.contracts.topics":
                found |= {NAMES[alias.name] for alias in node.names if alias.name in NAMES}
            if isinstance(node, ast.ImportFrom) and node.module == "shared.stream.problems":
                found.add(PROBLEMS)
    return found


@pytest.mark.parametrize("service", RIGHTS)
def test_a_service_has_rights_on_every_topic_that_its_code_names(service: str) -> None:
    rights = RIGHTS[service]

    assert imported(service) <= {*rights.readable, *rights.publishes}


def test_consumers_read_what_they_have_decoders_for() -> None:
    assert set(RIGHTS["analyst"].reads) == {*analyst.DECODERS, *PolicyVersionWriter.decoders}
    assert set(RIGHTS["tickets"].reads) == {*tickets.DECODERS, *PolicyVersionWriter.decoders}


def test_every_right_is_on_a_topic_that_exists() -> None:
    named = {topic for rights in RIGHTS.values() for topic in (*rights.readable, *rights.writes)}

    assert named <= {topic.name for topic in ALL_TOPICS}


def test_every_topic_has_a_writer() -> None:
    written = {topic for rights in RIGHTS.values() for topic in rights.publishes}
    # By operators' commands.
    written |= {HANDLED}

    assert {topic.name for topic in ALL_TOPICS if not topic.name.endswith(".dead")} <= written


def test_the_secure_installation_signs_every_service_in_as_its_own_user() -> None:
    compose = yaml.load((ROOT / "docker-compose.secure.yml").read_text(), ComposeLoader)
    start = (ROOT / "deploy" / "kafka" / "start.sh").read_text()

    for service in RIGHTS:
        environment = compose["services"][service]["environment"]
        assert environment["ANDON_KAFKA_USER"] == f"andon-{service}"
        assert environment["ANDON_KAFKA_PASSWORD_FILE"] == f"/run/secrets/kafka_{service}"
        assert compose["services"][service]["secrets"] == [f"kafka_{service}"]
        assert f"kafka_{service}" in compose["services"]["kafka"]["secrets"]
        assert service in start.partition("for user in ")[2].partition(";")[0].split()
