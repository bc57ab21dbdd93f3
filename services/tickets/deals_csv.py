"""The deals of a problem as CSV, for spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from starlette.responses import Response

from shared.contracts.envelope import iso
from shared.contracts.problems import EvidenceDeal, ProblemData

COLUMNS = (
    "deal",
    "name",
    "amount",
    "currency",
    "entered_at",
    "age_seconds",
    "last_movement_at",
    "next_step_at",
    "url",
    "as_of",
)
# Spreadsheets run a cell that begins like this as a formula, in full width too. Where they separate cells by another
# character than a comma, a cell begins after that as well. Source: OWASP, CSV Injection.
_FORMULA = re.compile(r"(^|[;|\t\r\n])(?=[=+\-@\t\r\n＝＋－＠])")  # noqa: RUF001
MARK = "\ufeff"


def download(problem: ProblemData, number: int, marked: bool) -> Response:
    """As a file. `marked`: with the mark by which spreadsheets know UTF-8."""
    text = (MARK if marked else "") + write(problem)
    headers = {"content-disposition": f'attachment; filename="ticket-{number}-deals.csv"'}
    return Response(text, headers=headers, media_type="text/csv; charset=utf-8")


def write(problem: ProblemData) -> str:
    """One line for each deal, the worst first; times in UTC, ages on the stage's clock."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    if problem.evidence is not None:
        as_of = iso(problem.evidence.at)
        for deal in sorted(problem.evidence.deals, key=lambda deal: -deal.age_seconds):
            writer.writerow([*_cells(deal), as_of])
    return out.getvalue()


def _cells(deal: EvidenceDeal) -> Iterator[str | int]:
    yield as_text(deal.deal)
    yield as_text(deal.name)
    yield deal.amount or ""
    yield as_text(deal.currency)
    yield iso(deal.entered_at)
    yield int(deal.age_seconds)
    for moment in (deal.last_movement_at, deal.next_step_at):
        yield iso(moment) if moment else ""
    yield as_text(deal.url)


def as_text(value: str | None) -> str:
    """A text as text: never a formula."""
    return _FORMULA.sub(r"\1'", value) if value else ""
