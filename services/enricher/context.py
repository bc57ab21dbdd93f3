"""What the loops of one replica share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.enricher.metrics import EnricherMetrics
from shared.connectors.base.api_client import CrmRejected
from shared.runtime.clock import Clock
from shared.runtime.health import Progress
from shared.runtime.log import logger

_log = logger(__name__)


@dataclass(frozen=True)
class Context:
    """`wake` is set when the outbox has something. `refused_for`: a CRM that refuses our credentials is left alone."""

    pool: Any
    prefix: str
    metrics: EnricherMetrics
    progress: Progress
    clock: Clock
    wake: asyncio.Event
    refused_for: timedelta = timedelta(minutes=15)
    _suspended: dict[str, datetime] = field(default_factory=dict)

    def is_suspended(self, source: str) -> bool:
        """Whether this source is not to be asked now."""
        until = self._suspended.get(source)
        return until is not None and self.clock.now() < until

    def suspend(self, source: str, error: CrmRejected) -> None:
        """The CRM refuses our credentials: said once, until it answers again."""
        if source not in self._suspended:
            self.metrics.suspended.labels(source).set(1)
            _log.error(
                "the CRM refuses our credentials and is left alone for a while; mend what the token may do"
                " (docs/sources), or `api` of the source and start the enricher anew",
                source=source,
                answer=str(error),
                seconds=self.refused_for.total_seconds(),
            )
        self._suspended[source] = self.clock.now() + self.refused_for

    def answered(self, source: str) -> None:
        """The CRM takes our credentials."""
        if self._suspended.pop(source, None) is not None:
            self.metrics.suspended.labels(source).set(0)
            _log.info("the CRM takes our credentials again", source=source)
