"""What is proposed for the exports of real CRMs: heads as their users get them, in six languages."""

from __future__ import annotations

from typing import Any

import pytest

from services.importer.infer import Proposal, propose, unreadable_values
from services.importer.mapping import DateOrder, Shape
from services.importer.questions import open_questions, with_answer
from services.importer.sample import Sample
from tests.unit.importer.exports import EXPORTS, POLICY, sample


def asked(found: Proposal, some: Sample, policy: Any = None) -> dict[str, str | None]:
    return {d.key: d.default for d in open_questions(some, found.mapping, policy, found.found)}


@pytest.mark.parametrize("crm", EXPORTS)
def test_the_columns_of_an_export_are_known(crm: str) -> None:
    head, rows, columns = EXPORTS[crm]
    found = propose(sample(head, *rows), None)

    said = {name: column for name, column in found.mapping.columns.model_dump().items() if column}
    assert said == columns
    assert found.mapping.shape is Shape.LAST_STAGE
    assert len(found.people) == 1
    assert found.mapping.won or found.mapping.lost


@pytest.mark.parametrize(
    ("crm", "order", "decimal"),
    [
        ("German", DateOrder.DMY, "comma"),
        ("French", DateOrder.DMY, "comma"),
        ("Salesforce", DateOrder.MDY, "point"),
        ("Dynamics 365", DateOrder.MDY, "point"),
        ("HubSpot", None, "point"),
    ],
)
def test_dates_and_amounts_are_decided_by_the_values(crm: str, order: DateOrder | None, decimal: str) -> None:
    head, rows, _ = EXPORTS[crm]
    mapping = propose(sample(head, *rows), None).mapping

    assert (mapping.dates, mapping.decimal) == (order, decimal)


def test_what_values_do_not_decide_is_asked_and_has_no_default() -> None:
    some = sample(
        ["Deal ID", "Stage", "Created", "Create Date", "Amount"],
        ["1", "A", "", "03/04/2026", "1,200"],
        ["2", "B", "", "04/05/2026", "3,400"],
    )
    found = propose(some, None)

    asked = {d.key: d for d in open_questions(some, found.mapping, None, found.found)}
    assert (asked["dates"].default, asked["dates"].choices) == (None, ("dmy", "mdy"))
    assert (asked["decimal"].default, asked["decimal"].choices) == (None, ("point", "comma"))
    assert asked["timezone"].default == "UTC"
    short = sample(["Deal ID", "Stage", "Create Date"], ["1", "A", "03/04/05"])
    assert {d.key: d.choices for d in open_questions(short, propose(short, None).mapping, None, frozenset({"deal"}))}[
        "dates"
    ] == ("dmy", "mdy", "ymd")


def test_times_with_an_offset_need_no_zone() -> None:
    some = sample(
        ["id", "status", "timestamp"], ["1", "New", "2026-03-04T10:00:00+01:00"], ["1", "Done", "2026-03-05T10:00:00Z"]
    )

    found = propose(some, None)

    assert found.mapping.shape is Shape.CHANGES
    assert found.mapping.columns.time == "timestamp"
    assert "timezone" not in asked(found, some)


def test_a_history_of_changes_is_known() -> None:
    some = sample(
        ["Opportunity ID", "Opportunity Name", "From Stage", "To Stage", "Last Modified", "Last Modified By", "Amount"],
        ["006A", "Alder", "Prospecting", "Demo", "2026-03-04 10:00", "A B", "1200"],
        ["006A", "Alder", "Demo", "Closed Won", "2026-03-14 10:00", "A B", "1200"],
    )
    found = propose(some, None)

    assert found.mapping.shape is Shape.CHANGES
    assert (found.mapping.columns.stage, found.mapping.columns.time) == ("To Stage", "Last Modified")
    assert found.mapping.won == ("Closed Won",)
    assert found.people == ["Last Modified By"]


@pytest.mark.parametrize(
    "heads",
    [
        (
            'Date entered "Appointment Scheduled (Sales Pipeline)"',
            'Date entered "Contract Sent (Sales Pipeline)"',
            'Date entered "Closed Won (Sales Pipeline)"',
        ),
        ("Appointment Scheduled entered at", "Contract Sent entered at", "Closed Won entered at"),
        (
            "Date d'entrée dans « Appointment Scheduled »",
            "Date d'entrée dans « Contract Sent »",
            "Date d'entrée dans « Closed Won »",
        ),
        ("Appointment Scheduled", "Contract Sent", "Closed Won"),
    ],
)
def test_a_date_for_each_stage_is_known_by_the_policy(heads: tuple[str, ...]) -> None:
    some = sample(
        ["Record ID", "Deal Stage", "Create Date", *heads],
        ["1", "Closed Won", "2026-03-01", "2026-03-02", "2026-03-04", "2026-03-09"],
        ["2", "Contract Sent", "2026-03-01", "2026-03-02", "2026-03-04", ""],
    )
    mapping = propose(some, POLICY).mapping

    assert mapping.shape is Shape.STAGES
    assert list(mapping.stage_dates) == ["appointmentscheduled", "contractsent", "closedwon"]
    assert mapping.order == ("appointmentscheduled", "contractsent")
    assert mapping.stages == {"Closed Won": "closedwon", "Contract Sent": "contractsent"}
    assert (mapping.pipeline, mapping.timezone) == ("default", "Europe/Berlin")


