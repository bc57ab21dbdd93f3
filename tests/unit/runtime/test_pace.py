"""Loops rest in proportion to the work that they did."""

from __future__ import annotations

import pytest

from shared.runtime.pace import WorkShare


@pytest.mark.parametrize(
    ("share", "worked", "has_backlog", "rests"),
    [
        (1 / 5, 0.5, True, 2.0),
        (1 / 2, 0.5, True, 0.5),
        (1 / 5, 3.0, True, 10.0),
        (1 / 5, 0.5, False, 10.0),
        (1 / 5, 0.0, True, 0.0),
    ],
    ids=["a fifth", "half", "never longer than the interval", "no backlog", "no work"],
)
def test_a_rest(share: float, worked: float, has_backlog: bool, rests: float) -> None:
    now = [100.0]
    pace = WorkShare(share, 10.0, clock=lambda: now[0])

    now[0] += worked

    assert pace.rest_seconds(has_backlog) == pytest.approx(rests)


async def test_work_is_measured_from_the_last_rest() -> None:
    now = [100.0]
    pace = WorkShare(1 / 2, 0.001, clock=lambda: now[0])
    now[0] += 50
    await pace.rest(has_backlog=True)

    now[0] += 0.0005

    assert pace.rest_seconds(has_backlog=True) == pytest.approx(0.0005)
