"""`andon policy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.cli.console import fail, print_plain, stderr

app = typer.Typer(no_args_is_help=True, help="Check the policy file.")


@app.command()
def check(file: Annotated[Path, typer.Argument(help="Policy file.")]) -> None:
    """Report every fault of a policy file, or list its pipelines if there is none, and warn of what finds nothing."""
    from shared.policy import PolicyError, load, warnings

    try:
        policy = load(file)
    except PolicyError as error:
        raise fail(error) from None
    for name, pipeline in policy.pipelines.items():
        summary = f"{len(pipeline.stages)} stages, {len(pipeline.rules)} rules, owner {pipeline.owner.mail}"
        print_plain(Console(), f"{name}: {summary}")
    for warning in warnings(policy):
        print_plain(stderr, f"warning: {warning}")
