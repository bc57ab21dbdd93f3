"""The committed dashboards are those that `make dashboards` writes, and are whole for Grafana's own reader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.dashboards.every import files
from deploy.dashboards.variants import QueryAnnotation, register_variants
from tests.support.grafana import FILES

GENERATED = files()


def test_the_committed_dashboards_are_the_generated_ones() -> None:
    assert {path.name: path.read_text() for path in FILES} == GENERATED, "run make dashboards"


@pytest.mark.parametrize("name", GENERATED)
def test_nothing_is_lost_when_a_dashboard_is_read_and_written(name: str) -> None:
    register_default_plugins()
    register_variants()
    text = json.loads(GENERATED[name])

    read = Dashboard.from_json(text)
    assert read.annotations
    # The SDK has no class for annotations that ask a data source.
    read.annotations.list_val = [QueryAnnotation.from_json(one) for one in text["annotations"]["list"]]

    assert json.loads(json.dumps(read, cls=JSONEncoder)) == text


@pytest.mark.parametrize("name", GENERATED)
def test_no_option_is_null(name: str) -> None:
    found = list(nulls(json.loads(GENERATED[name]), ()))

    # The first step of thresholds begins at no value.
    assert [one for one in found if one[-3:-1] != ("steps", 0)] == []


def nulls(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The paths at which there is no value."""
    if value is None:
        yield path
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nulls(one, (*path, key))