def test_dates_of_stages_that_are_named_after_people_are_no_persons() -> None:
    some = sample(
        [
            "Record ID",
            "Deal Stage",
            "Create Date",
            'Date entered "Qualified"',
            'Date entered "Commercial negotiation"',
            'Date entered "Manager approval"',
            'Date entered "Demo"',
            "Last modified by",
            "Rep entered",
            "Agent since",
        ],
        ["1", "Qualified", "2026-01-05", "2026-01-05", "2026-01-15", "2026-01-20", "", "A B", "A B", ""],
        ["2", "Qualified", "2026-01-05", "2026-01-06", "2026-01-17", "", "", "A B", "A B", ""],
    )
    found = propose(some, None)

    assert list(found.mapping.stage_dates) == ["Qualified", "Commercial negotiation", "Manager approval", "Demo"]
    assert found.people == ["Last modified by", "Rep entered", "Agent since"]


def spoiled(column: str, value: Any) -> Sample:
    """Twenty rows, one of which holds something else in a column."""
    head = ["Record ID", "Deal Stage", "Create Date", "Close Date", 'Date entered "Demo"', "Amount"]
    rows = [
        [str(n), "Closed Won" if n % 2 else "Demo", f"{n + 1:02}/03/2026", "29/03/2026", "28/03/2026", f"{n},50"]
        for n in range(20)
    ]
    rows[7][head.index(column)] = value
    return sample(head, *rows)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("Close Date", "n/a", "Close Date: 1 of 20 values cannot be read as dates, such as 'n/a'"),
        ("Create Date", "-", "Create Date: 1 of 20 values cannot be read as dates, such as '-'"),
        ("Create Date", 45992, "Create Date: 1 of 20 values cannot be read as dates, such as '45992'"),
        (
            'Date entered "Demo"',
            "soon",
            "Date entered \"Demo\": 1 of 20 values cannot be read as dates, such as 'soon'",
        ),
        ("Amount", "TBD", "Amount: 1 of 20 values cannot be read as amounts, such as 'TBD'"),
    ],
)
def test_one_bad_cell_hides_no_column_and_is_reported(column: str, value: Any, words: str) -> None:
    some = spoiled(column, value)
    found = propose(some, None)

    assert found.mapping == propose(spoiled(column, None), None).mapping
    assert (found.mapping.dates, found.mapping.decimal) == (DateOrder.DMY, "comma")
    assert column in found.mapping.columns_used().values()
    assert [fault.partition("; ")[0] for fault in unreadable_values(some, found.mapping)] == [words]
    assert {"dates", "decimal", "columns.created"}.isdisjoint(asked(found, some))


def test_a_bad_cell_shows_no_way_of_writing() -> None:
    rows = [[str(n), "Demo", "2026-03-04T10:00:00Z", "7"] for n in range(20)]
    rows[0][2:] = ["n/a", "TBD"]
    some = sample(["Deal ID", "Stage", "Create Date", "Amount"], *rows)

    assert {"timezone", "dates", "decimal"}.isdisjoint(asked(propose(some, None), some))
    rows[1][3] = "1,200"
    question = next(
        d for d in open_questions(some, propose(some, None).mapping, None, frozenset(("deal",))) if d.key == "decimal"
    )
    assert "such as 1,200?" in question.question


def test_a_column_of_other_things_is_not_taken_by_its_name() -> None:
    rows = [[str(n), "Demo", "n/a" if n % 4 else "2026-03-04"] for n in range(20)]
    some = sample(["Deal ID", "Stage", "Create Date"], *rows)
    found = propose(some, None)

    assert found.mapping.columns.created is None
    (created,) = (d for d in open_questions(some, found.mapping, None, found.found) if d.key == "columns.created")
    assert created.choices == ("Deal ID", "Stage", "Create Date", "-")


def test_a_closed_deal_without_a_column_of_closing_dates_is_asked_about() -> None:
    rows = [["1", "Closed Won", "2026-03-04", "soon"], ["2", "Demo", "2026-03-04", ""]]
    some = sample(["Deal ID", "Stage", "Create Date", "Ended"], *rows)
    found = propose(some, None)

    (closed,) = (d for d in open_questions(some, found.mapping, None, found.found) if d.key == "columns.closed")
    assert (closed.default, closed.choices) == (None, ("Deal ID", "Stage", "Create Date", "Ended", "-"))
    assert with_answer(found.mapping, "columns.closed", "Ended").columns.closed == "Ended"


def test_a_stage_that_the_policy_does_not_have_is_asked() -> None:
    head, rows, _ = EXPORTS["HubSpot"]
    some = sample(head, *rows, ["3", "C", "Legal", "Other", "", "", "2026-03-02", "", "A B", "", "", ""])
    found = propose(some, POLICY)

    assert found.mapping.pipelines == {"Sales Pipeline": "default"}
    assert asked(found, some, POLICY)["stages.Legal"] == "Legal"
    mapping = with_answer(found.mapping, "stages.Legal", "contractsent")
    assert mapping.stages["Legal"] == "contractsent"


def test_an_answer_that_cannot_be_used_says_why() -> None:
    mapping = propose(sample(["id", "stage"], ["1", "A"]), None).mapping

    for key, answer in (
        ("timezone", "Berlin"),
        ("exported_at", "yesterday"),
        ("exported_at", "2026-03-31"),
        ("dates", "dym"),
    ):
        with pytest.raises(ValueError, match=r".+"):
            with_answer(mapping, key, answer)
