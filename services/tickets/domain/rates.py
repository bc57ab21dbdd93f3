"""How often somebody may do something, in memory only: a record of when could tell who it was.

Each replica counts for itself. Source: the generic cell rate algorithm (ITU-T I.371), which keeps one instant for each
key: when it would be as if it had never been used.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
# Keys in memory, before those that were not used lately are dropped.
MAX_KEYS = 1000


class TooOften(Exception):
    """No more is taken now. `wait`: after this time it is."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("too often")
        self.wait = wait


@dataclass(frozen=True)
class Rate:
    """`burst` times at once, and then once `every`."""

    burst: int
    every: timedelta

    @property
    def slack(self) -> timedelta:
        """How far ahead of its time a key may be."""
        return self.every * (self.burst - 1)


class Rates(Generic[Key]):
    """The rates of all keys."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._unused_at = dict[Key, datetime]()

    def take(self, key: Key, now: datetime) -> None:
        """Use a key once. Raises TooOften, and counts nothing."""
        unused = max(self._unused_at.get(key, now), now)
        if unused > now + self._rate.slack:
            raise TooOften(unused - self._rate.slack - now)
        self._unused_at[key] = unused + self._rate.every
        if len(self._unused_at) > MAX_KEYS:
            self._unused_at = {one: at for one, at in self._unused_at.items() if at > now}

    def clear(self, key: Key) -> None:
        """Forget how often a key was used."""
        self._unused_at.pop(key, None)
