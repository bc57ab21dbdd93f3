"""Tables that went wrong in real use, and their neighbours, through `andon import --dry-run`."""

from __future__ import annotations

import csv
import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from services.cli.main import app
from services.importer.mapping import load_mapping
from services.importer.tables import open_table

CASES = Path(__file__).parents[2] / "cases" / "tables"
ENTER = "\n" * 12


class Imported:
    """A dry run: its exit code, what it printed, its mapping, and the facts of each deal."""

    def __init__(self, file: Path, answers: str) -> None:
        arguments = [str(file), "--source", "crm", "--dry-run", "--save", "kept.yaml", "--out", "events.jsonl"]
        result = CliRunner().invoke(app, ["import", *arguments], input=answers + ENTER)
        self.code, self.output = result.exit_code, " ".join(result.output.split())
        self.facts: dict[str, list[tuple[str, str, Any]]] = defaultdict(list)
        self.events: list[dict[str, Any]] = []
        if Path("events.jsonl").exists():
            self.events = [json.loads(line) for line in Path("events.jsonl").read_text().splitlines()]
        for one in self.events:
            kind = one["type"].rpartition(".")[2]
            fact = kind, one["time"][:19], one["data"].get("stage")
            self.facts[one["subject"].partition(":")[2]].append(fact)

    @property
    def mapping(self) -> Any:
        return load_mapping(Path("kept.yaml"), lambda found: list(found.columns_used().values()))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def case(name: str, answers: str = "") -> Imported:
    shutil.copy(CASES / name, name)
    return Imported(Path(name), answers)


def table(text: str, answers: str = "") -> Imported:
    Path("deals.csv").write_text(text)
    return Imported(Path("deals.csv"), answers)


def what_if() -> list[dict[str, Any]]:
    arguments = ["events.jsonl", "--policy", str(CASES / "01-policy.yaml"), "--format", "json"]
    result = CliRunner().invoke(app, ["what-if", *arguments])
    return list(json.loads(result.stdout)["problems"]["aging/p/Proposal"])


def test_created_is_the_change_in_a_table_of_changes() -> None:
    done = case("01-opportunity-history.csv")

    assert (done.mapping.columns.time, done.mapping.columns.created) == ("CreatedDate", None)
    assert done.facts["006A"] == [
        ("moved", "2026-03-01T09:00:00", "Qualification"),
        ("moved", "2026-03-09T09:00:00", "Proposal"),
        ("won", "2026-04-02T09:00:00", None),
    ]
    assert [one["opened_at"][:10] for one in what_if()] == ["2026-03-19"]


def test_heads_in_upper_case_are_known() -> None:
    text = (CASES / "01-opportunity-history.csv").read_text()
    head, _, rows = text.partition("\n")

    done = table(f"{head.upper()}\n{rows}")

    assert (done.mapping.columns.time, done.mapping.columns.deal) == ("CREATEDDATE", "OPPORTUNITYID")


def test_the_last_column_of_dates_is_not_the_time() -> None:
    done = table("Deal ID,Stage,SystemModstamp\n1,A,2026-03-01\n1,B,2026-03-01\n2,A,2026-03-01\n")

    assert "which column says when the deal moved?" in done.output


def test_a_constant_creation_stays_beside_the_time_of_the_change() -> None:
    done = table("Deal ID,Stage,Changed at,Created\n1,A,2026-03-01,2026-02-01\n1,B,2026-03-05,2026-02-01\n")

    assert (done.mapping.columns.time, done.mapping.columns.created) == ("Changed at", "Created")


def test_everything_is_proposed_anew_with_the_column_of_the_stage() -> None:
    done = case("04-changes.csv", "new_stage_id\n")

    mapping = done.mapping
    assert (mapping.shape, mapping.columns.time, mapping.won, mapping.lost) == (
        "changes",
        "changed_at",
        ("WON",),
        ("LOST",),
    )
    assert [kind for kind, *_ in done.facts["D1"]] == ["moved", "moved", "won"]
    assert "Not read: event_id, old_stage_id." in done.output


@pytest.mark.parametrize("head", ["date_entered", "Entered At", "Date Entered", "entered_on"])
def test_words_of_dates_are_no_stages(head: str) -> None:
    text = (CASES / "05-date-entered.csv").read_text().replace("date_entered", head)

    done = table(text)

    assert (done.mapping.columns.entered, done.mapping.stage_dates) == (head, {})
    assert ("moved", "2026-03-06T00:00:00", "Demo") in done.facts["2"]


