"""A histogram that one thread counts, such as that of the event loop: it takes no lock."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Buckets:
    """How many values lie in each bucket, and their sum. `bounds`: upper ones, in order."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts, self._sum = [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        """Count one value, at a fifth of the cost of prometheus_client's."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def observe_all(self, values: Collection[float]) -> None:
        """Count all of these, at a tenth of the cost."""
        for bucket, count in Counter(bisect_left(self._bounds, value) for value in values).items():
            self._counts[bucket] += count
        self._sum += sum(values)

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add a sample. Buckets hold what those below them hold, too."""
        names = (*map(str, map(float, self._bounds)), "+Inf")
        family.add_metric(labels, list(zip(names, accumulate(self._counts), strict=True)), self._sum)


class LoopHistogram(Collector):
    """As prometheus_client's, with at most one label, whose `values` are known beforehand."""

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[float],
        registry: CollectorRegistry,
        label: str | None = None,
        values: Collection[str] = (),
    ) -> None:
        self._name, self._documentation = name, documentation
        self._labels = () if label is None else (label,)
        keys = [()] if label is None else [(value,) for value in values]
        self._children: dict[tuple[str, ...], Buckets] = {key: Buckets(tuple(buckets)) for key in keys}
        registry.register(self)

    def child(self, *values: str) -> Buckets:
        """Where to count what has this value of the label; none where there is no label."""
        return self._children[values]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, buckets in self._children.items():
            buckets.add_to(family, values)
        return [family]
