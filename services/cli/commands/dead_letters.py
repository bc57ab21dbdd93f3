"""`andon dead-letters`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rich.console import Console

from shared.contracts.dead import DeadEvent
from shared.kafka.publisher import Publisher
from shared.runtime.settings import ServiceSettings
from shared.stream import dead_letters
from shared.stream.dead_letters import Unreadable

_console = Console()


def _read(topic: str | None) -> AsyncGenerator[DeadEvent | Unreadable, None]:
    settings = ServiceSettings.from_environment()
    return dead_letters.read(settings.kafka, settings.topic_prefix, topic)


def _plain(text: object) -> str:
    """As text alone: what came from outside may hold commands to the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in str(text))


def _print(text: str) -> None:
    _console.print(_plain(text), highlight=False, markup=False, emoji=False, soft_wrap=True)


def show_list(topic: str | None) -> None:
    """A line for each on standard output."""
    asyncio.run(_list(topic))


async def _list(topic: str | None) -> None:
    async for letter in _read(topic):
        if isinstance(letter, Unreadable):
            when, reason, detail = letter.when, "unreadable", letter.why
        else:
            when, reason, detail = letter.time, letter.data.reason.value, letter.data.detail
        _print(f"{letter.id}  {when:%Y-%m-%d %H:%M:%S} UTC  {reason}  {' '.join(detail[:200].split())}")


def show_one(wanted: str) -> bool:
    """Everything that is known of one; false when there is none of this id."""
    return asyncio.run(_show(wanted))


async def _show(wanted: str) -> bool:
    async with aclosing(_read(None)) as letters:
        async for letter in letters:
            if letter.id == wanted:
                _show_whole(letter)
                return True
    return False


def _show_whole(letter: DeadEvent | Unreadable) -> None:
    if isinstance(letter, Unreadable):
        _print(f"no dead letter: {letter.why}")
        _print(letter.raw.decode("utf-8", "backslashreplace"))
        return
    data = letter.data
    for name in ("topic", "place", "reason", "detail", "key", "first_attempt_at", "last_attempt_at"):
        _print(f"{name}: {getattr(data, name)}")
    for header, value in data.headers.items():
        _print(f"header {header}: {value}")
    _print(base64.b64decode(data.body).decode("utf-8", "backslashreplace"))


def drive_again(wanted: list[str] | None, topic: str | None) -> int:
    """All of a topic, or those that are named; without a name, what cannot be is passed over."""
    return asyncio.run(_publish(wanted, topic))


async def _chosen(wanted: list[str] | None, topic: str | None) -> AsyncGenerator[DeadEvent | Unreadable, None]:
    names = set(wanted or ())
    async with aclosing(_read(topic)) as letters:
        async for letter in letters:
            if wanted:
                if letter.id in names:
                    yield letter
            elif not dead_letters.why_not(letter):
                yield letter


async def _publish(wanted: list[str] | None, topic: str | None) -> int:
    settings = ServiceSettings.from_environment()
    publisher = Publisher(settings.kafka)
    try:
        async with aclosing(_chosen(wanted, topic)) as letters:
            return await dead_letters.redrive(publisher, letters, settings.topic_prefix)
    finally:
        await publisher.stop()
