"""`andon audit`."""

from __future__ import annotations

import typer

from services.cli.console import FormatOption, OutputForm, fail, message

app = typer.Typer(no_args_is_help=True, help="Read the audit log, and check that nobody changed it.")


@app.command("list")
def list_(form: FormatOption = OutputForm.TEXT) -> None:
    """Print every row, the oldest first: sign-ins, changes, refusals, exports."""
    from services.cli import audit_log

    audit_log.show(form)


@app.command("verify")
def verify() -> None:
    """Check the chain of hashes; exits with 1 where a row was changed or is missing."""
    from services.cli import audit_log

    count, fault = audit_log.verify()
    if fault is not None:
        raise fail(fault)
    message(f"{count:,} rows are as they were written")
