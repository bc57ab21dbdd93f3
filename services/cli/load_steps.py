"""The steps of a history that goes in, as bars of progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.importer.load import LoadProgress


@contextmanager
def steps(words: str, console: Console, total: Callable[[int], int | None]) -> Iterator[LoadProgress]:
    """Published (named by `words`), read, judged; `total` tells how many will be published, as far as it is known."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        first = progress.add_task(words, total=total(0))
        reading = progress.add_task("read by the detector", total=None)
        judging = progress.add_task("judged as a whole", total=None)
        yield LoadProgress(
            lambda done: progress.update(first, completed=done, total=total(done)),
            lambda done, all_: progress.update(reading, completed=done, total=all_),
            lambda done, all_: progress.update(judging, completed=done, total=all_),
        )
