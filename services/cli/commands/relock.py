"""`andon relock`."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.console import fail, message


def relock(
    chart: Annotated[str, typer.Argument(help="pipeline/stage/measure; - for the stage of a pipeline's measure.")],
    from_: Annotated[str, typer.Option("--from", help="First week of the new baseline, such as 2026-W09; or first.")],
    reason: Annotated[str, typer.Option(help="Why: shown on the chart's page.")],
    points: Annotated[int, typer.Option(help="Weeks of the new baseline, 12 to 20.")] = 20,
) -> None:
    """Begin a chart's baseline anew, because the process has changed for good. Problems are judged by it at once.

    With --from first, lock the chart's first baseline early, with fewer points.
    """
    from services.cli.relock import FIRST, RelockRefused
    from services.cli.relock import relock as run

    try:
        done = run(chart, from_, points, reason)
    except (RelockRefused, TimeoutError) as error:
        raise fail(error) from None
    since = FIRST if done.from_week is None else done.from_week
    message(f"{done.chart}: the baseline from {since} on is its first {done.points} weeks; it is on flow.relocks")
