"""Readiness that proves progress: every loop stamps its beat, so being alive is not enough."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.runtime.log import logger

_log = logger(__name__)


class Progress:
    """When each loop last made progress. A loop that exceeds its limit makes the service unready."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._within: dict[str, float] = {}
        self._beats: dict[str, float] = {}
        self._reported: set[str] = set()

    def expect(self, loop: str, within_seconds: float) -> None:
        """From now on `loop` must beat at least this often. It is unready until its first beat."""
        self._within[loop] = within_seconds

    def beat(self, loop: str) -> None:
        """`loop` has made progress."""
        self._beats[loop] = self._monotonic()
        self._reported.discard(loop)

    def stuck(self) -> dict[str, str]:
        """The loops without progress, each with what is wrong."""
        now = self._monotonic()
        late: dict[str, str] = {}
        for loop, within in self._within.items():
            beat = self._beats.get(loop)
            if beat is None:
                late[loop] = "has not begun"
            elif now - beat > within:
                late[loop] = f"no progress for {now - beat:.0f} s, at most {within:.0f} s are allowed"
                self._dump(loop)
        return late

    def ready(self) -> dict[str, bool]:
        """Every loop, and whether it makes progress."""
        now = self._monotonic()
        # Metrics are generated in a thread, while loops may be added.
        expected = list(self._within.items())
        return {loop: loop in self._beats and now - self._beats[loop] <= within for loop, within in expected}

    def _dump(self, loop: str) -> None:
        """Log the stacks of all tasks, once per stuck loop."""
        if loop in self._reported:
            return
        self._reported.add(loop)
        stacks = {t.get_name(): "".join(traceback.format_list(_stack(t))) for t in asyncio.all_tasks()}
        _log.error("loop is stuck", loop=loop, tasks=stacks)


class LoopReady(Collector):
    """The progress of each loop as a metric."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One sample for each loop."""
        family = GaugeMetricFamily(
            "andon_loop_ready",
            "1 while this loop of the service makes progress, 0 if it is stuck. Of a replica: aggregate by min.",
            labels=("loop",),
        )
        for loop, is_ready in self._progress.ready().items():
            family.add_metric((loop,), is_ready)
        return [family]


class PartProgress(Progress):
    """The loops of one part of a service, under names of their own."""

    def __init__(self, whole: Progress, name: str) -> None:
        super().__init__()
        self._whole, self._name = whole, name

    def expect(self, loop: str, within_seconds: float) -> None:
        self._whole.expect(f"{self._name}: {loop}", within_seconds)

    def beat(self, loop: str) -> None:
        self._whole.beat(f"{self._name}: {loop}")


def _stack(task: asyncio.Task[object]) -> traceback.StackSummary:
    return traceback.StackSummary.extract((frame, frame.f_lineno) for frame in task.get_stack(limit=4))
