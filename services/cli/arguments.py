"""Options that several commands share, and how times are written on the command line."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

SourceOption = Annotated[str, typer.Option(help="Name of the source in the sources file.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the simulated company: the same seed, the same deals.")]


def parse_time(text: str) -> datetime:
    """An ISO 8601 date or time, UTC unless it has an offset; raises ValueError that shows how to write one."""
    from shared.connectors.base.fields import utc_time_of

    try:
        if len(text) == len("2026-03-01"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        return utc_time_of(text, "")
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write it like 2026-03-01 or 2026-03-01T12:00:00Z") from None
