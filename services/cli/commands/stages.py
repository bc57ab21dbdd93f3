"""`andon stages`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import FormatOption, OutputForm, counted, fail, message

app = typer.Typer(no_args_is_help=True, help="Name the stages of CRMs, and see where the policy has them.")


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="YAML or CSV with source, pipeline, stage, name, order, probability, outcome.")
    ],
) -> None:
    """Publish the names of stages, for CRMs whose webhooks send only ids. Safe to repeat."""
    from services.cli import stage_table
    from shared.runtime.yaml_file import FaultsError

    try:
        count = stage_table.publish(file)
    except (FaultsError, TimeoutError) as error:
        raise fail(error) from None
    message(f"{counted(count, 'stage is', 'stages are')} on pipeline.stages; see andon stages list")


@app.command("list")
def list_(
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    policy: Annotated[Path | None, typer.Option("--policy", "-p", help="Policy file. Default: that in force.")] = None,
    form: FormatOption = OutputForm.TEXT,
) -> None:
    """List every known stage, whether the policy watches it, and how to change that."""
    from services.cli import stage_table
    from shared.policy import PolicyError

    try:
        stage_table.show(policy, source, form)
    except (PolicyError, ValueError) as error:
        raise fail(error) from None
