"""Tables in real files: every form gives the same columns and rows, and what is broken says so."""

from __future__ import annotations

import gzip
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pytest
from pyarrow import parquet

from services.importer.tables import ReadOptions, TableError, open_table
from services.importer.tables.base import Cell

HEAD = ["Deal ID", "Größe", "Created"]
ROWS: list[list[str]] = [["1", "Müller; und, Söhne", "2026-03-04"], ["2", "two\nlines", ""], ["3", 'a "quote"', "x"]]


def csv_text(delimiter: str) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    return "\r\n".join(delimiter.join(map(cell, row)) for row in [HEAD, *ROWS]) + "\r\n"


def read(path: Path, reading: ReadOptions | None = None) -> tuple[list[str], list[list[Cell]]]:
    table = open_table(path, reading)
    rows = [[cell or "" for cell in row.cells] for row in table.rows()]
    assert rows == [[cell or "" for cell in row.cells] for row in table.rows()], "rows can be read again"
    assert 0 < table.share_read <= 1
    return table.columns, rows


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_csv_is_read_whatever_its_encoding_and_delimiter(
    encoding: str, delimiter: str, packed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "deals"
    data = csv_text(delimiter).encode(encoding)
    path.write_bytes(gzip.compress(data) if packed else data)

    assert read(path) == (HEAD, ROWS)
    assert open_table(path).guessed_encoding == ("cp1252" if encoding == "cp1252" else None)


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deals.csv"
    path.write_text('sep=;\nid;name\n1;a\n\n2;b\n3;\'c\n4;"d\ne"\n5;f\n')

    assert [(row.line, row.cells) for row in open_table(path).rows()] == [
        (3, ["1", "a"]),
        (5, ["2", "b"]),
        (6, ["3", "'c"]),
        (7, ["4", "d\ne"]),
        (9, ["5", "f"]),
    ]


@pytest.mark.slow
def test_letters_far_behind_decide_too(tmp_path: Path) -> None:
    path = tmp_path / "deals.csv"
    path.write_bytes(b"id,name\n" + b"1,a\n" * 600_000 + "2,Müller\n".encode("cp1252"))

    table = open_table(path)
    assert table.guessed_encoding == "cp1252"
    *_, last = table.rows()
    assert last.cells == ["2", "Müller"]


def test_an_encoding_that_is_named_is_used(tmp_path: Path) -> None:
    path = tmp_path / "deals.csv"
    path.write_bytes("id;name\n1;Müller\n".encode("cp850"))

    assert next(open_table(path, ReadOptions(encoding="cp850")).rows()).cells == ["1", "Müller"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_nul_in_a_cell_costs_no_table(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "deals"
    path.write_bytes("id,name\n1,J\u00fcr\x00gen & Co\n2,Birch\n".encode(encoding))

    rows = list(open_table(path).rows())

    assert [row.cells for row in rows] == [["1", "J\u00fcr\x00gen & Co"], ["2", "Birch"]]


@pytest.mark.parametrize(
    ("data", "reading", "words"),
    [
        (b"", None, "is empty"),
        (b"a word\nanother\n", None, "cannot be split into columns"),
        (
            b"Opportunity report\n\nid,name\n1,a\n2,b\n",
            None,
            "cannot be split.*delete what is above the column names",
        ),
        (b",,\n1,2,3\n", None, "has no column names"),
        (b"\x81\x8d,\x8f\n", None, "neither UTF-8 nor Windows-1252"),
        (b"\x00\x01\x02\x00\x00\x00\xff\x00\x00\x00\x00", None, "is not text"),
        (b"id,name\n1,\xfc\n", ReadOptions(encoding="utf-8"), "is not utf-8"),
        (b"id,name\n", ReadOptions(encoding="latin-17"), "is not known"),
        (b'id,name\n1,"never closed' + b"x" * 1_100_000, None, "line 2.*correct the quotes"),
        (gzip.compress(b"id,name\n1,a\n" * 1000, mtime=0)[:-20], None, "cannot be decompressed"),
        (b"PK\x03\x04 not a workbook", None, "cannot be read as a workbook"),
        (b"PAR1 not parquet", None, "cannot be read as Parquet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old", None, "save it as .xlsx"),
    ],
)
def test_what_is_broken_says_why(data: bytes, reading: ReadOptions | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "deals"
    path.write_bytes(data)

    with pytest.raises(TableError, match=f"(?s){words}"):
        list(open_table(path, reading).rows())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="nowhere: No such file"):
        open_table(tmp_path / "nowhere")


MIXED: list[list[Any]] = [[801, "Müller", datetime(2026, 3, 4, 12, 5), 12.5], [802, None, None, 7]]  # noqa: DTZ001


def test_excel_is_read_sheet_by_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append([])
    sheet.append(["id", "name", "when", "amount", None])
    for row in MIXED:
        sheet.append(row)
    sheet.append([])
    book.create_sheet("other").append(["a", "b"])
    path = tmp_path / "deals.xlsx"
    book.save(path)

    table = open_table(path)
    assert table.columns == ["id", "name", "when", "amount"]
    assert [(row.line, row.cells) for row in table.rows()] == [(3, MIXED[0]), (4, MIXED[1])]
    assert open_table(path, ReadOptions(sheet="other")).columns == ["a", "b"]
    with pytest.raises(TableError, match="there are Sheet, other"):
        open_table(path, ReadOptions(sheet="third"))


def test_titles_above_the_head_of_a_sheet_are_passed_over(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Opportunity report"], ["As of 2026-03-31"], [], ["id", "stage"], [1, "Demo"], [2]):
        sheet.append(row)
    book.create_sheet("one column").append(["id"])
    path = tmp_path / "deals.xlsx"
    book.save(path)

    table = open_table(path)
    assert table.columns == ["id", "stage"]
    assert [(row.line, row.cells) for row in table.rows()] == [(5, [1, "Demo"]), (6, [2, None])]
    assert open_table(path, ReadOptions(sheet="one column")).columns == ["id"]


def test_strings_that_are_kept_as_bytes_are_text(tmp_path: Path) -> None:
    path = tmp_path / "deals.parquet"
    whole = pyarrow.table(
        {
            "id": pyarrow.array([b"006A", None], pyarrow.binary()),
            "name": pyarrow.array(["Müller".encode(), b"\xff"], pyarrow.large_binary()),
            "key": pyarrow.array([b"ab", b"cd"], pyarrow.binary(2)),
        }
    )
    parquet.write_table(whole, path)

    assert [row.cells for row in open_table(path).rows()] == [["006A", "Müller", "ab"], [None, "\\xff", "cd"]]


def test_parquet_is_read_in_batches(tmp_path: Path) -> None:
    path = tmp_path / "deals.parquet"
    whole = pyarrow.table(
        {"id": list(range(5000)), "day": [date(2026, 3, 4)] * 5000, "name": ["Müller"] * 4999 + [None]}
    )
    parquet.write_table(whole, path, row_group_size=1500)

    table = open_table(path)
    assert table.columns == ["id", "day", "name"]
    rows = list(table.rows())
    assert (len(rows), rows[0], rows[-1]) == (
        5000,
        (1, [0, date(2026, 3, 4), "Müller"]),
        (5000, [4999, date(2026, 3, 4), None]),
    )
