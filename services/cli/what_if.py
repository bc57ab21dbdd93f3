"""What `andon what-if` prints: a table for people, JSON for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from services.cli import stage_file
from services.cli.event_files import FileError, read_events
from services.cli.progress import counting
from shared.contracts.envelope import iso
from shared.flow.events import event_of
from shared.flow.intervals import Interval
from shared.flow.stage_map import StageMap, facts
from shared.flow.visits import Event
from shared.flow.whatif import Found, find
from shared.policy import load
from shared.runtime.instants import micros, moment


def moment_of(text: str) -> datetime:
    """A time from the command line; raises ValueError that says how to write it."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write for example 2026-03-01 or 2026-03-01T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def what_if(
    events: str, policy: Path, as_of: str | None, form: str, with_visits: bool, stages: Path | None = None
) -> None:
    """Read, judge, print. Raises FileError, FaultsError, ValueError."""
    if form not in ("text", "json"):
        raise ValueError(f"--format {form}: use text or json")
    rules, until = load(policy), None if as_of is None else micros(moment_of(as_of))
    stage_map = stages and StageMap.of(fact for data in stage_file.read(stages) for fact in facts(data, 0, ""))
    read = _read(events)
    if not read:
        raise FileError(f"{events}: there is no event in it; one JSON object a line is expected")
    found = find(read, rules, max(e.key.time for e in read) if until is None else until, stage_map or None)
    if form == "json":
        typer.echo(orjson.dumps(_json(found, with_visits), option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)


def _read(path: str) -> list[Event]:
    events = []
    with counting("events read") as show:
        for _, message in read_events(path):
            events.append(event_of(message))
            if len(events) % 1000 == 0:
                show(len(events))
    return events


def _time(instant: int | None) -> str | None:
    return None if instant is None else iso(moment(instant))


def _json(found: Found, with_visits: bool) -> dict[str, Any]:
    result: dict[str, Any] = {
        "as_of": _time(found.as_of),
        "problems": {key: [interval_json(i) for i in some] for key, some in found.problems.items()},
    }
    if with_visits:
        result["visits"] = [
            [deal, v.pipeline, v.stage, _time(v.entered), _time(v.left), v.known] for deal, v in found.visits
        ]
    return result


def interval_json(interval: Interval) -> dict[str, Any]:
    """One interval as what-if prints it."""
    return {"opened_at": _time(interval.opened_at), "cleared_at": _time(interval.cleared_at), "peak": interval.peak}


def _lasted(seconds: int) -> str:
    """`3 d 4 h`, `25 min`"""
    days, rest = divmod(seconds, 86_400)
    return f"{days} d {rest // 3600} h" if days else f"{rest // 3600} h" if rest >= 3600 else f"{rest // 60} min"


def _print(found: Found) -> None:
    table = Table(title=f"Problems as of {moment(found.as_of):%Y-%m-%d %H:%M} UTC")
    for column in ("problem", "opened", "cleared", "lasted", "peak"):
        right = column in ("lasted", "peak")
        table.add_column(column, justify="right" if right else "left", no_wrap=column != "problem", overflow="fold")
    for key, some in found.problems.items():
        for i in some:
            end = found.as_of if i.cleared_at is None else i.cleared_at
            cleared = "still open" if i.cleared_at is None else f"{moment(i.cleared_at):%Y-%m-%d %H:%M}"
            lasted = _lasted((end - i.opened_at) // 1_000_000)
            table.add_row(key, f"{moment(i.opened_at):%Y-%m-%d %H:%M}", cleared, lasted, str(i.peak))
    quiet = [key for key, some in found.problems.items() if not some]
    console = Console()
    console.print(table)
    if quiet:
        console.print("Nothing found by: " + ", ".join(quiet))
