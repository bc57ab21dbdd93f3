"""`andon simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.arguments import SeedOption
from services.cli.console import fail


def simulate(
    to: Annotated[str | None, typer.Option(help="URL of a source: http://HOST:PORT/v1/ingest/NAME.")] = None,
    secret: Annotated[str, typer.Option(help="Secret of that source.", envvar="ANDON_DEMO_SECRET")] = "",
    public_url: Annotated[str | None, typer.Option(help="public_url of that source, if it differs from --to.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write events to this file, for what-if, instead of posting.")
    ] = None,
    seed: SeedOption = 7,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Length of the history in days.")] = 180,
    end: Annotated[str | None, typer.Option(help="End of the history (ISO 8601). Default: now.")] = None,
    live: Annotated[
        bool, typer.Option("--live/--no-live", help="Continue with live events after the history.")
    ] = False,
    per_minute: Annotated[float, typer.Option(min=0.1, max=6000, help="Live events per minute.")] = 20,
    journal: Annotated[Path | None, typer.Option(help="Keep the position in this file, and resume from it.")] = None,
    kind: Annotated[str, typer.Option(help="CRM to imitate: any kind of source.")] = "hubspot",
) -> None:
    """Simulate a CRM: months of deals in two pipelines, with things that go wrong, posted as signed webhooks."""
    from services.cli.simulation import Simulation, check_target

    try:
        if out is not None:
            Simulation(seed, days, end).write(out)
            return
        url = check_target(to, secret, kind)
        Simulation(seed, days, end, journal).post(url, secret, public_url, kind, per_minute if live else None)
    except (ValueError, OSError, RuntimeError) as error:
        raise fail(error) from None
