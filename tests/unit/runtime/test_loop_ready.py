"""`andon_loop_ready` says of each loop what readiness says of the service."""

from __future__ import annotations

import asyncio
from importlib import metadata

import pytest
from prometheus_client import CollectorRegistry

from shared.runtime import version
from shared.runtime.health import LoopReady, PartProgress, Progress
from shared.runtime.service import new_registry
from shared.runtime.version import product_version


class LoopClock:
    """A monotonic clock set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_loop_is_ready_from_its_first_beat_until_it_is_late() -> None:
    clock, registry = LoopClock(), CollectorRegistry()
    progress = Progress(clock)
    registry.register(LoopReady(progress))
    part = PartProgress(progress, "stages")
    progress.expect("relay", 30)
    part.expect("consumer", 60)

    def ready() -> dict[str, float | None]:
        names = ("relay", "stages: consumer")
        return {name: registry.get_sample_value("andon_loop_ready", {"loop": name}) for name in names}

    assert ready() == {"relay": 0, "stages: consumer": 0}, "not begun"
    progress.beat("relay")
    part.beat("consumer")
    assert ready() == {"relay": 1, "stages: consumer": 1}
    clock.now = 31
    assert ready() == {"relay": 0, "stages: consumer": 1}
    assert {name for name, value in ready().items() if not value} == progress.stuck().keys()
    clock.now = 61
    progress.beat("relay")
    await asyncio.sleep(0)
    assert ready() == {"relay": 1, "stages: consumer": 0}


def test_the_build_is_shown_with_the_version_that_andon_prints() -> None:
    labels = {"version": product_version(), "revision": "3f2a9c"}

    assert new_registry("3f2a9c").get_sample_value("andon_build_info", labels) == 1


def test_a_source_without_an_installed_package_has_the_same_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    installed = product_version()
    product_version.cache_clear()
    monkeypatch.setattr(version.metadata, "version", none)
    try:
        assert product_version() == installed
    finally:
        product_version.cache_clear()
