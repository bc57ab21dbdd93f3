"""`andon dead-letters`: prints dead letters, publishes their records again, and marks what became of them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import Any, NamedTuple

import orjson
import typer

from services.cli.console import OutputForm, message, print_json, print_line
from services.cli.servers import check_servers
from shared.contracts.dead import DeadEvent
from shared.contracts.handled import Handling
from shared.contracts.topics import HANDLED, PRODUCT_TOPICS, dead
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import Publisher
from shared.runtime.settings import ServiceSettings
from shared.stream import dead_letters
from shared.stream.dead_letters import NotRedrivableError, Unreadable
from shared.stream.handled_letters import Marks, handling_of, publish_marks, read_marks, time_of

_TOPICS = [topic.name for topic in PRODUCT_TOPICS]
Letter = DeadEvent | Unreadable


class Redriven(NamedTuple):
    """How many letters were published again, and why others were left."""

    published: int
    left: list[str]


def print_list(topic: str | None, form: OutputForm, waiting: bool = False) -> None:
    """One line, or one object, for each dead letter, or for each that waits.

    Raises ValueError for a topic without dead letters.
    """
    asyncio.run(_print_list(_checked(topic), form, waiting))


async def _print_list(topic: str | None, form: OutputForm, waiting: bool) -> None:
    count, marks = 0, await _marks()
    async for letter in _read(topic):
        handling = handling_of(letter.id, time_of(letter), marks)
        if waiting and handling:
            continue
        if form is OutputForm.JSON:
            # One by one: there may be more than fit into memory.
            text = orjson.dumps(_record(letter) | {"handled": handling}).decode()
            typer.echo(("[\n" if not count else ",\n") + text, nl=False)
        else:
            print_line(_line(letter) + (f"  ({handling})" if handling else ""))
        count += 1
    if form is OutputForm.JSON:
        typer.echo("\n]" if count else "[]")
    elif not count:
        waits = " that wait" if waiting else ""
        message(f"There are no dead letters{f' of {topic}' if topic else ''}{waits}.")


def _line(letter: Letter) -> str:
    record = _record(letter)
    return f"{record['id']}  {record['time']:%Y-%m-%d %H:%M:%S} UTC  {record['reason']}  {_flat(record['detail'])}"


async def _marks() -> Marks:
    settings = ServiceSettings.from_environment()
    return await read_marks(KafkaAccess.of(settings), settings.topic_prefix)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _record(letter: Letter) -> dict[str, Any]:
    """One letter as `--format json` lists it: all but its body and headers."""
    fixed = {"id": letter.id, "redrivable": not dead_letters.why_not(letter)}
    if isinstance(letter, Unreadable):
        return fixed | {"time": letter.when, "reason": "unreadable", "detail": letter.why}
    return (
        fixed
        | {"time": letter.time}
        | letter.data.model_dump(mode="json", exclude={"body", "headers", "key_base64"})
        | {"reason": letter.data.reason.value}
    )


def print_one(wanted: str, form: OutputForm) -> bool:
    """Print everything known about one dead letter; False if there is none with this id."""
    return asyncio.run(_print_one(_checked(None), wanted, form))


async def _print_one(topic: str | None, wanted: str, form: OutputForm) -> bool:
    async with aclosing(_read(topic)) as letters:
        async for letter in letters:
            if letter.id == wanted:
                _print_whole(letter, form)
                return True
    return False


def _print_whole(letter: Letter, form: OutputForm) -> None:
    body = letter.raw if isinstance(letter, Unreadable) else base64.b64decode(letter.data.body)
    text = body.decode("utf-8", "backslashreplace")
    if form is OutputForm.JSON:
        headers = {} if isinstance(letter, Unreadable) else letter.data.headers
        print_json(_record(letter) | {"headers": headers, "body": text})
        return
    for line in _description(letter):
        print_line(line)
    print_line(text)


def _description(letter: Letter) -> Iterator[str]:
    if isinstance(letter, Unreadable):
        yield f"not a dead letter: {letter.why}"
        return
    for name in ("topic", "place", "reason", "detail", "key", "first_attempt_at", "last_attempt_at"):
        yield f"{name}: {getattr(letter.data, name)}"
    for header, value in letter.data.headers.items():
        yield f"header {header}: {value}"


def publish_again(wanted: list[str] | None, topic: str | None) -> Redriven:
    """Publish the named records to their topics again, or all redrivable ones that wait if none is named.

    Raises NotRedrivableError, before anything is published, if a named one does not exist or cannot be redriven;
    ValueError for a topic without dead letters.
    """
    return asyncio.run(_publish_again(wanted, _checked(topic)))


async def _publish_again(wanted: list[str] | None, topic: str | None) -> Redriven:
    settings, left, driven = ServiceSettings.from_environment(), list[str](), list[str]()
    publisher = Publisher(KafkaAccess.of(settings))
    try:
        letters = _redrivable(topic, left) if not wanted else _each(await _named(set(wanted), topic))
        async with aclosing(_noted(letters, driven)) as noted:
            published = await dead_letters.redrive(publisher, noted, settings.topic_prefix)
        # Afterwards: a letter whose record is not back must not look like one.
        await publish_marks(publisher, driven, Handling.REDRIVEN, settings.topic_prefix)
        return Redriven(published, left)
    finally:
        await publisher.stop()


async def _noted(letters: AsyncGenerator[Letter, None], ids: list[str]) -> AsyncGenerator[Letter, None]:
    """The same letters; their ids are appended to `ids`."""
    async with aclosing(letters):
        async for letter in letters:
            ids.append(letter.id)
            yield letter


def dismiss(wanted: list[str], topic: str | None, every: bool) -> int:
    """Mark the named letters, or with `every` all that wait, as dismissed; how many. Their records stay as they are.

    Raises LookupError, before any is marked, if a named one does not exist; ValueError for a topic without dead ones.
    """
    return asyncio.run(_dismiss(set(wanted), _checked(topic), every))


async def _dismiss(wanted: set[str], topic: str | None, every: bool) -> int:
    settings, marks = ServiceSettings.from_environment(), await _marks()
    async with aclosing(_read(topic)) as letters:
        known = {letter.id: time_of(letter) async for letter in letters if every or letter.id in wanted}
    if missing := wanted - known.keys():
        faults = (f"there is no dead letter {one}; see andon dead-letters list" for one in sorted(missing))
        raise LookupError("\n".join([*faults, "Nothing was dismissed."]))
    waiting = [letter for letter, written in known.items() if handling_of(letter, written, marks) is None]
    publisher = Publisher(KafkaAccess.of(settings))
    try:
        return await publish_marks(publisher, waiting, Handling.DISMISSED, settings.topic_prefix)
    finally:
        await publisher.stop()


async def _named(wanted: set[str], topic: str | None) -> list[Letter]:
    """The letters with these ids; raises NotRedrivableError for every one that cannot be redriven."""
    async with aclosing(_read(topic)) as letters:
        found = [letter async for letter in letters if letter.id in wanted]
    missing = wanted - {letter.id for letter in found}
    faults = [f"there is no dead letter {one}; see andon dead-letters list" for one in sorted(missing)]
    faults += [reason for letter in found if (reason := dead_letters.why_not(letter))]
    if faults:
        raise NotRedrivableError("\n".join([*faults, "Nothing was published."]))
    return found


async def _each(letters: Iterable[Letter]) -> AsyncGenerator[Letter, None]:
    for letter in letters:
        yield letter


async def _redrivable(topic: str | None, left: list[str]) -> AsyncGenerator[Letter, None]:
    """The letters that wait and can be redriven. Appends the reason of each other one that waits to `left`."""
    marks = await _marks()
    async with aclosing(_read(topic)) as letters:
        async for letter in letters:
            if handling_of(letter.id, time_of(letter), marks):
                continue
            if reason := dead_letters.why_not(letter):
                left.append(reason)
            else:
                yield letter


def _checked(topic: str | None) -> str | None:
    """The topic, after a check that the dead letters can be read; raises ValueError and ServersUnusable."""
    if topic is not None and topic not in _TOPICS:
        raise ValueError(f"--topic {topic}: has no dead letters; use one of {', '.join(_TOPICS)}")
    check_servers(topics=[dead(name) for name in ([topic] if topic else _TOPICS)])
    check_servers(topics=[HANDLED])
    return topic


def _read(topic: str | None) -> AsyncGenerator[Letter, None]:
    settings = ServiceSettings.from_environment()
    return dead_letters.read(KafkaAccess.of(settings), settings.topic_prefix, topic)
