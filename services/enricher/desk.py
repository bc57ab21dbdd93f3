"""What the loops of one replica share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from services.enricher.client import RefusedError
from services.enricher.metrics import EnricherMetrics
from shared.runtime.clock import Clock
from shared.runtime.health import Progress
from shared.runtime.log import logger

_log = logger(__name__)


@dataclass(frozen=True)
class Desk:
    """`wake` is set when the outbox has something; a suspended source is not asked until a restart."""

    pool: Any
    prefix: str
    metrics: EnricherMetrics
    progress: Progress
    clock: Clock
    wake: asyncio.Event
    _suspended: set[str] = field(default_factory=set)

    def is_suspended(self, source: str) -> bool:
        return source in self._suspended

    def suspend(self, source: str, error: RefusedError) -> None:
        """The CRM refuses our credentials: said once, and not asked again."""
        if source not in self._suspended:
            self._suspended.add(source)
            self.metrics.suspended.labels(source).set(1)
            _log.error(
                "the CRM refuses our credentials and is not asked any more; mend `api` of the source or what the token"
                " may do (docs/sources), then start the enricher anew", source=source, answer=str(error),
            )  # fmt: skip
