"""What the loops of one replica share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.enricher.metrics import EnricherMetrics
from shared.connectors.base.api_client import CrmRejected
from shared.postgres.pool import Pool
from shared.runtime.clock import Clock
from shared.runtime.health import Progress
from shared.runtime.log import logger

_log = logger(__name__)


@dataclass(frozen=True)
class Context:
    """Set `wake` after a commit that put something into the outbox. `suspend_for`: see `suspend`."""

    pool: Pool
    prefix: str
    metrics: EnricherMetrics
    progress: Progress
    clock: Clock
    wake: asyncio.Event
    suspend_for: timedelta = timedelta(minutes=15)
    _suspended: dict[str, datetime] = field(default_factory=dict)

    def is_suspended(self, source: str) -> bool:
        """Whether requests to this source's CRM are suspended."""
        until = self._suspended.get(source)
        return until is not None and self.clock.now() < until

    def suspend(self, source: str, error: CrmRejected) -> None:
        """Pause requests to a CRM that rejects our credentials. Logged once, until it accepts them again."""
        if source not in self._suspended:
            self.metrics.suspended.labels(source).set(1)
            _log.error(
                "CRM rejects our credentials, source suspended: correct the token's permissions (docs/sources) or `api`"
                " of the source, and restart the enricher",
                source=source,
                answer=str(error),
                seconds=self.suspend_for.total_seconds(),
            )
        self._suspended[source] = self.clock.now() + self.suspend_for

    def answered(self, source: str) -> None:
        """The CRM accepts our credentials."""
        if self._suspended.pop(source, None) is not None:
            self.metrics.suspended.labels(source).set(0)
            _log.info("CRM accepts our credentials again", source=source)
