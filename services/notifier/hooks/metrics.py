"""Metrics of messages to other systems. Labels are receivers and results."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.notifier.hooks.queue import HookStatus
from shared.runtime.measured import MeasuredGauge

RESULTS = ("sent", "deferred", "dead")
SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
HOOK = ["hook"]


class HookMetrics:
    """Every label exists from the start, so that zero shows. `hooks`: the names of the receivers."""

    def __init__(self, registry: CollectorRegistry, hooks: Iterable[str] = ()) -> None:
        self.deliveries = Counter(
            "andon_notifier_hook_deliveries_total",
            "messages to other systems; deferred: failed, will be tried again. Of a replica: aggregate by sum.",
            ["hook", "result"],
            registry=registry,
        )
        self.seconds = Histogram(
            "andon_notifier_hook_seconds",
            "time of one request, whatever its answer. Of a replica: aggregate by sum.",
            HOOK,
            buckets=SECONDS,
            registry=registry,
        )
        self._waiting = _gauge(registry, "andon_notifier_hook_waiting", "messages that wait")
        self._oldest = _gauge(
            registry, "andon_notifier_hook_oldest_waiting_seconds", "how long the oldest message waits"
        )
        self._dead = _gauge(registry, "andon_notifier_hook_dead", "messages that were given up")
        self._disabled = _gauge(
            registry, "andon_notifier_hook_disabled", "1: the receiver answered 410 and is sent nothing"
        )
        for hook in hooks:
            self.seconds.labels(hook)
            for result in RESULTS:
                self.deliveries.labels(hook, result)

    def show(self, status: HookStatus) -> None:
        """How one receiver stands."""
        self._waiting.set(status.waiting, status.name)
        self._oldest.set(status.oldest_seconds, status.name)
        self._dead.set(status.dead, status.name)
        self._disabled.set(status.disabled_at is not None, status.name)


def _gauge(registry: CollectorRegistry, name: str, meaning: str) -> MeasuredGauge:
    help_text = f"{meaning}. Of the system: aggregate by max."
    return MeasuredGauge(name, help_text, HOOK, registry=registry)
