"""`andon dead-letters`: prints dead letters, and publishes their records again."""

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
from shared.contracts.topics import PRODUCT_TOPICS, dead
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import Publisher
from shared.runtime.settings import ServiceSettings
from shared.stream import dead_letters
from shared.stream.dead_letters import NotRedrivableError, Unreadable

_TOPICS = [topic.name for topic in PRODUCT_TOPICS]
Letter = DeadEvent | Unreadable


class Redriven(NamedTuple):
    """How many letters were published again, and why others were left."""

    published: int
    left: list[str]


def print_list(topic: str | None, form: OutputForm) -> None:
    """One line, or one object, for each dead letter. Raises ValueError for a topic without dead letters."""
    asyncio.run(_print_list(_checked(topic), form))


async def _print_list(topic: str | None, form: OutputForm) -> None:
    count = 0
    async for letter in _read(topic):
        if form is OutputForm.JSON:
            # One by one: there may be more than fit into memory.
            typer.echo(("[\n" if not count else ",\n") + orjson.dumps(_record(letter)).decode(), nl=False)
        else:
            print_line(_line(letter))
        count += 1
    if form is OutputForm.JSON:
        typer.echo("\n]" if count else "[]")
    elif not count:
        message(f"There are no dead letters{f' of {topic}' if topic else ''}.")


def _line(letter: Letter) -> str:
    record = _record(letter)
    return f"{record['id']}  {record['time']:%Y-%m-%d %H:%M:%S} UTC  {record['reason']}  {_flat(record['detail'])}"


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
    """Publish the named records to their topics again, or all redrivable ones if none is named.

    Raises NotRedrivableError, before anything is published, if a named one does not exist or cannot be redriven;
    ValueError for a topic without dead letters.
    """
    return asyncio.run(_publish_again(wanted, _checked(topic)))


async def _publish_again(wanted: list[str] | None, topic: str | None) -> Redriven:
    settings, left = ServiceSettings.from_environment(), list[str]()
    publisher = Publisher(KafkaAccess.of(settings))
    try:
        letters = _redrivable(topic, left) if not wanted else _each(await _named(set(wanted), topic))
        async with aclosing(letters):
            return Redriven(await dead_letters.redrive(publisher, letters, settings.topic_prefix), left)
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
    """The letters that can be redriven. Appends the reason of each other one to `left`."""
    async with aclosing(_read(topic)) as letters:
        async for letter in letters:
            if reason := dead_letters.why_not(letter):
                left.append(reason)
            else:
                yield letter


def _checked(topic: str | None) -> str | None:
    """The topic, after a check that the dead letters can be read; raises ValueError and ServersUnusable."""
    if topic is not None and topic not in _TOPICS:
        raise ValueError(f"--topic {topic}: has no dead letters; use one of {', '.join(_TOPICS)}")
    check_servers(topics=[dead(name) for name in ([topic] if topic else _TOPICS)])
    return topic


def _read(topic: str | None) -> AsyncGenerator[Letter, None]:
    settings = ServiceSettings.from_environment()
    return dead_letters.read(KafkaAccess.of(settings), settings.topic_prefix, topic)
