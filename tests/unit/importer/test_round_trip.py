"""A simulated history that is exported to a table and imported again gives the same visits, however it was written."""

from __future__ import annotations

import random
import tempfile
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.demo.topology import POLICY
from services.importer.infer import propose
from services.importer.mapping import Mapping, Shape, faults_of, load_mapping, to_yaml
from services.importer.questions import open_questions, with_answer
from services.importer.row_events import RowEvents
from services.importer.sample import Sample
from services.importer.tables import open_table
from services.simulator import dialects, run
from shared.connectors.base.messages import to_messages
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.what_if import find
from shared.policy import load as load_policy
from shared.runtime.instants import micros, moment
from tests.support import tables
from tests.support.examples import examples
from tests.support.tables import FORMS, TableDeal

END = datetime(2026, 3, 20, 18, tzinfo=UTC)
RULES = load_policy(POLICY)
WRITERS = {Shape.CHANGES: tables.changes, Shape.STAGES: tables.stages, Shape.LAST_STAGE: tables.last_stage}


@cache
def history(seed: int) -> list[Any]:
    return list(run.history(seed, 40, END))


def chosen(shape: Shape, form: str, seed: int) -> list[TableDeal]:
    """The deals that a table of this shape can hold without loss."""
    some = tables.lives(history(seed))
    if shape is Shape.STAGES or form.endswith("day"):
        some = [life for life in some if not life.returned]
    if shape is Shape.LAST_STAGE:
        some = [life for life in some if len(life.stages) == 1 and life.said["pipeline"] == "new"]
    return some


def visits(events: list[DealEvent], form: str, zone: str) -> list[Any]:
    """Every visit, with times as exact as the format writes them."""
    day = form.endswith("day")

    def shown(instant: int | None) -> Any:
        if instant is None:
            return None
        return moment(instant).astimezone(ZoneInfo(zone)).date() if day else instant // 1_000_000

    found = find([event_of(event) for event in events], RULES, micros(END))
    return sorted(
        (deal.partition(":")[2], v.pipeline, v.stage, shown(v.entered), v.left is None, shown(v.left) or 0, v.known)
        for deal, v in found.visits
        if not (v.left is not None and v.left // 1_000_000 == v.entered // 1_000_000 and not day)
    )


def expected(some: list[TableDeal], seed: int, form: str, zone: str) -> list[Any]:
    deals = {life.deal for life in some}
    events = [event for one in history(seed) if str(one.deal) in deals for event in dialects.canonical(one)]
    return visits([DealEvent.model_validate(event) for event in events], form, zone)


def understood(path: Path, answers: dict[str, str]) -> Mapping:
    """What is proposed, with every question answered as a person who knows would; saved to a file, and read again."""
    table = open_table(path)
    sample = Sample(table.columns, [row.cells for row in islice(table.rows(), 10_000)])
    proposal = propose(sample, RULES)
    assert proposal.people == ["Deal owner"]
    mapping, asked = proposal.mapping, set[str]()
    while question := next(
        (d for d in open_questions(sample, mapping, RULES, proposal.found) if d.key not in asked), None
    ):
        asked.add(question.key)
        mapping = with_answer(mapping, question.key, answers[question.key])
    assert faults_of(mapping, table.columns) == []
    file = path.with_suffix(".yaml")
    file.write_text(to_yaml(mapping))
    assert load_mapping(file, lambda found: table.columns) == mapping
    return mapping


def imported(path: Path, mapping: Mapping) -> list[DealEvent]:
    table = open_table(path)
    row_events = RowEvents.of_table(mapping, table.columns, END)
    events = [event for row in table.rows() for event in row_events.of_row(row)]
    messages = to_messages("crm", events, END, "").messages
    assert {message.topic for message in messages} == {"pipeline.events"}
    return [DealEvent.model_validate_json(message.value) for message in messages]


def with_comma(amount: str) -> str:
    return f"{float(amount):,.2f}".translate(str.maketrans(",.", ".,"))


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 3),
    st.sampled_from(list(Shape)),
    st.sampled_from(sorted(FORMS)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_text_gives_the_same_visits(
    seed: int, shape: Shape, form: str, zone: str, delimiter: str, encoding: str, comma: bool, chance: random.Random
) -> None:
    some = chosen(shape, form, seed)
    head, *rows = WRITERS[shape](some, tables.texts(form, zone), with_comma if comma else str)
    chance.shuffle(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deals.csv"
        tables.as_csv([head, *rows], path, delimiter, encoding, packed=comma)
        order = FORMS[form][1]
        answers = {
            "timezone": zone,
            "first_stage": "lead",
            "exported_at": "-",
            "decimal": "comma" if comma else "point",
        }
        mapping = understood(path, answers | ({"dates": order} if order else {}))
        events = imported(path, mapping)

    assert mapping.shape is shape
    assert visits(events, form, zone) == expected(some, seed, form, zone)
    amounts = {e.subject.partition(":")[2]: e.data.amount for e in events if e.data.amount}
    assert amounts == {life.deal: life.said["amount"] for life in some}
    assert not any("Somebody" in event.to_json().decode() for event in events)
    assert len({event.id for event in events}) == len(events)


@pytest.mark.parametrize("form", ["iso", pytest.param("iso day", marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_workbooks_and_parquet_give_the_same_visits(kind: str, shape: Shape, form: str, tmp_path: Path) -> None:
    some = chosen(shape, form, 1)
    rows = WRITERS[shape](some, tables.values(form, "Europe/Berlin"), str)
    path = tmp_path / f"deals.{kind}"
    (tables.as_excel if kind == "xlsx" else tables.as_parquet)(rows, path)

    answers = {"timezone": "Europe/Berlin", "first_stage": "lead", "exported_at": "-", "decimal": "point"}
    found = visits(imported(path, understood(path, answers)), form, "Europe/Berlin")

    assert len(found) > 30
    assert found == expected(some, 1, form, "Europe/Berlin")
