"""The operator's tables of everything that is kept, and of every secret, leave nothing out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.cli.service_settings import SERVICE_SETTINGS
from shared.contracts.topics import ALL_TOPICS
from shared.postgres.migrate import SERVICES, migrations_of

ROOT = Path(__file__).resolve().parents[3]
OPERATOR = ROOT / "docs" / "operator"
CREATED = re.compile(r"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?([a-z_]+)")
SHARED_TABLES = {"position", "outbox", "outbox_refused", "policy_version"}


def rows(page: str) -> Iterator[list[str]]:
    """The cells of every row of a page's tables."""
    for line in (OPERATOR / page).read_text().splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def named(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


@pytest.mark.parametrize("schema", SERVICES)
def test_every_table_says_how_long_it_is_kept(schema: str) -> None:
    kept = {table for row in rows("retention.md") if named(row[0]) == {schema} for table in named(row[1])}
    tables = {one for file in migrations_of(SERVICES[schema]) for one in CREATED.findall(file.sql)}

    assert kept == tables - SHARED_TABLES


def test_tables_of_every_service_and_all_topics_say_how_long_they_are_kept() -> None:
    shared = {table for row in rows("retention.md") if row[0] == "each" for table in named(row[1])}
    topics = {topic for row in rows("retention.md") for topic in named(row[0])}
    ending = {topic.name for topic in ALL_TOPICS if topic.name.endswith(".dead")}

    assert shared == SHARED_TABLES
    assert {topic.name for topic in ALL_TOPICS} - ending <= topics
    assert "*.dead" in topics


def test_every_secret_says_what_to_do_when_it_leaks() -> None:
    known = {one for row in rows("secrets.md") for one in named(row[0])}
    settings = {
        f"ANDON_{name.upper()}"
        for model in SERVICE_SETTINGS.values()
        for name, field in model.model_fields.items()
        if "SecretStr" in str(field.annotation) or field.annotation is SecretStr
    }

    assert {one for one in settings if re.sub(r"_ROLE_\w+_PASSWORD", "_ROLE_..._PASSWORD", one) not in known} == set()


def test_every_password_file_says_what_to_do_when_it_leaks() -> None:
    known = {one for row in rows("secrets.md") for one in named(row[0])}
    made = set(re.findall(r"^ +password \"?([a-z_]+)", (ROOT / "deploy" / "install.sh").read_text(), re.MULTILINE))

    assert {name for name in made if not any(one.startswith(name) for one in known)} == set()
