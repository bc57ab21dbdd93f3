"""A gauge that cannot be measured is left out."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from shared.runtime.measured import MeasuredGauge

DEALS = {"pipeline": "new", "stage": "won"}


class ManualClock:
    """A clock set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def gauge(registry: CollectorRegistry, watch: ManualClock) -> MeasuredGauge:
    return MeasuredGauge("deals", "Deals.", ("pipeline", "stage"), registry=registry, fresh_seconds=60, clock=watch)


def test_a_gauge_has_no_sample_before_it_is_measured() -> None:
    registry = CollectorRegistry()
    gauge(registry, ManualClock())

    assert registry.get_sample_value("deals", DEALS) is None
    assert b"# TYPE deals gauge" in generate_latest(registry)


def test_a_sample_disappears_when_it_was_not_measured_for_long_and_returns() -> None:
    registry, watch = CollectorRegistry(), ManualClock()
    deals = gauge(registry, watch)

    deals.set(0, "new", "won")
    watch.now += 60
    assert registry.get_sample_value("deals", DEALS) == 0
    watch.now += 0.1
    assert registry.get_sample_value("deals", DEALS) is None
    assert b"deals{" not in generate_latest(registry)
    deals.set(3, "new", "won")
    assert registry.get_sample_value("deals", DEALS) == 3


def test_a_sample_of_its_own_for_each_label() -> None:
    registry, watch = CollectorRegistry(), ManualClock()
    deals = gauge(registry, watch)

    deals.set(1, "new", "won")
    watch.now += 61
    deals.set(2, "new", "lost")
    text = generate_latest(registry)
    assert text.count(b"deals{") == 1
    assert b'stage="lost"} 2.0' in text


@pytest.mark.parametrize("labels", [(), ("new",), ("new", "won", "more")])
def test_labels_must_be_complete(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="pipeline"):
        gauge(CollectorRegistry(), ManualClock()).set(1, *labels)


def test_a_name_is_registered_once() -> None:
    registry = CollectorRegistry()
    gauge(registry, ManualClock())

    with pytest.raises(ValueError, match="Duplicated"):
        gauge(registry, ManualClock())


def test_the_time_of_the_last_measurement_stays_when_the_sample_goes() -> None:
    registry, watch = CollectorRegistry(), ManualClock()
    deals = gauge(registry, watch)
    other = MeasuredGauge("other", "Others.", registry=registry)

    def measured(what: str) -> float | None:
        return registry.get_sample_value("andon_measured_timestamp_seconds", {"what": what})

    assert measured("deals") is None
    deals.set(1, "new", "won")
    at = measured("deals")
    watch.now += 3600
    assert registry.get_sample_value("deals", DEALS) is None
    assert measured("deals") == at is not None
    assert measured("other") is None
    other.set(1)
    assert measured("other") is not None


def test_replaced_samples_are_gone_at_once() -> None:
    registry = CollectorRegistry()
    deals = gauge(registry, ManualClock())

    deals.replace({("new", "won"): 1, ("new", "lost"): 2})
    deals.replace({("new", "lost"): 3})
    text = generate_latest(registry)
    assert text.count(b"deals{") == 1
    assert b'stage="lost"} 3.0' in text
    deals.replace({})
    assert b"deals{" not in generate_latest(registry)