def test_only_whole_phrases_are_sure() -> None:
    done = case("06-not-won.csv", "UTC\nlost\nopen\nopen\n")

    for word in ("Closed Not Won", "Lost contact", "Won back - nurturing"):
        assert f"does '{word}' mean won, lost or open?" in done.output
    assert (done.mapping.won, done.mapping.lost) == (("Closed Won",), ("Closed Not Won",))
    assert [kind for kind, *_ in done.facts["1"]][-1] == "lost"


@pytest.mark.parametrize(
    "word", ["Not Won", "Won't close", "nicht gewonnen", "No ganado", "Never lost", "Lost & found"]
)
def test_phrases_with_other_words_are_asked_about(word: str) -> None:
    done = table(f"Record ID,Deal Stage,Create Date,Close Date\n1,{word},2026-03-01,2026-03-02\n", "UTC\nopen\n")

    assert "mean won, lost or open?" in done.output


@pytest.mark.parametrize(
    "word", ["Closed - Won", "6. Won", "Geschlossen und gewonnen", "Closed won (Enterprise)", "WON"]
)
def test_whole_phrases_of_many_forms_are_sure(word: str) -> None:
    done = table(f"Record ID,Deal Stage,Create Date,Close Date\n1,{word},2026-03-01,2026-03-02\n")

    assert done.mapping.won == (word,)


def test_everyday_dates_are_read() -> None:
    done = case("09-everyday-dates.csv", "UTC\nProposal\n")

    assert done.facts["101"][-1][:2] == ("won", "2026-02-20T00:00:00")
    assert done.facts["103"][-1][:2] == ("lost", "2026-03-01T00:00:00")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("12-Jan-26", "2026-01-12T00:00"),
        ("12/Jan/26 9:41 AM", "2026-01-12T09:41"),
        ("Mon Jan 12 2026 10:00:00 GMT+0100 (Central European Standard Time)", "2026-01-12T09:00"),
        ('"Mon, 12 Jan 2026 10:00:00 +0100"', "2026-01-12T09:00"),
        ("13/01/2024 10:23 a. m.", "2024-01-13T10:23"),
        ("13/01/2024 10:23 p.\u00a0m.", "2024-01-13T22:23"),
        ("4. März 2026 um 10:05", "2026-03-04T10:05"),
        ('"March 4, 2026 at 10:05 AM"', "2026-03-04T10:05"),
        ('"March 4, 2026, 10:05\u202fPM"', "2026-03-04T22:05"),
        ("Mar  4 2026 10:00AM", "2026-03-04T10:00"),
        ("4 mars 2026 à 10h05", "2026-03-04T10:05"),
        ("mar. 3 mars 2026", "2026-03-03T00:00"),
        ("4 de marzo de 2026 a las 10:05", "2026-03-04T10:05"),
        ("4 de março de 2026 às 10:05", "2026-03-04T10:05"),
        ("4 maart 2026 om 10:05", "2026-03-04T10:05"),
        ("mercoledì 4 marzo 2026 alle 10:05", "2026-03-04T10:05"),
        ("4 marca 2026", "2026-03-04T00:00"),
        ("Wed Mar  4 10:00:00 2026", "2026-03-04T10:00"),
    ],
)
def test_a_date_as_people_write_it(text: str, instant: str) -> None:
    done = table(f"Record ID,Deal Stage,Create Date\n1,Demo,{text}\n", ENTER)

    assert done.mapping.columns.created == "Create Date", done.output
    assert [at[:16] for _, at, _ in done.facts["1"]] == [instant]


def test_a_known_head_without_readable_dates_is_reported_before_the_questions() -> None:
    done = table("Record ID,Deal Stage,Create Date\n1,Demo,spring\n2,Demo,summer\n")

    assert done.output.index("Create Date: 2 of 2 values cannot be read as dates") < done.output.index("which column")


def test_a_closing_before_the_creation_is_refused() -> None:
    done = case("13-closed-before-created.csv", "UTC\n")

    assert (done.code, "1" in done.facts) == (1, False)
    assert [kind for kind, *_ in done.facts["3"]] == ["created", "lost"]
    lines = Path("13-closed-before-created.csv.rejected.csv").read_text().splitlines()
    (row,) = list(csv.reader(lines))[1:]
    assert "is before the deal was created (Create Date)" in row[3]
    assert "2 rows would be 3 events" in done.output


