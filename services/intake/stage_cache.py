"""What was described lately: a CRM that tells a stage's name beside every deal is not written down each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from shared.connectors.base.source import Parsed, StageFact

# For so long a change that came through another process may stay hidden from one that names the stage in passing.
SECONDS = 60.0
REMEMBERED = 20_000
Key = tuple[str, str | None, str | None]


class RecentDescriptions:
    """Descriptions that this process has written within a minute. Losing them is harmless: the topic is compacted."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._written: dict[Key, tuple[dict[str, Any], float]] = {}

    def news(self, source: str, said: Sequence[Parsed]) -> list[Parsed]:
        """Without what is told in passing and was written lately just so."""
        now = self._monotonic()
        return [one for one in said if not isinstance(one, StageFact) or self._is_news(source, one, now)]

    def _is_news(self, source: str, told: StageFact, now: float) -> bool:
        data, until = self._written.get(_key(source, told), (None, now))
        return not told.passing or until <= now or data != told.data

    def wrote(self, source: str, said: Sequence[Parsed]) -> None:
        """These are kept now."""
        until = self._monotonic() + SECONDS
        for one in said:
            if isinstance(one, StageFact):
                if len(self._written) >= REMEMBERED:
                    self._written.clear()
                self._written[_key(source, one)] = (one.data, until)


def _key(source: str, told: StageFact) -> Key:
    return source, told.data.get("pipeline"), told.data.get("stage")
