"""`andon dead-letters`."""

from __future__ import annotations

import asyncio
import base64

from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.bus import dead_letters
from shared.bus.publisher import Publisher
from shared.contracts.dead import DeadEvent
from shared.runtime.settings import ServiceSettings

_console = Console()


def _read(topic: str | None) -> list[DeadEvent]:
    settings = ServiceSettings.from_environment()
    return asyncio.run(dead_letters.read_all(settings.kafka, settings.topic_prefix, topic))


def _plain(text: object) -> str:
    """As text alone: what came from outside may hold commands to the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in str(text))


def _print(text: str) -> None:
    _console.print(_plain(text), highlight=False, markup=False, emoji=False, soft_wrap=True)


def show_list(topic: str | None) -> None:
    """A table on standard output."""
    table = Table("id", "when", "reason", "detail")
    for letter in _read(topic):
        table.add_row(
            Text(_plain(letter.id)),
            f"{letter.time:%Y-%m-%d %H:%M:%S}",
            letter.data.reason.value,
            Text(_plain(letter.data.detail[:200])),
        )
    _console.print(table)


def show_one(wanted: str) -> bool:
    """Everything that is known of one; false when there is none of this id."""
    letter = next((one for one in _read(None) if one.id == wanted), None)
    if letter is None:
        return False
    data = letter.data
    for name in ("topic", "place", "reason", "detail", "key", "first_attempt_at", "last_attempt_at"):
        _print(f"{name}: {getattr(data, name)}")
    for header, value in data.headers.items():
        _print(f"header {header}: {value}")
    _print(base64.b64decode(data.body).decode("utf-8", "backslashreplace"))
    return True


def drive_again(wanted: list[str] | None, topic: str | None) -> int:
    """All of a topic, or those that are named; without a name, what never was on a topic is passed over."""
    letters = _read(topic)
    if wanted:
        letters = [one for one in letters if one.id in set(wanted)]
    else:
        letters = [one for one in letters if not one.data.place.startswith("intake/")]
    return asyncio.run(_publish(letters))


async def _publish(letters: list[DeadEvent]) -> int:
    settings = ServiceSettings.from_environment()
    publisher = Publisher(settings.kafka)
    try:
        return await dead_letters.redrive(publisher, letters, settings.topic_prefix)
    finally:
        await publisher.stop()
