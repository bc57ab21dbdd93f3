"""How often each link may pull, in memory only: a record of when a link was used could tell who pulled.

Each replica counts for itself. Source: the generic cell rate algorithm (ITU-T I.371), which keeps one instant for each
link: when it would be as if it had never been used.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.tickets.domain.pull_faults import TooManyPulls

# Links in memory, before those that were not used lately are dropped.
MAX_LINKS = 1000


@dataclass(frozen=True)
class PullRate:
    """How often one link may be used: `burst` times at once, and then once `every`."""

    burst: int
    every: timedelta

    @property
    def slack(self) -> timedelta:
        """How far ahead of its time a link may be."""
        return self.every * (self.burst - 1)


class LinkRates:
    """The rates of all links."""

    def __init__(self, rate: PullRate) -> None:
        self._rate = rate
        self._unused_at = dict[int, datetime]()

    def take(self, link: int, now: datetime) -> None:
        """Use a link once. Raises TooManyPulls, and counts nothing."""
        unused = max(self._unused_at.get(link, now), now)
        if unused > now + self._rate.slack:
            raise TooManyPulls(unused - self._rate.slack - now)
        self._unused_at[link] = unused + self._rate.every
        if len(self._unused_at) > MAX_LINKS:
            self._unused_at = {one: at for one, at in self._unused_at.items() if at > now}