def test_the_order_of_dates_is_per_column_and_form() -> None:
    done = case("14-two-orders.csv", "UTC\n")

    assert "comes first" not in done.output
    assert "more than one order" not in done.output
    assert [at[:10] for _, at, _ in done.facts["4"]] == ["2026-03-06", "2026-05-06"]
    assert [at[:10] for _, at, _ in done.facts["2"]] == ["2026-03-05", "2026-04-02"]


def test_a_form_without_a_sure_date_is_asked_about_and_binds() -> None:
    rows = "1,Won,20/03/2026,04-05-2026\n2,Won,14/03/2026,04-06-2026\n"
    done = table(f"Deal ID,Stage,Create Date,Close Date\n{rows}", "mdy\nUTC\n")

    assert "in dates such as 04-05-2026?" in done.output
    assert [at[:10] for _, at, _ in done.facts["1"]] == ["2026-03-20", "2026-04-05"]


def test_two_orders_in_one_form_are_asked_about_and_the_other_is_refused() -> None:
    rows = "1,Demo,20/03/2026\n2,Demo,03/25/2026\n3,Demo,03/04/2026\n"
    done = table(f"Deal ID,Stage,Create Date\n{rows}", "dmy\nUTC\n-\n-\nDemo\n")

    assert "dates are written in more than one order" in done.output
    assert (done.code, "2" in done.facts, done.facts["3"][0][1][:10]) == (1, False, "2026-04-03")


def test_doubled_heads_matter_only_where_the_mapping_names_one() -> None:
    done = case("15-doubled-heads.csv", "UTC\nDone\n-\n")

    assert done.facts["PAY-2"][-1] == ("won", "2026-03-20T15:45:00", None)
    assert "Not read: Summary, Labels." in done.output
    Path("wrong.yaml").write_text("shape: last-stage\ncolumns: {deal: Issue key, stage: Labels}\n")
    arguments = ["15-doubled-heads.csv", "--source", "crm", "--dry-run", "--mapping", "wrong.yaml"]
    refused = CliRunner().invoke(app, ["import", *arguments])
    assert (refused.exit_code, "2 columns are called 'Labels'" in " ".join(refused.output.split())) == (1, True)


DOUBLED = [["Issue key", "Status", "Labels", "Labels", "Created"], ["PAY-1", "Open", "a", "b", "2026-03-12 09:41"]]


@pytest.mark.parametrize("ending", ["xlsx", "parquet"])
def test_doubled_heads_of_workbooks_and_parquet(ending: str) -> None:
    file = Path(f"deals.{ending}")
    if ending == "xlsx":
        book = openpyxl.Workbook()
        for row in DOUBLED:
            book.active.append(row)
        book.save(file)
    else:
        arrays = [pyarrow.array([value]) for value in DOUBLED[1]]
        parquet.write_table(pyarrow.Table.from_arrays(arrays, names=DOUBLED[0]), file)

    assert [row.cells for row in open_table(file).rows()] == [DOUBLED[1]]
    assert "PAY-1" in Imported(file, "UTC\n").facts


@pytest.mark.parametrize("text", ["1,Alder,Proposal,2026-03-01\n2,Birch,Demo,2026-03-02\n", "1,2,Demo\n3,4,Demo\n"])
def test_a_table_without_heads_has_none(text: str) -> None:
    done = table(text)

    assert (done.code, "has no column names" in done.output) == (1, True)


def test_lakh_is_an_amount() -> None:
    done = case("16-lakh.csv", "UTC\n")

    amounts = [one["data"].get("amount") for one in done.events]
    assert (done.code, len(amounts), amounts[-1]) == (0, 21, "123456.00")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1,23,456.00", "123456.00"),
        ("₹12,34,56,789.50", "123456789.50"),
        ("Rs. 5,000.00", "5000.00"),
        ("US$ 5,000.00", "5000.00"),
        ("A$5,000.00", "5000.00"),
        ("5000 Kč", "5000"),
        ("CHF 5'000.00", "5000.00"),
        ("5,000.00 EUR", "5000.00"),
        ("5,000/-", "5000"),
        ("-$5.00", "-5.00"),
    ],
)
def test_an_amount_as_people_write_it(text: str, amount: str) -> None:
    done = table(f'Record ID,Deal Stage,Create Date,Amount\n1,Demo,2026-03-01,"{text}"\n', "point\nUTC\n")
    if not done.facts:
        done = table(f'Record ID,Deal Stage,Create Date,Amount\n1,Demo,2026-03-01,"{text}"\n', "UTC\n")

    assert [one["data"].get("amount") for one in done.events] == [amount], done.output


