"""Loads a history: hold evaluation, publish the events, wait until the detector has read them, evaluate all at once.

Shared by the import, the back-fill and the demo. A load that is cut off leaves evaluation held until another load
completes; publishing an event twice is harmless, because its id is.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka.errors import KafkaError

from services.detector import control
from services.detector.control import MessageCounts, ReportProgress
from services.detector.settings import DetectorSettings
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.postgres.pool import TRANSIENT

STAYS_HELD = (
    "Evaluation is held until a run completes: run this again, and it continues where it stopped. "
    "To evaluate without the rest: andon reevaluate --since 1970-01-01T00:00:00Z"
)


class LoadError(Exception):
    """A history was not loaded completely; the message says why, and what to do."""


class Portion(NamedTuple):
    """Events in the order in which to publish them, and their earliest instant in microseconds."""

    messages: Sequence[OutgoingMessage]
    earliest: int


@dataclass(frozen=True)
class LoadProgress:
    """Callbacks that show progress: events published; (done, total) of records read and of events evaluated."""

    published: Callable[[int], None]
    read: ReportProgress
    evaluated: ReportProgress


@dataclass(frozen=True)
class LoadResult:
    """Events published, and the problem messages that followed; None where there was nothing to evaluate."""

    published: int
    problems: MessageCounts | None


class Published(NamedTuple):
    """Events published, and their earliest instant in microseconds; None where there was no portion."""

    events: int
    earliest: int | None


async def load(settings: DetectorSettings, portions: AsyncIterable[Portion], progress: LoadProgress) -> LoadResult:
    """Load a whole history. Raises LoadError: published events stay, and evaluation stays held.

    Takes the next portion once the broker has acknowledged the last, so the caller can journal its progress.
    """
    publisher = Publisher(KafkaAccess.of(settings), deadline_seconds=60)
    try:
        async with control.exclusive_load(settings):
            count, since = await publish_portions(
                portions, publisher.publish_all, lambda: control.hold(settings), progress.published
            )
            with _note_that_it_stays_held():
                problems = None if since is None else await wait_and_reevaluate(settings, since, progress)
            return LoadResult(count, problems)
    except control.LoadInProgress:
        raise LoadError("another import or back-fill is running: wait until it ends, then run this again") from None
    except (KafkaError, TimeoutError, *TRANSIENT) as error:
        raise LoadError(f"{error or type(error).__name__}. {STAYS_HELD}") from error
    finally:
        await publisher.stop()


async def publish_portions(
    portions: AsyncIterable[Portion],
    publish: Callable[[Sequence[OutgoingMessage]], Awaitable[object]],
    hold: Callable[[], Awaitable[None]],
    report: Callable[[int], None],
) -> Published:
    """Publish portion by portion; `hold` is called once, before the first. Errors after it say what stays held."""
    count, since = 0, None
    with ExitStack() as held:
        async for portion in portions:
            if since is None:
                await hold()
                held.enter_context(_note_that_it_stays_held())
            since = portion.earliest if since is None else min(since, portion.earliest)
            await publish(portion.messages)
            count += len(portion.messages)
            report(count)
    return Published(count, since)


async def wait_and_reevaluate(
    settings: DetectorSettings, since: int, progress: LoadProgress, patience: float = control.PATIENCE_SECONDS
) -> MessageCounts | None:
    """Wait until the detector has read what is on the topic now, then evaluate everything after `since` at once.

    Raises LoadError when it reads nothing for `patience` seconds.
    """
    try:
        await control.wait_until_read(settings, progress.read, patience)
    except control.DetectorStalled as error:
        raise LoadError(f"{error}: check that it runs. {STAYS_HELD}") from None
    except control.TopicMissing as error:
        raise LoadError(str(error)) from None
    return await control.reevaluate(settings, since, progress.evaluated)


@contextmanager
def _note_that_it_stays_held() -> Iterator[None]:
    """Note on every other error that evaluation stays held."""
    try:
        yield
    except LoadError:
        raise
    except Exception as error:
        error.add_note(STAYS_HELD)
        raise
