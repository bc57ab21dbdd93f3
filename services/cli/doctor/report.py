"""What `andon doctor` prints: a table for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel, Field
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.console import printable
from services.cli.doctor.examine import Result, health_of
from services.cli.doctor.finding import Health
from services.cli.doctor.masking import Mask
from shared.runtime.version import product_version

_COLOURS = {Health.GOOD: "green", Health.LOOK: "yellow", Health.BAD: "red"}
# Of a table that goes to a file or a pipe, where lines are not folded at 80.
FILE_WIDTH = 1000


class DoctorFinding(BaseModel):
    """One line."""

    health: Health
    subject: str = Field(description="what was looked at")
    text: str = Field(description="how it is")
    todo: str = Field(description="the way out; empty where nothing is to be done")


class DoctorCheck(BaseModel):
    """One check, with its lines."""

    name: str
    health: Health | None = Field(description="the worst of its findings, good if there are none; null: not made")
    waits_for: list[str] = Field(description="checks that were bad, so that this one was not made")
    findings: list[DoctorFinding]


class DoctorReport(BaseModel):
    """What `andon doctor --json` prints. No secret is in it."""

    andon: str = Field(description="version of the command")
    at: datetime
    health: Health = Field(description="the worst of all checks; exit code 0 good, 1 look, 2 bad")
    checks: list[DoctorCheck]


def report_of(results: Sequence[Result], mask: Mask, at: datetime) -> DoctorReport:
    """The results without secrets."""
    checks = [
        DoctorCheck(
            name=result.name,
            health=None if result.waits_for else result.health,
            waits_for=list(result.waits_for),
            findings=[
                DoctorFinding(
                    health=one.health,
                    subject=mask.text(one.subject),
                    text=mask.text(one.text),
                    todo=mask.text(one.todo),
                )
                for one in result.findings
            ],
        )
        for result in results
    ]
    return DoctorReport(andon=product_version(), at=at, health=health_of(results), checks=checks)


def print_report(report: DoctorReport, console: Console) -> None:
    """As a table, with what was not looked at below it."""
    if not console.is_terminal:
        console.width = FILE_WIDTH
    console.print(_table(report))
    for line in _not_made(report.checks):
        console.print(Text(printable(line)))
    counts = {health: sum(f.health is health for c in report.checks for f in c.findings) for health in Health}
    console.print(Text(", ".join(f"{count} {health}" for health, count in counts.items())))


def _table(report: DoctorReport) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for title in ("what", "how it is", "what to do"):
        table.add_column(title, overflow="fold")
    for finding in (finding for check in report.checks for finding in check.findings):
        # Text, as names from outside may hold markup.
        cells = [Text(printable(cell)) for cell in (finding.subject, finding.text, finding.todo)]
        table.add_row(Text(finding.health, style=_COLOURS[finding.health]), *cells)
    return table


def _not_made(checks: Iterable[DoctorCheck]) -> Iterable[str]:
    for check in checks:
        if check.waits_for:
            yield f"not looked at: {check.name}, as {' and '.join(check.waits_for)} cannot be used"
