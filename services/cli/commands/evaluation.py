"""`andon hold` and `andon reevaluate`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from services.cli.arguments import parse_time
from services.cli.console import fail, stderr
from services.cli.published import describe_counts


def hold() -> None:
    """Pause evaluation while deals are still read, until reevaluate. Use it before loading history by hand."""
    from services.cli.servers import check_servers
    from services.detector import control
    from services.detector.settings import DetectorSettings

    check_servers(schemas=("flow",))
    asyncio.run(control.hold(DetectorSettings.from_environment()))
    stderr.print("Evaluation is paused. Resume it with: andon reevaluate --since TIME")


def reevaluate(
    since: Annotated[str, typer.Option(help="Leave problems that ended before this time (ISO 8601) as published.")],
) -> None:
    """Recompute all problems, after loading history or changing the policy. Ends a hold."""
    from services.cli.progress import bar
    from services.cli.servers import check_servers
    from services.detector import control
    from services.detector.settings import DetectorSettings
    from shared.runtime.instants import micros

    try:
        instant = micros(parse_time(since))
    except ValueError as error:
        raise fail(error) from None
    check_servers(schemas=("flow",))
    with bar("events read") as show:
        counts = asyncio.run(control.reevaluate(DetectorSettings.from_environment(), instant, show))
    stderr.print(describe_counts(counts))
