"""`andon dead-letters`: prints dead letters, and publishes their records again."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rich.console import Console

from services.cli.console import print_plain
from shared.contracts.dead import DeadEvent
from shared.kafka.publisher import Publisher
from shared.runtime.settings import ServiceSettings
from shared.stream import dead_letters
from shared.stream.dead_letters import Unreadable


def print_list(topic: str | None) -> None:
    """One line for each dead letter."""
    asyncio.run(_print_list(topic))


async def _print_list(topic: str | None) -> None:
    async for letter in _read(topic):
        if isinstance(letter, Unreadable):
            when, reason, detail = letter.when, "unreadable", letter.why
        else:
            when, reason, detail = letter.time, letter.data.reason.value, letter.data.detail
        _print(f"{letter.id}  {when:%Y-%m-%d %H:%M:%S} UTC  {reason}  {' '.join(detail[:200].split())}")


def print_one(wanted: str) -> bool:
    """Print everything known about one dead letter; False if there is none with this id."""
    return asyncio.run(_print_one(wanted))


async def _print_one(wanted: str) -> bool:
    async with aclosing(_read(None)) as letters:
        async for letter in letters:
            if letter.id == wanted:
                _print_whole(letter)
                return True
    return False


def _print_whole(letter: DeadEvent | Unreadable) -> None:
    if isinstance(letter, Unreadable):
        _print(f"not a dead letter: {letter.why}")
        _print(letter.raw.decode("utf-8", "backslashreplace"))
        return
    data = letter.data
    for name in ("topic", "place", "reason", "detail", "key", "first_attempt_at", "last_attempt_at"):
        _print(f"{name}: {getattr(data, name)}")
    for header, value in data.headers.items():
        _print(f"header {header}: {value}")
    _print(base64.b64decode(data.body).decode("utf-8", "backslashreplace"))


def publish_again(wanted: list[str] | None, topic: str | None) -> int:
    """Publish the named records to their topics again, or all redrivable ones if none is named; how many.

    Raises NotRedrivableError if a named one cannot be.
    """
    return asyncio.run(_publish_again(wanted, topic))


async def _publish_again(wanted: list[str] | None, topic: str | None) -> int:
    settings = ServiceSettings.from_environment()
    publisher = Publisher(settings.kafka)
    try:
        async with aclosing(_selected(wanted, topic)) as letters:
            return await dead_letters.redrive(publisher, letters, settings.topic_prefix)
    finally:
        await publisher.stop()


async def _selected(wanted: list[str] | None, topic: str | None) -> AsyncGenerator[DeadEvent | Unreadable, None]:
    ids = set(wanted or ())
    async with aclosing(_read(topic)) as letters:
        async for letter in letters:
            if wanted:
                if letter.id in ids:
                    yield letter
            elif not dead_letters.why_not(letter):
                yield letter


def _read(topic: str | None) -> AsyncGenerator[DeadEvent | Unreadable, None]:
    settings = ServiceSettings.from_environment()
    return dead_letters.read(settings.kafka, settings.topic_prefix, topic)


def _print(text: str) -> None:
    """Escape control characters: text from outside may contain commands to the terminal."""
    escaped = "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
    print_plain(Console(), escaped)
