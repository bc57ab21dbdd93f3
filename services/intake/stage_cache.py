"""Recently published stage descriptions, because some CRMs repeat a stage's name with every deal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from shared.connectors.base.facts import Parsed, StageFact

# For this long, a description from another process may hide a change from this one.
TTL_SECONDS = 60.0
Key = tuple[str, str | None, str | None]


class RecentDescriptions:
    """Descriptions that this process published within the last minute, at most `max_entries`.

    Losing them is harmless: the topic is compacted.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, max_entries: int = 20_000) -> None:
        self._monotonic, self._max_entries = monotonic, max_entries
        self._published: dict[Key, tuple[dict[str, Any], float]] = {}

    def __len__(self) -> int:
        return len(self._published)

    def without_repeats(self, source: str, parsed: Sequence[Parsed]) -> list[Parsed]:
        """Drop incidental descriptions that were published recently and have not changed."""
        now = self._monotonic()
        return [one for one in parsed if not isinstance(one, StageFact) or self._is_new(source, one, now)]

    def _is_new(self, source: str, fact: StageFact, now: float) -> bool:
        data, expires = self._published.get(_key(source, fact), (None, now))
        return not fact.incidental or expires <= now or data != fact.data

    def remember(self, source: str, parsed: Sequence[Parsed]) -> None:
        """Remember the descriptions among these facts as published."""
        expires = self._monotonic() + TTL_SECONDS
        for one in parsed:
            if isinstance(one, StageFact):
                if len(self._published) >= self._max_entries:
                    self._published.clear()
                self._published[_key(source, one)] = (one.data, expires)


def _key(source: str, fact: StageFact) -> Key:
    return source, fact.data.get("pipeline"), fact.data.get("stage")
