"""Progress on standard error, so that standard output carries results only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.cli.console import stderr

if TYPE_CHECKING:
    from services.importer.load import LoadProgress


@contextmanager
def counter(label: str) -> Iterator[Callable[[int], None]]:
    """A growing count without a known total; call it with the number done."""
    columns = (SpinnerColumn(), TextColumn("{task.completed} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def bar(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar; call it with the number done and the total, None if unknown."""
    with _bars(transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def backup_bars() -> Iterator[tuple[Callable[[int, int | None], None], Callable[[int, int | None], None]]]:
    """Tables and records of a backup; call each with the number done and the total, None if unknown."""
    with _bars(transient=True) as progress:
        tables, records = (progress.add_task(label, total=None) for label in ("tables", "records"))
        yield (
            lambda done, total: progress.update(tables, completed=done, total=total),
            lambda done, total: progress.update(records, completed=done, total=total),
        )


@contextmanager
def load_bars(label: str, total: Callable[[int], int | None]) -> Iterator[LoadProgress]:
    """The three steps of loading history: published (shown as `label`), read, evaluated.

    `total` estimates how many events will be published from how many were; None if unknown.
    """
    # Loading imports the detector: commands that only count need not wait for that.
    from services.importer.load import LoadProgress

    with _bars() as progress:
        published = progress.add_task(label, total=total(0))
        read = progress.add_task("read by the detector", total=None)
        evaluated = progress.add_task("evaluated as a whole", total=None)
        yield LoadProgress(
            lambda done: progress.update(published, completed=done, total=total(done)),
            lambda done, all_: progress.update(read, completed=done, total=all_),
            lambda done, all_: progress.update(evaluated, completed=done, total=all_),
        )


def _bars(transient: bool = False) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=stderr, transient=transient)
