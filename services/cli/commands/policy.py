"""`andon policy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import FormatOption, OutputForm, fail

app = typer.Typer(no_args_is_help=True, help="Check the policy file.")


@app.command()
def check(file: Annotated[Path, typer.Argument(help="Policy file.")], form: FormatOption = OutputForm.TEXT) -> None:
    """Report every fault of a policy file; if there is none, list its pipelines, and warn of those without rules."""
    from services.cli.policy_report import print_faults, print_policy
    from shared.policy import PolicyError, load

    try:
        policy = load(file)
    except PolicyError as error:
        if form is OutputForm.JSON:
            print_faults(error)
            raise typer.Exit(1) from None
        raise fail(error) from None
    print_policy(policy, form)
