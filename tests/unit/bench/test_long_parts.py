"""The arithmetic of the long parts, and the histories that they read."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from services.importer.mapping import Mapping
from services.importer.row_events import RowEvents
from services.importer.tables.base import Cell, Row
from shared.policy import parse
from tests.bench import idle, loading, many_pipelines, sustained
from tests.bench.growth import PARTS, RateMark, rates, shape_of
from tests.bench.moves.workload import DEALS, moves
from tests.bench.usage import Spent

EVENTS = 2000


@pytest.mark.parametrize("events", [1, 100, 1234, 300_000, 1_000_000, 10_000_000])
def test_each_tenth_of_a_growing_history_has_whole_cohorts(events: int) -> None:
    deals, each, cohorts = shape_of(events)

    assert deals * each <= max(events, PARTS * each)
    assert deals % cohorts == cohorts % PARTS == 0
    assert deals // cohorts <= DEALS


def test_each_tenth_of_a_growing_history_has_as_many_new_deals() -> None:
    deals = [event["subject"] for event in moves(*shape_of(EVENTS))]
    size = len(deals) // PARTS

    tenths = [set(deals[start : start + size]) for start in range(0, len(deals), size)]

    assert len(set.union(*tenths)) == sum(map(len, tenths)) == EVENTS // 10
    assert set(Counter(deals).values()) == {10}
    assert len({len(tenth) for tenth in tenths}) == 1


def test_a_rate_is_of_what_was_read_between_two_marks() -> None:
    assert rates([RateMark(5.0, 100, 1), RateMark(7.0, 500, 1), RateMark(7.5, 600, 1)]) == [200, 200]


def test_what_was_spent_is_the_difference_of_two_readings_and_named_by_event() -> None:
    before = Spent({"detector": 10.0}, 100, 1000, 5000, None)
    after = Spent({"detector": 10.5, "Kafka": 1.0}, 150, 3000, 25_000, None)

    figures = {figure.name: figure.value for figure in after.since(before).per_event("x", 1000)}

    assert figures == {
        "x, detector, processor time an event": 500,
        "x, Kafka, processor time an event": 1000,
        "x, transactions in a thousand events": 50,
        "x, rows written an event": 2,
        "x, write-ahead log an event": 20,
    }


@pytest.mark.parametrize("shape", loading.SHAPES)
def test_every_row_of_a_table_to_import_can_be_read(shape: str) -> None:
    columns, *rows = loading.changes(300) if shape == "changes" else loading.deals(300)
    mapping = Mapping.model_validate(loading.mapping_of(shape))
    reader = RowEvents.of_table(mapping, list(columns), datetime.now(UTC))

    events = [reader.of_row(Row(line, list[Cell](cells))) for line, cells in enumerate(rows, 2)]

    assert len(events) == 300
    assert all(events)
    assert not reader.notes


def test_both_policies_are_valid() -> None:
    assert len(parse(many_pipelines.policy_text(3)).pipelines["p2"].open_stages) == many_pipelines.STAGES
    assert set(parse(sustained.policy_text()).pipelines) == {"p", "load"}


def test_series_are_the_samples_of_an_answer() -> None:
    shown = '# HELP a b\n# TYPE a gauge\na{x="#"} 1\n\na_created 2\n'

    assert many_pipelines.series_of(shown) == ['a{x="#"} 1', "a_created 2"]


def test_a_process_is_named_after_its_command() -> None:
    assert idle.name_of(["python", "-m", "services.cli.main", "intake"]) == "intake"
    assert idle.name_of(["python", "-m", "services.demo.inbox", "mails", "1"]) == "services.demo.inbox"


def test_an_idle_demo_is_summed_without_its_servers() -> None:
    used = dict.fromkeys(idle.SERVICES, 0.3) | {"java": 30.0, "postgres": 6.0, "simulate": 0.3}

    whole, *each = idle.figures_of(used, 60)

    assert whole.value == pytest.approx(100 * 0.3 * (len(idle.SERVICES) + 1) / 60)
    assert len(each) == len(used)
