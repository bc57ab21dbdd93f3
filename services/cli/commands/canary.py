"""`andon canary`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from services.cli.console import fail, print_line

# 0: all the way; 1: it could not be tried; 2: wrong usage. Then the steps, in their order.
FIRST_STEP = 3
DISTURBED = 8


def canary(
    every: Annotated[
        float, typer.Option(min=0, max=86_400, help="Run as a service: begin a run every so many seconds. 0: run once.")
    ] = 0,
    within: Annotated[float, typer.Option(min=1, max=3600, help="Seconds that each step may take.")] = 60,
) -> None:
    """Send a made-up deal the whole way from webhook to mail, and say where it gets stuck.

    Exit code 0: all the way; 3: stuck at the webhook, 4: at the event, 5: at the problem, 6: at the ticket, 7: at the
    mail; 8: another canary was on the way, so nothing is known. No page, measure or count shows the deal.
    """
    from services.canary.app import serve
    from services.canary.run import CanaryStep
    from services.canary.settings import CanarySettings
    from services.canary.way import CanaryWay

    settings = CanarySettings.from_environment()
    if not settings.canary_secret.get_secret_value():
        raise fail("ANDON_CANARY_SECRET is missing; set it to the same long random text for intake and the canary")
    if every:
        serve(every, within)
        return
    outcome = asyncio.run(CanaryWay(settings, within).attempt())
    for step, seconds in outcome.seconds.items():
        print_line(f"{step:<8} {seconds:6.2f} s")
    if outcome.is_disturbed:
        print_line(f"nothing is known: {outcome.why}; run it again")
        raise typer.Exit(DISTURBED)
    if outcome.stuck is not None:
        print_line(f"stuck at {outcome.stuck}: {outcome.why}")
        raise typer.Exit(FIRST_STEP + list(CanaryStep).index(outcome.stuck))
    print_line("the canary went all the way")
