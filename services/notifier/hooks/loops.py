"""The workers of one replica, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from prometheus_client import CollectorRegistry

from services.notifier.hooks.client import HookClient, tls_of
from services.notifier.hooks.config import Receivers
from services.notifier.hooks.metrics import HookMetrics
from services.notifier.hooks.queue import HookQueue, statuses
from services.notifier.hooks.worker import HookWorker
from services.notifier.hooks.writing import HookWriter
from services.notifier.settings import NotifierSettings
from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.log import logger
from shared.runtime.service import Loop

_log = logger(__name__)
# A claim outlasts its request by the time to mark it.
MARK = timedelta(seconds=20)
# Time to mark after a restart of the database, before other replicas take over claims that ran out.
SETTLE = timedelta(seconds=10)


class Hooks:
    """All receivers of the hooks file. Raises FaultsError where the private CA's file cannot be used."""

    def __init__(
        self, settings: NotifierSettings, receivers: Receivers, pool: Pool, registry: CollectorRegistry
    ) -> None:
        self._pool, self._names = pool, list(receivers)
        self._metrics = HookMetrics(registry, receivers)
        self.writer = HookWriter(list(receivers.values()))
        self._workers = _workers(settings, receivers, pool, self._metrics) if receivers else []

    def loops(self) -> Sequence[Loop]:
        return [worker.run for worker in self._workers]

    def wake(self) -> None:
        """Messages may have been written."""
        for worker in self._workers:
            worker.wake.set()

    async def measure(self) -> None:
        """Refresh the gauges."""
        if not self._names:
            return
        try:
            for status in await statuses(self._pool, self._names):
                self._metrics.show(status)
        except TRANSIENT as error:
            _log.warning("metrics refresh failed: database unavailable", error=repr(error))


def _workers(settings: NotifierSettings, receivers: Receivers, pool: Pool, metrics: HookMetrics) -> list[HookWorker]:
    tls, workers = tls_of(settings.notifier_hooks_ca), []
    for name, receiver in receivers.items():
        seconds = receiver.settings.timeout_seconds
        queue = HookQueue(pool, name, timedelta(seconds=seconds) + MARK, SETTLE)
        client = HookClient(name, settings.hooks_reachable, seconds, tls)
        workers.append(HookWorker(receiver, queue, client, metrics))
    return workers
