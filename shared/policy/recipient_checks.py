"""What is wrong between the recipients of mails. Reads the file as written: other fields may be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.runtime.yaml_file import KeyPath

Entry = Mapping[str, Any]
Faults = Iterator[tuple[KeyPath, str]]
# They hold for an address, wherever it is listed.
_HABITS = ("timezone", "quiet", "quiet_for", "report")


def check_recipients(pipelines: Mapping[str, Any]) -> Faults:
    """Addresses listed twice in a pipeline, or with other habits in another; escalations that nobody gets."""
    known: dict[str, tuple[str, Entry]] = {}
    for name, written in pipelines.items():
        pipeline = written if isinstance(written, dict) else {}
        seen = set[str]()
        for path, entry in _entries(name, pipeline):
            address = str(entry.get("mail")).lower()
            place = _place(path)
            if address in seen:
                yield path, f"{address} already gets the mails of {name}; keep one entry, with all fields"
            seen.add(address)
            yield from _check_habits(path, entry, known.setdefault(address, (place, entry)))
            yield from _check_escalation(path, entry, pipeline)


def _entries(name: str, pipeline: Entry) -> Iterator[tuple[KeyPath, Entry]]:
    """The owner and the recipients that have an address."""
    recipients = pipeline.get("recipients")
    listed: list[tuple[KeyPath, Any]] = [(("pipelines", name, "owner"), pipeline.get("owner"))]
    for number, entry in enumerate(recipients if isinstance(recipients, list) else []):
        listed.append((("pipelines", name, "recipients", number), entry))
    for path, entry in listed:
        if isinstance(entry, dict) and isinstance(entry.get("mail"), str):
            yield path, entry


def _place(path: KeyPath) -> str:
    return ".".join(map(str, path))


def _check_habits(path: KeyPath, entry: Entry, first: tuple[str, Entry]) -> Faults:
    place, other = first
    for field in _HABITS:
        if field in entry and field in other and entry[field] != other[field]:
            yield (*path, field), f"{field} of this address differs from {place}; write it there only"


def _check_escalation(path: KeyPath, entry: Entry, pipeline: Entry) -> Faults:
    notices = entry.get("notices")
    if isinstance(notices, list) and "escalated" in notices and "ack_within" not in pipeline:
        yield (*path, "notices"), "nothing is escalated without ack_within; add one to the pipeline, such as 2d"
