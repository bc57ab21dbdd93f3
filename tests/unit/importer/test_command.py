"""`andon import` without servers: what is shown, asked, written and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.import_dialog import TerminalDialog
from services.cli.main import app
from services.importer.journal import ImportJournal
from services.importer.mapping import Shape, load_mapping
from services.importer.readers import RowFault
from services.importer.rejected_rows import RejectedRows
from services.importer.wizard import ImportOptions, ImportWizard

TABLE = (
    "Deal ID;Deal Name;Stage;Created;Closed Date;Deal owner;Amount\n"
    "1;Alder;Won;03/04/2026;05/04/2026;A B;1,200\n2;Birch;Demo;03/05/2026;;A B;900\n3;Cedar;Lost;03/06/2026;;A B;900\n"
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deals.csv").write_text(TABLE)
    return tmp_path / "deals.csv"


def run(*arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(app, ["import", "deals.csv", "--source", "crm", *arguments], input=answers)


def test_it_asks_shows_and_keeps_the_mapping(file: Path) -> None:
    answers = "\n".join(("mdy", "point", "Europe/Berlin", "Demo", "-")) + "\n"

    result = run("--dry-run", "--save", "kept.yaml", "--out", "events.jsonl", answers=answers)

    assert result.exit_code == 1, result.output
    said = " ".join(result.output.split())
    assert "Left out, because no person is measured: Deal owner." in said
    assert "what comes first, day, month or year, in dates such as 03/04/2026?" in said
    assert "line 2: deal 1 created 4 March 2026 in Demo; won 4 May 2026" in said
    assert "line 4: cannot be imported: Closed Date: is empty, but the deal is Lost" in said
    assert "1 rows have faults and were not imported" in said
    kept = load_mapping(Path("kept.yaml"), lambda found: TABLE.partition("\n")[0].split(";"))
    assert (kept.shape, kept.dates, kept.decimal, kept.first_stage) == (Shape.LAST_STAGE, "mdy", "point", "Demo")
    events = [json.loads(line) for line in Path("events.jsonl").read_text().splitlines()]
    assert [(one["type"], one["subject"]) for one in events] == [
        ("andon.deal.created", "crm:1"),
        ("andon.deal.won", "crm:1"),
        ("andon.deal.created", "crm:2"),
    ]
    assert "A B" not in Path("events.jsonl").read_text()

    again = run("--dry-run", "--mapping", "kept.yaml", "--out", "again.jsonl")
    assert (again.exit_code, "?" in again.output) == (1, False)
    assert Path("again.jsonl").read_text() == Path("events.jsonl").read_text()
    assert Path("deals.csv.rejected.csv").read_text().splitlines()[1].startswith("4,Closed Date,,")


def test_one_bad_cell_costs_its_row_and_no_more(file: Path) -> None:
    lines = ["Record ID,Deal Stage,Create Date,Close Date"]
    lines += [
        f"{n},{('Demo', 'Closed Won', 'Lead')[n % 3]},2026-01-02,{'2026-03-01' if n % 3 == 1 else ''}"
        for n in range(40)
    ]
    lines[8] = "7,Closed Won,2026-01-02,n/a"
    file.write_text("\n".join(lines))

    result = run("--yes", "--dry-run", "--save", "kept.yaml")

    said = " ".join(result.output.split())
    assert "Close Date: 1 of 13 values cannot be read as dates, such as 'n/a'; correct or empty them" in said
    assert "1 rows have faults and were not imported" in said
    assert Path("deals.csv.rejected.csv").read_text().splitlines()[1].startswith("9,Close Date,n/a,is not a date")


def test_rows_that_are_cut_wrongly_teach_nothing(file: Path) -> None:
    lines = ["Record ID,Deal Name,Deal Stage,Create Date"]
    lines += [f"{n},{'Oak, Elm' if n % 4 == 0 else 'Oak'},{('Demo', 'Lead')[n % 2]},2026-01-02" for n in range(20)]
    file.write_text("\n".join(lines))

    result = run("--yes", "--dry-run", "--save", "kept.yaml")

    assert "the first 15 rows" in result.output
    assert "5 rows have faults and were not imported" in result.output
    assert "created: Create Date" in Path("kept.yaml").read_text()


OPEN = "Record ID,Deal Stage,Create Date,Close Date\n1,Demo,2026-01-05,2026-12-31\n2,Offer,2026-01-06,\n"
CLOSES_NONE = "No word means won or lost: no deal is ever closed."


def test_an_export_of_open_deals_is_taken_when_it_is_said_that_none_is_closed(file: Path) -> None:
    file.write_text(OPEN)

    result = run("--dry-run", "--save", "kept.yaml", answers="UTC\n-\n-\n-\n-\n")
    again = run("--dry-run", "--mapping", "kept.yaml")

    for one in (result, again):
        assert (one.exit_code, CLOSES_NONE in one.output) == (0, True), one.output
        assert "2 rows would be 2 events" in one.output
    assert {"won: []", "lost: []"} <= set(Path("kept.yaml").read_text().splitlines())


def test_yes_does_not_know_that_a_date_of_closing_closes_nothing(file: Path) -> None:
    file.write_text(OPEN)

    result = run("--yes", "--dry-run")

    assert (result.exit_code, "won: which words mean won?" in result.output) == (1, True)
    file.write_text(OPEN.replace(",Close Date", "").replace(",2026-12-31", "").replace("6,\n", "6\n"))
    result = run("--yes", "--dry-run")
    assert (result.exit_code, CLOSES_NONE in result.output) == (0, True), result.output


class ScriptedDialog(TerminalDialog):
    """Gives these answers to any questions."""

    def __init__(self, *answers: str) -> None:
        self._answers = iter(answers)

    def ask(self, question: str, default: str | None) -> str:
        return next(self._answers)


def test_answers_are_kept_before_the_mapping_is_refused(file: Path) -> None:
    options = ImportOptions(file, "crm", dry_run=True, save=Path("kept.yaml"))
    dialog = ScriptedDialog("mdy", "point", "UTC", "Demo", "-")

    with pytest.raises(ValueError, match="won is wrong"):
        ImportWizard(options, dialog, check=lambda mapping, columns: [(("won",), "is wrong")]).run()

    assert "dates: mdy" in Path("kept.yaml").read_text()


LETTERS = "Record ID;Größe;Deal-Phase;Erstellungsdatum\n1;Müller;Demo;2026-01-05\n2;Größe;Angebot;2026-01-06\n"
REST = "UTC\n-\n-\n-\n-\n"


@pytest.mark.parametrize("answer", ["", "y", "Yes", "cp1252"])
def test_the_encoding_is_asked_first_and_yes_is_the_default(answer: str, file: Path) -> None:
    file.write_bytes(LETTERS.encode("cp1252"))

    result = run("--dry-run", "--save", "kept.yaml", answers=f"{answer}\n{REST}")

    assert result.exit_code == 0, result.output
    assert result.output.startswith("the encoding seems to be cp1252, as in Größe, Müller; is that right? (y, or the")
    assert "encoding: cp1252" in Path("kept.yaml").read_text()


def test_another_encoding_is_tried_and_the_table_proposed_anew(file: Path) -> None:
    file.write_bytes(LETTERS.replace("Größe;Deal", "Währung;Deal").encode("mac_roman"))

    result = run("--dry-run", "--save", "kept.yaml", answers=f"no\nrot13\nutf-8\nmac_roman\n{REST}")

    assert result.exit_code == 0, result.output
    assert "encoding 'no' is not known" in result.output
    assert "encoding 'rot13' is not known" in result.output
    assert "is not utf-8" in result.output
    assert {"encoding: mac_roman", "  currency: Währung"} <= set(Path("kept.yaml").read_text().splitlines())


def test_yes_takes_the_encoding_that_is_found(file: Path) -> None:
    file.write_bytes(LETTERS.encode("cp1252"))

    result = run("--dry-run", "--yes", "--save", "kept.yaml")

    assert (result.exit_code, "encoding: cp1252" in Path("kept.yaml").read_text()) == (0, True), result.output


def test_a_title_above_the_column_names_is_reported(file: Path) -> None:
    file.write_text("Report,of 2026-03-31,\nRecord ID,Stage,Created\n1,a,2026-01-01\n2,b,2026-01-02\n")

    result = run("--dry-run")

    assert (result.exit_code, "the first line names 2 columns, and most rows have more" in result.output) == (1, True)
    assert "delete what is above" in result.output


def test_yes_stops_where_something_must_be_asked(file: Path) -> None:
    result = run("--yes", "--dry-run")

    assert result.exit_code == 1
    assert "dates: what comes first" in result.output
    assert "--save" in result.output


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            "Deal Name,Stage,Created\nAlder,a,2026-01-01\nBirch,b,2026-01-02\n",
            "columns.deal: which column holds the id",
        ),
        ("Deal ID,Stage,Created\n1,a,2026-01-01\n2,a,2026-01-02\n", "first_stage: in which stage do deals start"),
        (
            "Deal ID,Stage,This,That\n1,a,2026-01-01,2026-01-02\n1,b,2026-01-02,2026-01-02\n",
            "columns.time: which column says when the deal moved",
        ),
    ],
)
def test_yes_takes_no_guess(table: str, words: str, file: Path) -> None:
    file.write_text(table)

    result = run("--yes", "--dry-run")

    assert result.exit_code == 1
    assert words in result.output


@pytest.mark.parametrize("head", ["Record ID", "Deal ID", "Opportunity ID", "Id"])
def test_yes_takes_what_is_sure(head: str, file: Path) -> None:
    file.write_text(f"{head},Stage,Created\n1,a,2026-01-01\n2,b,2026-01-02\n")

    result = run("--yes", "--dry-run")

    assert (result.exit_code, "2 rows would be 2 events" in result.output) == (0, True), result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shape: changes\ncolumns: {deal: Deal ID}\n", "line 2: columns.stage: is missing"),
        ("shape: last-stage\ncolumns: {deal: Id, stage: Stage}\n", "line 2: columns.deal: there is no column 'Id'"),
        ("shape: stages\ncolumns: {deal: Deal ID}\n", "stage_dates: is missing"),
        ("shape: last-stage\ncolumns: {deal: Deal ID, stage: Stage, closed: Closed Date}\n", "won: is missing"),
        ("shape: last-stage\ncolumns: {deal: Deal ID, owner: Deal owner}\n", "columns.owner: no such field"),
        ("shape: rows\ncolumns: {deal: Deal ID}\n", "shape"),
    ],
)
def test_a_wrong_mapping_is_told_with_its_line(text: str, words: str, file: Path) -> None:
    Path("wrong.yaml").write_text(text)

    result = run("--mapping", "wrong.yaml", "--dry-run")

    assert result.exit_code == 1
    assert words in " ".join(result.output.split())


def test_a_name_that_is_none_is_refused(file: Path) -> None:
    result = CliRunner().invoke(app, ["import", "deals.csv", "--source", "A b", "--dry-run"])

    assert (result.exit_code, "--source A b" in result.output) == (1, True)


def test_rejected_rows_continue_after_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    first = RejectedRows(path)
    first.add(2, RowFault("a", "x", "is wrong"))
    kept = first.flush()
    first.add(3, RowFault("a", "y", "is known to nobody"))
    first.close()

    second = RejectedRows(path, kept)
    second.add(3, RowFault("a", "y", "is wrong"))
    second.close()

    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["line", "2", "3"]


def test_a_journal_is_of_one_table_and_keeps_the_earliest_instant(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    ImportJournal(fingerprint="one", rows=7, earliest=5).save(path)

    assert ImportJournal.resume(path, "one").rows == 7
    assert (ImportJournal.resume(path, "other").rows, ImportJournal.resume(path, "other").earliest) == (0, 5)
    ImportJournal(fingerprint="one", rows=7, earliest=5, done=True).save(path)
    assert (ImportJournal.resume(path, "one").rows, ImportJournal.resume(path, "one").earliest) == (0, None)


@pytest.mark.parametrize("rows", ["", "\n", "\n\n  \n", ";;;;;;\n"])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_table_of_heads_only_is_refused(rows: str, mapped: bool, file: Path) -> None:
    columns = "columns: {deal: Deal ID, stage: Stage, created: Created}"
    Path("m.yaml").write_text(f"version: 1\nshape: last-stage\n{columns}\n")
    file.write_text(TABLE.partition("\n")[0] + rows)

    result = run("--dry-run", *(("--mapping", "m.yaml") if mapped else ("--yes",)))

    assert result.exit_code == 1
    assert "deals.csv: has column names and no rows; export it again, with its deals" in " ".join(result.output.split())


def test_the_result_is_written_as_json(file: Path) -> None:
    answers = "\n".join(("mdy", "point", "Europe/Berlin", "Demo", "-")) + "\n"
    run("--dry-run", "--save", "m.yaml", answers=answers)

    result = run("--dry-run", "--mapping", "m.yaml", "--format", "json")

    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (found["rows"], found["imported"], found["events"], found["rejected"]) == (3, 2, 3, 1)
    assert (found["file"], found["source"], found["dry_run"]) == ("deals.csv", "crm", True)
    assert found["mapping"]["columns"]["deal"] == "Deal ID"
    assert Path(found["rejected_rows"]).name == "deals.csv.rejected.csv"
    assert found["skipped"] == {"footers": 0, "ignored": 0}
