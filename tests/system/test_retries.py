"""HubSpot's retries while broker and intake fail repeatedly: no event is lost, and none is invented."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.retries import SoakPlan, soak


async def test_every_event_is_stored_unchanged_in_the_end(tmp_path: Path) -> None:
    plan = SoakPlan(
        seconds=8, kills=2, per_second=8, day=10, broker_up=(2, 4), broker_down=(0.2, 1.5), intake_up=(2, 5)
    )

    figures = await soak(tmp_path, plan)

    assert figures.events > 2000
    assert min(figures.broker_kills, figures.intake_kills) >= 2
    assert figures.answers["202"] == figures.arrays < figures.answers.total()
