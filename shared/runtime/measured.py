"""A gauge measured at a server: it has no samples while it cannot be measured."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeHistogramMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

# A sample that was not set for so long is left out. Every gauge here is measured at least every 15 seconds.
FRESH_SECONDS = 60.0


class MeasuredGauge(Collector):
    """A gauge without samples until it is set, and again once it has not been set for `fresh_seconds`.

    An ordinary gauge would keep the last good value while Postgres or Kafka is unavailable, and alerts would stay
    silent. Whoever measures need not know of the failure: also a query that hangs leaves the gauge out.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        registry: CollectorRegistry,
        fresh_seconds: float = FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._documentation, self._labels = name, documentation, tuple(labels)
        self._fresh_seconds, self._clock = fresh_seconds, clock
        self._samples: dict[tuple[str, ...], tuple[float, float]] = {}
        registry.register(self)
        self._times = _times_of(registry)

    def set(self, value: float, *labels: str) -> None:
        """Set the sample of these label values, which stand in the order of the names."""
        if len(labels) != len(self._labels):
            raise ValueError(f"{self._name} has the labels {self._labels}, not values {labels}")
        self._samples[labels] = (float(value), self._clock())
        self._times.measured(self._name)

    def replace(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Set these samples, by label values, and drop all others: what is over disappears at once."""
        at = self._clock()
        self._samples = {labels: (float(value), at) for labels, value in values.items()}
        self._times.measured(self._name)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The name and help, without samples: the registry refuses a second metric of this name."""
        return [self._family()]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The samples that are fresh."""
        family, since = self._family(), self._clock() - self._fresh_seconds
        for labels, (value, at) in list(self._samples.items()):
            if at >= since:
                family.add_metric(labels, value)
        return [family]

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._documentation, labels=self._labels)


class MeasuredHistogram(Collector):
    """As MeasuredGauge, for how values are spread now: unlike an ordinary histogram its counts also fall."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        buckets: Sequence[float],
        *,
        registry: CollectorRegistry,
        fresh_seconds: float = FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._documentation, self._labels = name, documentation, tuple(labels)
        self._buckets, self._fresh_seconds, self._clock = tuple(buckets), fresh_seconds, clock
        self._found: Mapping[tuple[str, ...], Sequence[float]] = {}
        self._at = float("-inf")
        registry.register(self)
        self._times = _times_of(registry)

    def replace(self, found: Mapping[tuple[str, ...], Sequence[float]]) -> None:
        """Set all values, by label values."""
        self._found, self._at = {labels: sorted(values) for labels, values in found.items()}, self._clock()
        self._times.measured(self._name)

    def describe(self) -> Iterable[GaugeHistogramMetricFamily]:
        """The name and help, without samples."""
        return [self._family()]

    def collect(self) -> Iterable[GaugeHistogramMetricFamily]:
        """The buckets, while they are fresh."""
        family, found = self._family(), self._found
        if self._at >= self._clock() - self._fresh_seconds:
            for labels, values in found.items():
                counts = [(str(float(bound)), bisect_right(values, bound)) for bound in self._buckets]
                family.add_metric(labels, [*counts, ("+Inf", len(values))], sum(values))
        return [family]

    def _family(self) -> GaugeHistogramMetricFamily:
        return GaugeHistogramMetricFamily(self._name, self._documentation, labels=self._labels)


class MeasuredTimes(Collector):
    """When each measured gauge of a registry was last set. It keeps its samples: they say since when one is missing."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def measured(self, what: str) -> None:
        """The gauge `what` was set now."""
        self._at[what] = time.time()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One sample for each gauge that was ever set."""
        family = GaugeMetricFamily(
            "andon_measured_timestamp_seconds",
            "When this gauge was last measured; without a sample: never. Of a replica: aggregate by max.",
            labels=("what",),
        )
        for what, at in list(self._at.items()):
            family.add_metric((what,), at)
        return [family]


_REGISTRIES: WeakKeyDictionary[CollectorRegistry, MeasuredTimes] = WeakKeyDictionary()


def _times_of(registry: CollectorRegistry) -> MeasuredTimes:
    """The times of this registry, registered with its first gauge."""
    if registry not in _REGISTRIES:
        _REGISTRIES[registry] = MeasuredTimes()
        registry.register(_REGISTRIES[registry])
    return _REGISTRIES[registry]
