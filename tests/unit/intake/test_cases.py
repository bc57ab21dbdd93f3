"""Each saved request of tests/cases/intake, as `andon source check` reads it, and the events it must give."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.intake.explain import explain, parse_saved_request
from shared.connectors.base.messages import TranslationResult, to_messages
from shared.connectors.base.source import Request, Source
from shared.connectors.config import load
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.fold import visits
from shared.runtime.instants import moment
from tests.unit.connectors.test_meanings import AnyStage

CASES = Path(__file__).parents[2] / "cases" / "intake"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
# Type, deal, time, and the data that decide the flow.
Told = tuple[str, str, str, dict[str, Any]]

EXPECTED: dict[str, list[Told]] = {
    "01-pipeline-told-after-or-without-stage.a": [
        ("created", "55", "03-08 10:00:00", {}),
        ("changed", "55", "03-08 10:00:00", {"pipeline": "new"}),
        ("moved", "55", "03-08 10:00:00", {"stage": "proposal"}),
        ("moved", "55", "03-10 09:59:59", {"stage": "enterprise_won"}),
        ("changed", "55", "03-10 10:00:00", {"pipeline": "enterprise"}),
    ],
    "01-pipeline-told-after-or-without-stage.d": [
        ("created", "801", "03-01 09:00:00", {"pipeline": "new", "stage": "pilot"})
    ],
    "01-pipeline-told-after-or-without-stage.e": [("changed", "801", "03-05 09:00:00", {"pipeline": "enterprise"})],
    "02-pipedrive-archived.a": [("moved", "9", "02-10 09:00:00", {"pipeline": "1", "stage": "4"})],
    "02-pipedrive-archived.b": [("deleted", "9", "03-01 09:00:00", {"reason": "archived"})],
    "03-copper-custom-fields.a": [("moved", "55", "03-10 11:58:00", {"stage": "2"})],
    "04-hubspot-merge-new-id.a": [
        (kind, deal, "02-26 00:00:00", data)
        for deal in ("1", "2")
        for kind, data in (("created", {}), ("changed", {"pipeline": "new"}), ("moved", {"stage": "proposal"}))
    ],
    "04-hubspot-merge-new-id.b": [
        ("merged", "2", "03-10 02:00:00", {"into": "hubspot:3"}),
        ("merged", "1", "03-10 02:00:00", {"into": "hubspot:3", "primary": True}),
        ("deleted", "2", "03-10 02:00:00", {}),
        ("deleted", "1", "03-10 02:00:00", {}),
        ("created", "3", "03-10 02:00:00", {}),
    ],
    "05-one-field-costs-the-move.a": [("moved", "9", "03-10 09:00:00", {"pipeline": "1", "stage": "4"})],
    "05-one-field-costs-the-move.d": [("moved", "4876876000000624001", "03-10 11:00:00", {"stage": "Proposal"})],
    "06-lone-surrogate-costs-the-array.a": [
        ("created", "55", "03-10 11:59:59", {}),
        ("moved", "55", "03-10 11:59:59", {"stage": "proposal"}),
        ("changed", "56", "03-10 11:59:59", {}),
    ],
    "07-bom.a": [("moved", "9", "03-10 09:00:00", {"pipeline": "1", "stage": "4"})],
    "08-twenty-deleted-at.a": [("created", "5e1f", "03-01 09:00:00", {"stage": "MEETING"})],
    "08-twenty-deleted-at.b": [("deleted", "5e1f", "03-08 09:00:00", {})],
    "09-restored-stays-deleted.a": [("moved", "9", "03-01 09:00:00", {"pipeline": "1", "stage": "4"})],
    "09-restored-stays-deleted.b": [("deleted", "9", "03-02 09:00:00", {})],
    "09-restored-stays-deleted.c": [
        ("reopened", "9", "03-03 09:00:00", {}),
        ("moved", "9", "03-03 09:00:00", {"pipeline": "1", "stage": "4"}),
    ],
    "09-restored-stays-deleted.d": [("moved", "9", "03-09 09:00:00", {"pipeline": "1", "stage": "5"})],
    "11-not-a-deal-without-time.a": [],
    "12-espocrm-pipelines.a": [("moved", "a1", "03-10 12:00:00", {"stage": "ps2"})],
    "12-espocrm-pipelines.b": [("moved", "a1", "03-10 12:00:00", {"pipeline": "p2", "stage": "ps9"})],
    "13-dynamics-stage-of-the-process.a": [("created", "d-1", "03-08 20:00:00", {"stage": "2-Develop"})],
    "13-dynamics-stage-of-the-process.b": [("won", "d-1", "03-09 09:53:20", {})],
    "13-dynamics-stage-of-the-process.c": [("reopened", "d-1", "03-10 11:00:00", {})],
    "14-freshsales-template-quotes.a": [
        ("moved", "402000123456", "03-10 11:58:00", {"pipeline": "Default", "stage": "Proposal"})
    ],
    "16-types-that-are-nearly-right.batch": [],
}
DEAD = {"16-types-that-are-nearly-right.batch": 4}
NAMES = {
    "05-one-field-costs-the-move.a": {"name": "ACME"},
    "05-one-field-costs-the-move.d": {"expected_close": None},
    "06-lone-surrogate-costs-the-array.a": {"name": "Fair stand \ufffd"},
    "14-freshsales-template-quotes.a": {"name": 'ACME "Big" deal'},
}


@cache
def sources() -> dict[str, Source]:
    return load(CASES / "sources.yaml")


def case(name: str) -> tuple[Source, Request]:
    raw = (CASES / f"{name}.http").read_bytes()
    target = raw.split(b" ", 2)[1].decode()
    return sources()[target.rpartition("/")[2].partition("?")[0]], parse_saved_request(raw, NOW)


def result_of(name: str) -> TranslationResult:
    source, request = case(name)
    source.verify(request)
    return to_messages(source.name, source.translate(request), request.received_at, "")


def events_of(result: TranslationResult) -> list[dict[str, Any]]:
    return [json.loads(one.value) for one in result.messages if one.topic == "pipeline.events"]


def told(event: dict[str, Any]) -> Told:
    data = {
        name: event["data"][name]
        for name in ("pipeline", "stage", "into", "primary", "reason")
        if name in event["data"]
    }
    time = datetime.fromisoformat(event["time"])
    return event["type"].rpartition(".")[2], event["subject"].partition(":")[2], f"{time:%m-%d %H:%M:%S}", data


def test_every_case_is_expected() -> None:
    assert {path.stem for path in CASES.glob("*.http")} == EXPECTED.keys()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_case_gives_its_events(name: str) -> None:
    result = result_of(name)
    events = events_of(result)

    assert [told(event) for event in events] == EXPECTED[name]
    assert len(result.invalid) == DEAD.get(name, 0)
    assert NAMES.get(name, {}).items() <= {k: v for event in events for k, v in event["data"].items()}.items()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_source_check_shows_a_case_as_genuine(name: str) -> None:
    lines = list(explain(*case(name)))

    assert "genuine" in lines
    dead = f"{DEAD.get(name, 0)} to the dead letters"
    assert lines[-1].endswith(dead)


def test_a_type_that_is_nearly_right_is_told_the_way_out() -> None:
    details = [invalid.detail for invalid in result_of("16-types-that-are-nearly-right.batch").invalid]

    assert all("use deal. and one of" in detail for detail in details)


# Stage, entered, left: of the deal in these letters of a case, one after the other.
VISITS = {
    ("02-pipedrive-archived", "ab"): [("4", "02-10 09:00", "03-01 09:00")],
    ("08-twenty-deleted-at", "ab"): [("MEETING", "03-01 09:00", "03-08 09:00")],
    ("09-restored-stays-deleted", "abcd"): [
        ("4", "02-10 09:00", "03-02 09:00"),
        ("4", "03-03 09:00", "03-09 09:00"),
        ("5", "03-09 09:00", None),
    ],
    ("13-dynamics-stage-of-the-process", "abc"): [
        ("2-Develop", "03-08 20:00", "03-09 09:53"),
        ("2-Develop", "03-10 11:00", None),
    ],
}


@pytest.mark.parametrize(("name", "letters"), sorted(VISITS))
def test_the_letters_of_a_case_give_its_visits(name: str, letters: str) -> None:
    events = [
        event_of(DealEvent.model_validate(event))
        for letter in letters
        for event in events_of(result_of(f"{name}.{letter}"))
    ]

    found = [(visit.stage, _short(visit.entered), _short(visit.left)) for visit in visits(events, AnyStage())]
    assert found == VISITS[name, letters]


def _short(time: int | None) -> str | None:
    return None if time is None else f"{moment(time):%m-%d %H:%M}"
