"""`andon what-if`: evaluates a policy over a file of events, and prints a table or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from services.cli import stage_file
from services.cli.arguments import parse_time
from services.cli.event_files import FileError, read_events
from services.cli.progress import counter
from shared.contracts.envelope import iso
from shared.flow.events import event_of
from shared.flow.intervals import Interval
from shared.flow.stage_facts import stage_data_fields
from shared.flow.stage_map import StageMap
from shared.flow.visits import Event
from shared.flow.what_if import Found, find
from shared.policy import load
from shared.runtime.instants import micros, moment


def what_if(
    events: str, policy: Path, as_of: str | None, form: str, with_visits: bool, stages: Path | None = None
) -> None:
    """Read, evaluate, print. Raises FileError, FaultsError, ValueError."""
    if form not in ("text", "json"):
        raise ValueError(f"--format {form}: use text or json")
    rules, until = load(policy), None if as_of is None else micros(parse_time(as_of))
    stage_map = None if stages is None else _read_stages(stages)
    read = _read(events)
    if not read:
        raise FileError(f"{events}: contains no event; one JSON object per line is expected")
    if until is None:
        until = max(event.key.time for event in read)
    found = find(read, rules, until, stage_map)
    if form == "json":
        typer.echo(orjson.dumps(_json(found, with_visits), option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)


def _read(path: str) -> list[Event]:
    events = []
    with counter("events read") as show:
        for _, _, message in read_events(path):
            events.append(event_of(message))
            if len(events) % 1000 == 0:
                show(len(events))
    return events


def _read_stages(path: Path) -> StageMap:
    return StageMap.of(field for data in stage_file.read(path) for field in stage_data_fields(data, 0, ""))


def _time(instant: int | None) -> str | None:
    return None if instant is None else iso(moment(instant))


def _json(found: Found, with_visits: bool) -> dict[str, Any]:
    result: dict[str, Any] = {
        "as_of": _time(found.as_of),
        "problems": {key: [interval_json(i) for i in intervals] for key, intervals in found.problems.items()},
    }
    if with_visits:
        result["visits"] = [
            [deal, v.pipeline, v.stage, _time(v.entered), _time(v.left), v.known] for deal, v in found.visits
        ]
    return result


def interval_json(interval: Interval) -> dict[str, Any]:
    """One interval as `--format json` prints it."""
    return {"opened_at": _time(interval.opened_at), "cleared_at": _time(interval.cleared_at), "peak": interval.peak}


def _duration(seconds: int) -> str:
    """`3 d 4 h`, `25 min`"""
    days, rest = divmod(seconds, 86_400)
    return f"{days} d {rest // 3600} h" if days else f"{rest // 3600} h" if rest >= 3600 else f"{rest // 60} min"


def _print(found: Found) -> None:
    table = Table(title=f"Problems as of {moment(found.as_of):%Y-%m-%d %H:%M} UTC")
    for column in ("problem", "opened", "cleared", "duration", "peak"):
        right = column in ("duration", "peak")
        table.add_column(column, justify="right" if right else "left", no_wrap=column != "problem", overflow="fold")
    for key, intervals in found.problems.items():
        for i in intervals:
            end = found.as_of if i.cleared_at is None else i.cleared_at
            cleared = "still open" if i.cleared_at is None else f"{moment(i.cleared_at):%Y-%m-%d %H:%M}"
            duration = _duration((end - i.opened_at) // 1_000_000)
            table.add_row(key, f"{moment(i.opened_at):%Y-%m-%d %H:%M}", cleared, duration, str(i.peak))
    console = Console()
    console.print(table)
    if without := [key for key, intervals in found.problems.items() if not intervals]:
        console.print("No problem found by: " + ", ".join(without))
