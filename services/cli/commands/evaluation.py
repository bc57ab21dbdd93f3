"""`andon hold` and `andon reevaluate`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from services.cli.arguments import parse_time
from services.cli.console import fail, stderr
from services.cli.outcomes import describe_outcome


def hold() -> None:
    """Pause evaluation while deals are still read, until reevaluate. Use it before loading history by hand."""
    from services.detector.evaluate.rebuild import hold as run
    from services.detector.settings import DetectorSettings

    asyncio.run(run(DetectorSettings.from_environment()))
    stderr.print("Evaluation is paused. Resume it with: andon reevaluate --since TIME")


def reevaluate(
    since: Annotated[str, typer.Option(help="Leave problems that ended before this time (ISO 8601) as published.")],
) -> None:
    """Recompute all problems, after loading history or changing the policy. Ends a hold."""
    from services.cli.progress import bar
    from services.detector.evaluate.rebuild import reevaluate as run
    from services.detector.settings import DetectorSettings
    from shared.flow.calendars import micros

    try:
        instant = micros(parse_time(since))
    except ValueError as error:
        raise fail(error) from None
    with bar("events read") as show:
        result = asyncio.run(run(DetectorSettings.from_environment(), instant, show))
    stderr.print(describe_outcome(result))