@pytest.mark.parametrize("text", ["5k", "1.2 MIO", "much"])
def test_a_row_whose_amount_cannot_be_read_keeps_its_dates(text: str) -> None:
    rows = "".join(f"{number},Demo,2026-03-01,5.25\n" for number in range(20))
    done = table(f'Record ID,Deal Stage,Create Date,Amount\n{rows}99,Demo,2026-03-01,"{text}"\n', "UTC\n")

    assert (done.code, [at[:10] for _, at, _ in done.facts["99"]]) == (0, ["2026-03-01"])
    assert "1 rows are imported without amount" in done.output
    assert "amount" not in done.events[-1]["data"]


def test_the_column_with_times_is_proposed() -> None:
    done = case("19-day-and-time.csv", "UTC\n")

    assert done.mapping.columns.created == "Created Time"


def test_an_expected_date_closes_nothing() -> None:
    done = case("20-pipedrive-expected-close.csv", "UTC\n")

    columns = done.mapping.columns
    assert (columns.won_at, columns.lost_at) == ("Deal - Won time", "Deal - Lost time")
    assert (columns.closed, columns.expected) == (None, "Deal - Expected close date")
    assert done.facts["3"][-1][:2] == ("won", "2026-05-17T09:00:00")
    assert [kind for kind, *_ in done.facts["1"]] == ["created", "moved"]


def test_a_won_deal_with_only_an_expected_date_is_refused() -> None:
    head = "Deal ID,Stage,Status,Created,Won time,Lost time,Expected close date"
    done = table(f"{head}\n1,Demo,Won,2026-03-01,,,2026-03-09\n2,Demo,Lost,2026-03-01,,2026-03-05,\n", "UTC\n")

    assert (done.code, "1" in done.facts, done.facts["2"][-1][0]) == (1, False, "lost")


def test_a_stage_of_two_pipelines_has_two_columns() -> None:
    done = case("21-hubspot-two-pipelines.csv", "UTC\n")

    assert done.mapping.stage_dates["Proposal"] == (
        'Date entered "Proposal (New business)"',
        'Date entered "Proposal (Enterprise)"',
    )
    assert ("moved", "2026-06-09T11:37:00", "Proposal") in done.facts["10000"]
    assert ("moved", "2026-05-08T17:04:00", "Proposal") in done.facts["10001"]
    assert "Not read: Associated Company." in done.output


def test_footers_are_skipped_and_counts_add_up() -> None:
    text = (
        "Record ID,Deal Stage,Create Date,Amount\n1,Demo,2026-03-01,5.25\n2,Demo,soon,5.25\n"
        + "".join(f"{number},Demo,2026-03-01,5.25\n" for number in range(3, 20))
        + "Grand Totals (19 records),,,\nTotal,,,99.75\n\nConfidential Information - Do Not Distribute\n"
    )
    done = table(text, "UTC\n")

    assert done.code == 1
    assert "18 rows would be 18 events" in done.output
    assert "3 rows were skipped: totals and notices" in done.output
    assert "1 rows have faults" in done.output
    assert table(text.replace("soon", "2026-03-01"), "UTC\n").code == 0


@pytest.mark.parametrize("name", ["04-changes.csv", "14-two-orders.csv", "15-doubled-heads.csv"])
def test_what_if_points_from_a_table_to_import(name: str) -> None:
    shutil.copy(CASES / name, name)

    result = CliRunner().invoke(app, ["what-if", name, "--policy", str(CASES / "01-policy.yaml")])

    assert (result.exit_code, f"andon import {name}" in " ".join(result.output.split())) == (1, True), result.output


def test_a_known_head_without_readable_amounts_is_reported() -> None:
    done = table("Record ID,Deal Stage,Create Date,Amount\n1,Demo,2026-03-01,much\n2,Demo,2026-03-01,more\n")

    assert "Amount: 2 of 2 values cannot be read as amounts, such as 'much'" in done.output


def test_a_stage_before_the_creation_is_counted() -> None:
    head = 'Deal ID,Deal Stage,Create Date,Date entered "Demo",Date entered "Proposal"'
    done = table(f"{head}\n1,Proposal,2026-03-05,2026-03-01,2026-03-06\n2,Demo,2026-03-05,2026-03-05,\n")

    assert done.code == 0
    assert "1 rows have a stage before their creation" in done.output


@pytest.mark.parametrize("text", ["", "\n\n", "  \n"])
def test_an_empty_table_is_called_empty(text: str) -> None:
    done = table(text)

    assert (done.code, "is empty; it needs a line of column names" in done.output) == (1, True)
