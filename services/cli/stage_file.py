"""Reads a file of stages, YAML or CSV, for `andon stages import` and `andon what-if --stages`. All faults in one go."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from shared.contracts.stages import STAGE_FIELDS, StageData
from shared.runtime.validation import error_text
from shared.runtime.yaml_file import Fault, FaultsError, KeyPath, fault_at, read_text, read_yaml

COLUMNS = ("source", "pipeline", "stage", *STAGE_FIELDS)
_COLUMNS = ", ".join(COLUMNS)
SHAPE = f"write stages: with a list of entries that have {_COLUMNS}"


class Entry(NamedTuple):
    """One stage as it was written: its fields, and the line of each (None: of the whole)."""

    fields: dict[str, Any]
    lines: dict[str | None, int]
    place: str

    def fault(self, field: str | None, text: str) -> Fault:
        where = ".".join(part for part in (self.place, field) if part)
        return Fault(self.lines.get(field, self.lines[None]), where, text)


def read(path: Path) -> list[StageData]:
    """What the file says of stages; raises FaultsError."""
    text = read_text(path, "FILE")
    return parse_csv(text) if path.suffix.lower() == ".csv" else parse_yaml(text)


def parse_yaml(text: str) -> list[StageData]:
    """As `read`, from YAML text."""
    lines, document = read_yaml(text)
    written = document.get("stages") if isinstance(document, dict) else None
    if not isinstance(written, list) or not written:
        raise FaultsError([Fault(1, "stages", f"is missing; {SHAPE}")])
    entries, faults = [], [fault_at((k,), "no such field; remove it", lines) for k in document if k != "stages"]
    for number, fields in enumerate(written):
        place: KeyPath = ("stages", number)
        if not isinstance(fields, dict):
            faults.append(fault_at(place, f"{fields!r} is no entry; {SHAPE}", lines))
            continue
        at: dict[str | None, int] = {str(name): lines.get((*place, str(name)), lines[place]) for name in fields}
        named = {str(name): value for name, value in fields.items()}
        entries.append(Entry(named, at | {None: lines[place]}, f"stages.{number}"))
    return _checked(entries, faults)


def parse_csv(text: str) -> list[StageData]:
    """As `read`, from CSV text: columns by name, in any order; comma, semicolon or tab between them."""
    head = text.removeprefix("\ufeff").partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter)
    names = [name.strip() for name in next(rows, [])]
    faults = [
        Fault(1, name, f"no such column; use {_COLUMNS}, and remove others") for name in names if name not in COLUMNS
    ]
    faults += [Fault(1, name, "stands twice; keep one of them") for name in {n for n in names if names.count(n) > 1}]
    faults += [Fault(1, "source", "is missing; add the column, with the names of the sources file")] * (
        "source" not in names
    )
    if faults:
        raise FaultsError(faults)
    return _checked(list(_rows(rows, names, faults)), faults)


def _rows(rows: Any, names: list[str], faults: list[Fault]) -> Iterator[Entry]:
    """An empty cell says nothing."""
    try:
        for row in rows:
            if len(row) > len(names) and any(row[len(names) :]):
                faults.append(
                    Fault(rows.line_num, "", f"has {len(row)} cells under {len(names)} columns; quote the text")
                )
            elif any(row):
                fields = {name: cell.strip() for name, cell in zip(names, row, strict=False) if cell.strip()}
                yield Entry(fields, {None: rows.line_num}, "")
    except csv.Error as error:
        faults.append(Fault(rows.line_num, "", f"this is not CSV: {error}; mend the text there"))


def _checked(entries: list[Entry], faults: list[Fault]) -> list[StageData]:
    found: list[StageData] = []
    seen: dict[str, int] = {}
    for entry in entries:
        wrong = list(_faults(entry))
        if not wrong:
            data = StageData.model_validate(entry.fields)
            line = seen.setdefault(data.place, entry.lines[None])
            if line != entry.lines[None]:
                wrong = [entry.fault("stage" if data.stage else "pipeline", f"stands in line {line} already; keep one")]
            found.append(data)
        faults += wrong
    if not faults and not found:
        faults.append(Fault(1, "", f"there is no stage in it; {SHAPE}"))
    if faults:
        raise FaultsError(faults)
    return found


def _faults(entry: Entry) -> Iterator[Fault]:
    unknown = [name for name in entry.fields if name not in COLUMNS]
    for name in unknown:
        yield entry.fault(name, f"no such field; use one of {_COLUMNS}")
    try:
        data = StageData.model_validate(entry.fields)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            yield entry.fault(str(fault["loc"][0]) if fault["loc"] else None, _words(dict(fault)))
        return
    if not unknown and not data.model_fields_set.intersection(STAGE_FIELDS):
        yield entry.fault(None, f"says nothing of the stage; add one of {', '.join(STAGE_FIELDS)}")


def _words(fault: dict[str, Any]) -> str:
    if fault["type"] == "string_type":
        return f"{fault['input']!r} is no text; write it in quotes"
    if fault["loc"] == ("probability",):
        return f"{fault['input']!r} is no probability; write a number from 0 to 1, as 0.6"
    return error_text(fault)
