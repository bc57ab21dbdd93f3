"""`andon simulate`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import orjson
from rich.console import Console

from services.cli.progress import counting
from services.cli.what_if import moment_of
from services.simulator import dialects, run
from services.simulator.dialects import DIALECTS
from services.simulator.post import PostRejected, poster

_console = Console(stderr=True)


def simulate(
    to: str | None,
    secret: str,
    public_url: str | None,
    out: Path | None,
    seed: int,
    days: int,
    end: str | None,
    live: bool,
    per_minute: float,
    journal: Path | None,
    kind: str = "hubspot",
) -> None:
    """Write a file, or post; raises ValueError that says what is missing."""
    until = moment_of(end) if end else datetime.now(UTC).replace(microsecond=0)
    if out is not None:
        _write(out, run.SimulationJournal(seed=seed, days=days, end=until))
        return
    if not to or not secret:
        raise ValueError("name where to post (--to) and the source's secret (--secret), or a file to write (--out)")
    if kind not in DIALECTS:
        raise ValueError(f"--kind {kind}: not known; use one of {', '.join(sorted(DIALECTS))}")
    kept = run.SimulationJournal.open(journal, seed, days, until)
    # Before the first webhook: a run that was cut off goes on with the same history.
    kept.keep(journal)
    try:
        asyncio.run(_post(to, secret, public_url, kind, kept, journal, per_minute if live else None))
    except KeyboardInterrupt:
        _console.print("stopped")
    except PostRejected as error:
        raise ValueError(str(error)) from None


def _write(out: Path, journal: run.SimulationJournal) -> None:
    count = 0
    with out.open("wb") as file:
        for happening in run.history(journal.seed, journal.days, journal.end):
            for event in dialects.canonical(happening):
                file.write(orjson.dumps(event) + b"\n")
                count += 1
    _console.print(f"{count} events are in {out}", markup=False, emoji=False)


async def _post(
    to: str,
    secret: str,
    public_url: str | None,
    kind: str,
    kept: run.SimulationJournal,
    journal: Path | None,
    per_minute: float | None,
) -> None:
    async with poster(to, secret, public_url, kind) as sender:
        if not kept.history:
            with counting("events posted") as show:
                count = await run.post_history(sender, kept, show)
            _console.print(f"{count} events of the history are posted")
            kept.history = True
            kept.keep(journal)
        if per_minute is not None:
            with counting("live events posted") as show:
                await run.live(sender, kept, journal, per_minute, lambda _, number: show(number))
