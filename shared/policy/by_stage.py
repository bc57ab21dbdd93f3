"""Entries of a policy that name a stage, and those for every open stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

Entry = TypeVar("Entry")


def by_stage(entries: Iterable[tuple[str | None, Entry]], stages: Sequence[str]) -> dict[str, Entry]:
    """The entry of each stage, in the order of the stages; one with the stage takes the place of one without.

    `entries`: of one kind, each with its stage. `stages`: the open ones; entries on others count for nothing.
    """
    named = dict(entries)
    return {stage: named[key] for stage in stages for key in [stage if stage in named else None] if key in named}
