"""`andon source`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.cli.console import fail, print_plain

app = typer.Typer(no_args_is_help=True, help="Connect a CRM, and check what it sends.")


@app.command()
def check(
    source: Annotated[str, typer.Argument(help="Name of the source in the sources file.")],
    file: Annotated[Path, typer.Argument(help="A saved request: headers, an empty line, the body.")],
) -> None:
    """Explain a saved request: whether its signature is valid, and what it would be translated to."""
    from datetime import UTC, datetime

    from services.intake.explain import explain, parse_saved_request
    from services.intake.settings import IntakeSettings
    from shared.connectors.config import load
    from shared.runtime.yaml_file import FaultsError

    try:
        sources = load(IntakeSettings.from_environment().sources)
        if source not in sources:
            raise ValueError(f"{source}: no such source; known are {', '.join(sorted(sources))}")
        lines = list(explain(sources[source], parse_saved_request(file.read_bytes(), datetime.now(UTC))))
    except (FaultsError, ValueError, OSError) as error:
        raise fail(error) from None
    for line in lines:
        print_plain(Console(), line)


@app.command()
def add(
    name: Annotated[
        str, typer.Argument(help="Name of the new source, part of its URL: lower-case letters, digits, dashes.")
    ],
    kind: Annotated[str | None, typer.Option(help="Kind of CRM. Default: ask.")] = None,
    address: Annotated[
        str | None, typer.Option(help="https://... under which the CRM reaches intake. Default: ask.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the first webhook and show what it means.")] = True,
) -> None:
    """Connect a CRM: ask for what is needed, write the sources file, list the steps to take in the CRM."""
    from services.cli import first_webhook, source_setup
    from services.intake.settings import IntakeSettings
    from shared.runtime.yaml_file import FaultsError

    try:
        settings = IntakeSettings.from_environment()
        source = source_setup.add(name, kind, settings.sources, address)
        if wait:
            first_webhook.show(settings.kafka, settings.topic_prefix, source)
    except (FaultsError, ValueError, OSError) as error:
        raise fail(error) from None
