"""`andon audit`: prints the audit log, and checks it."""

from __future__ import annotations

import asyncio

from services.cli.console import OutputForm, aligned, message, print_json, print_line
from services.cli.servers import check_servers
from services.tickets import accounts
from services.tickets.access.audit import AuditRow, first_fault
from services.tickets.settings import TicketsSettings

COLUMNS = ("number", "at", "event", "account", "detail")


def show(form: OutputForm) -> None:
    """Raises ServersUnusable."""
    rows = [_row(one) for one in _rows()]
    if form is OutputForm.JSON:
        print_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
    elif not rows:
        message("nothing has been written down yet")
    else:
        for line in aligned(COLUMNS, rows):
            print_line(line)


def verify() -> tuple[int, str | None]:
    """How many rows there are, and the first fault. Raises ServersUnusable."""
    rows = _rows()
    return len(rows), first_fault(rows)


def _rows() -> list[AuditRow]:
    settings = TicketsSettings.from_environment()
    check_servers(schemas=("tickets",))
    return asyncio.run(accounts.audit_rows(settings))


def _row(row: AuditRow) -> tuple[str, ...]:
    detail = ", ".join(f"{name} {value}" for name, value in sorted(row.detail.items()))
    return str(row.id), f"{row.at:%Y-%m-%d %H:%M:%S}", row.event, str(row.account or ""), detail
