"""Every metric says whose it is, and shows zero from the start."""

from __future__ import annotations

import re

import pytest
from prometheus_client import CollectorRegistry, Counter

from services.cli.metrics_reference import metrics_of, page, registries

# Their label values are only known when the first one comes: which fields a CRM sends.
OPEN_LABELS = {"andon_intake_fields_left_out_total", "andon_enricher_fields_left_out_total"}


def test_every_metric_is_listed_once_with_its_labels() -> None:
    labels = {one.name: tuple(one.labels) for registry in registries().values() for one in metrics_of(registry)}
    lines = [line for line in page() if line.startswith("| `andon_")]

    assert sorted(re.split(r"[`{]", line)[1] for line in lines) == sorted(labels)
    assert labels["andon_dependency_up"] == ("to",)
    assert labels["andon_loop_ready"] == ("loop",)
    assert labels["andon_build_info"] == ("version", "revision")
    assert labels["andon_dead_letters_waiting"] == ("topic", "reason")
    assert labels["andon_intake_requests_total"] == ("source", "status")
    assert not {name for name, some in labels.items() if {"deal", "person", "ticket", "owner"} & set(some)}


def test_every_counter_shows_zero_from_the_start() -> None:
    """Prometheus takes the first value that it sees as the beginning: a counter that begins at 1 rings nobody."""
    for registry in registries().values():
        for family in registry.collect():
            if family.type == "counter" and family.name + "_total" not in OPEN_LABELS:
                assert family.samples, family.name


def test_a_help_that_does_not_say_whose_it_is_is_a_fault() -> None:
    registry = CollectorRegistry()
    Counter("andon_things_total", "Things.", registry=registry)

    with pytest.raises(ValueError, match="andon_things does not say whose it is"):
        list(metrics_of(registry))
