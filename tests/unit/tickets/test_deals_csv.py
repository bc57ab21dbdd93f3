"""The deals of a ticket as CSV: every deal once, no owner, no formula."""

from __future__ import annotations

import csv
import io

import pytest

from services.tickets import deals_csv
from shared.contracts.problems import Evidence
from tests.support.problems import day, evidence, problem


def rows(shown: Evidence | None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(deals_csv.write(problem(evidence=shown)))))


def test_every_deal_is_a_line_the_worst_first() -> None:
    deals = evidence(12).worst
    whole = Evidence(at=day(1), total=12, worst=deals[7:], sample=deals[:3], rest=deals[3:7])

    found = rows(whole)

    assert [row["deal"] for row in found] == [f"crm:{n}" for n in reversed(range(12))]
    assert (found[0]["amount"], found[0]["currency"], found[0]["as_of"]) == (
        "9500.00",
        "EUR",
        "2026-03-03T09:00:00.000000Z",
    )
    assert tuple(found[0]) == deals_csv.COLUMNS


def test_without_deals_the_columns_remain() -> None:
    assert rows(None) == []
    assert deals_csv.write(problem(evidence=None)).strip() == ",".join(deals_csv.COLUMNS)


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_text_of_a_crm_is_a_formula(begin: str) -> None:
    text = f'{begin}HYPERLINK("http://evil.example","open")'
    deal = evidence(1).worst[0].model_copy(update={"name": text, "url": text})

    (row,) = rows(Evidence(at=day(0), total=1, worst=(deal,)))

    assert row["name"] == row["url"] == f"'{text}"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a\t@b", "a\t'@b"),
        ("a\n-1", "a\n'-1"),
        ("a|+1", "a|'+1"),
        (";;=1", ";;'=1"),
        ("\t\t=1", "'\t'\t'=1"),
        ("2 - 1 = 1; see a@b, c=d", "2 - 1 = 1; see a@b, c=d"),
    ],
)
def test_no_cell_of_a_spreadsheet_that_separates_by_another_character_is_one(text: str, written: str) -> None:
    assert deals_csv.as_text(text) == written
