"""`andon demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.arguments import SeedOption


def demo(
    folder: Annotated[Path, typer.Option(help="Folder for its data and logs.")] = Path(".data/demo"),
    seed: SeedOption = 7,
    clean: Annotated[bool, typer.Option("--clean", help="Delete its data and exit.")] = False,
) -> None:
    """Run everything on this machine: Kafka, Postgres, a mail inbox, the services and a simulated CRM."""
    from services.cli.progress import load_bars
    from services.demo.app import remove, run

    raise typer.Exit(remove(folder) if clean else run(folder, seed, load_bars))
