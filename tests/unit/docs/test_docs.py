"""The documentation is true: generated pages are current, samples validate, links and commands exist."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from typer.main import get_command

from services.cli.main import app
from services.cli.reference import pages
from services.simulator import dialects, run
from shared.connectors.base.messages import to_messages
from shared.connectors.config import load as load_sources
from shared.policy import load
from tests.support.problems import event, problem, ticket_event
from tests.support.webhooks import request, sample, source

ROOT = Path(__file__).resolve().parents[3]
PAGES = pages()
MARKDOWN = sorted(p for p in ROOT.rglob("*.md") if not {".venv", ".data"} & set(p.parts))


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES[name], "run make docs"


@cache
def schema(name: str) -> Validator:
    """A schema, which is itself valid."""
    document = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text())
    kind = validator_for(document)
    kind.check_schema(document)
    return kind(document)


def test_messages_validate_against_their_schemas() -> None:
    facts = source("hubspot").translate(request(sample("hubspot-deal-batch-legacy.json"), {}))
    for message in to_messages("acme", facts, datetime.now(UTC), "").messages:
        schema("pipeline.events").validate(json.loads(message.value))
    schema("flow.problems").validate(json.loads(event(problem()).to_json()))
    schema("improvement.tickets").validate(json.loads(ticket_event().to_json()))
    for change in list(run.history(1, 5, datetime.now(UTC)))[:20]:
        for written in dialects.canonical(change):
            schema("pipeline.events").validate(written)


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda p: str(p.relative_to(ROOT)))
def test_linked_files_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if not link.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / link).exists(), f"{link} does not exist"


def test_named_commands_exist() -> None:
    known: Any = get_command(app)
    for page in MARKDOWN:
        for words in re.findall(r"`(?:\.venv/bin/)?andon ([a-z][a-z -]*)", page.read_text()):
            first, _, rest = words.strip().partition(" ")
            assert first in known.commands, f"{page.name}: andon {first}"
            if rest and hasattr(known.commands[first], "commands"):
                assert rest.split()[0] in known.commands[first].commands, f"{page.name}: andon {words}"


def test_named_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in MARKDOWN:
        for target in re.findall(r"`make ([a-z-]+)", page.read_text()):
            assert target in targets, f"{page.name}: make {target}"


def test_example_files_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBSPOT_SECRET", "long-enough-for-a-test")

    assert load(ROOT / "deploy" / "policy.yaml").pipelines
    assert load_sources(ROOT / "deploy" / "sources.yaml")
