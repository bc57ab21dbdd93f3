"""`andon source`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import FormatOption, OutputForm, fail, print_json, print_line

app = typer.Typer(no_args_is_help=True, help="Connect a CRM, and check what it sends.")


@app.command()
def check(
    source: Annotated[str, typer.Argument(help="Name of the source in the sources file.")],
    file: Annotated[Path, typer.Argument(help="A saved request: headers, an empty line, the body.")],
    form: FormatOption = OutputForm.TEXT,
) -> None:
    """Explain a saved request: whether its signature is valid, and what it would be translated to.

    Exit code 1: intake would refuse it.
    """
    from datetime import UTC, datetime

    from services.intake.explain import explain, explained, is_refused, parse_saved_request
    from services.intake.settings import IntakeSettings
    from shared.connectors.config import load
    from shared.runtime.yaml_file import FaultsError

    try:
        sources = load(IntakeSettings.from_environment().sources)
        if source not in sources:
            raise ValueError(f"{source}: no such source; known are {', '.join(sorted(sources))}")
        request = parse_saved_request(file.read_bytes(), datetime.now(UTC))
    except (FaultsError, ValueError, OSError) as error:
        raise fail(error) from None
    if form is OutputForm.JSON:
        print_json(explained(sources[source], request))
    else:
        for line in explain(sources[source], request):
            print_line(line)
    raise typer.Exit(1 if is_refused(sources[source], request) else 0)


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
    from services.cli.servers import ServersUnusable, check_servers
    from services.intake.settings import IntakeSettings
    from shared.contracts.topics import RECEIVED
    from shared.kafka.access import KafkaAccess
    from shared.runtime.yaml_file import FaultsError

    settings = IntakeSettings.from_environment()
    try:
        source = source_setup.add(name, kind, settings.sources, address)
    except (FaultsError, ValueError, OSError) as error:
        raise fail(error) from None
    except typer.Abort:
        raise fail("\nStopped: nothing was written.") from None
    if not wait:
        return
    try:
        check_servers(topics=(RECEIVED,))
        first_webhook.show(KafkaAccess.of(settings), settings.topic_prefix, source)
    except ServersUnusable as error:
        raise fail(f"{source.name} is added; its first webhook cannot be shown:\n{error}") from None
