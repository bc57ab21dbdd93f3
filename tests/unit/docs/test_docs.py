"""The documentation is true: generated pages are current, samples validate, links lead somewhere."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from services.cli.reference import pages
from services.simulator import dialects, run
from shared.connectors.base.messages import to_messages
from shared.connectors.config import load as load_sources
from shared.policy import load
from tests.support.markdown import anchors
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
def test_links_lead_somewhere(page: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        if not link.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / link).exists(), f"{link} does not exist"
            if anchor:
                assert anchor in anchors(page.parent / link if link else page), f"{link}#{anchor} does not exist"


def test_example_files_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBSPOT_SECRET", "long-enough-for-a-test")

    assert load(ROOT / "deploy" / "policy.yaml").pipelines
    assert load_sources(ROOT / "deploy" / "sources.yaml")
