"""Reads a file of stages, YAML or CSV, for `andon stages import` and `andon what-if --stages`.

All faults of a file are reported at once, each with its line and how to fix it.
"""

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
EXPECTED = f"write stages: with a list of entries that have {_COLUMNS}"


class Entry(NamedTuple):
    """One stage as written: its fields, and the line of each field (the key None has that of the entry)."""

    fields: dict[str, Any]
    lines: dict[str | None, int]
    path: str

    def fault(self, field: str | None, text: str) -> Fault:
        where = ".".join(part for part in (self.path, field) if part)
        return Fault(self.lines.get(field, self.lines[None]), where, text)


def read(path: Path) -> list[StageData]:
    """The stages in a file; raises FaultsError."""
    text = read_text(path, "FILE")
    return parse_csv(text) if path.suffix.lower() == ".csv" else parse_yaml(text)


def parse_yaml(text: str) -> list[StageData]:
    """The stages in YAML text; raises FaultsError."""
    lines, document = read_yaml(text)
    written = document.get("stages") if isinstance(document, dict) else None
    if not isinstance(written, list) or not written:
        raise FaultsError([Fault(1, "stages", f"is missing; {EXPECTED}")])
    entries, faults = [], [fault_at((k,), "unknown field; remove it", lines) for k in document if k != "stages"]
    for number, fields in enumerate(written):
        path: KeyPath = ("stages", number)
        if not isinstance(fields, dict):
            faults.append(fault_at(path, f"{fields!r} is not an entry; {EXPECTED}", lines))
            continue
        at: dict[str | None, int] = {str(name): lines.get((*path, str(name)), lines[path]) for name in fields}
        named = {str(name): value for name, value in fields.items()}
        entries.append(Entry(named, at | {None: lines[path]}, f"stages.{number}"))
    return _validate(entries, faults)


def parse_csv(text: str) -> list[StageData]:
    """The stages in CSV text, with named columns in any order, separated by comma, semicolon or tab.

    Raises FaultsError.
    """
    text = text.removeprefix("\ufeff")
    header = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    names = [name.strip() for name in next(rows, [])]
    faults = list(_header_faults(names))
    if faults:
        raise FaultsError(faults)
    return _validate(list(_csv_entries(rows, names, faults)), faults)


def _header_faults(names: list[str]) -> Iterator[Fault]:
    for name in names:
        if name not in COLUMNS:
            yield Fault(1, name, f"unknown column; use only {_COLUMNS}")
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Fault(1, name, "occurs twice; keep one")
    if "source" not in names:
        yield Fault(1, "source", "is missing; add the column, with names from the sources file")


def _csv_entries(rows: Any, names: list[str], faults: list[Fault]) -> Iterator[Entry]:
    """An entry for each row; an empty cell is an absent field. Faults are appended to `faults`."""
    try:
        for row in rows:
            if len(row) > len(names) and any(row[len(names) :]):
                text = f"has {len(row)} cells for {len(names)} columns; quote text that contains the separator"
                faults.append(Fault(rows.line_num, "", text))
            elif any(row):
                fields = {name: cell.strip() for name, cell in zip(names, row, strict=False) if cell.strip()}
                yield Entry(fields, {None: rows.line_num}, "")
    except csv.Error as error:
        faults.append(Fault(rows.line_num, "", f"this is not CSV: {error}; correct the text there"))


def _validate(entries: list[Entry], faults: list[Fault]) -> list[StageData]:
    """The stages of all entries; raises FaultsError with the faults of entries added to `faults`."""
    found: list[StageData] = []
    first_lines: dict[str, int] = {}
    for entry in entries:
        wrong = list(_faults(entry))
        if not wrong:
            data = StageData.model_validate(entry.fields)
            line = first_lines.setdefault(data.path, entry.lines[None])
            if line != entry.lines[None]:
                field = "stage" if data.stage else "pipeline"
                wrong = [entry.fault(field, f"is in line {line} already; keep one")]
            found.append(data)
        faults += wrong
    if not faults and not found:
        faults.append(Fault(1, "", f"the file has no stages; {EXPECTED}"))
    if faults:
        raise FaultsError(faults)
    return found


def _faults(entry: Entry) -> Iterator[Fault]:
    unknown = [name for name in entry.fields if name not in COLUMNS]
    for name in unknown:
        yield entry.fault(name, f"unknown field; use one of {_COLUMNS}")
    try:
        data = StageData.model_validate(entry.fields)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            yield entry.fault(str(fault["loc"][0]) if fault["loc"] else None, _describe(dict(fault)))
        return
    if not unknown and not data.model_fields_set.intersection(STAGE_FIELDS):
        yield entry.fault(None, f"does not describe the stage; add one of {', '.join(STAGE_FIELDS)}")


def _describe(fault: dict[str, Any]) -> str:
    if fault["loc"] == ("probability",):
        return f"{fault['input']!r} is not a probability; write a number from 0 to 1, such as 0.6"
    return error_text(fault)
