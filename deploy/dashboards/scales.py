"""Where a value is good and where it is bad, as Grafana's thresholds.

The first step also colours a panel without a value, so each scale says what that means.
"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import dashboard

GREEN, ORANGE, RED, GREY, BLUE = "green", "orange", "red", "#8e8e8e", "blue"
LOWEST = -1e12
"""Below every value: the first step is then the colour of no value alone."""


class Scale:
    """Colours by value. `without`: the colour where there is no value; then steps, each from a value on."""

    def __init__(self, without: str, *steps: tuple[float, str]) -> None:
        self.steps: Sequence[tuple[float | None, str]] = ((None, without), *steps)

    @property
    def thresholds(self) -> dashboard.ThresholdsConfig:
        steps = [dashboard.Threshold(value, color) for value, color in self.steps]
        return dashboard.ThresholdsConfig(dashboard.ThresholdsMode.ABSOLUTE, steps)


def bad_from(bad: float, warn: float | None = None, without: str = GREEN) -> Scale:
    """Small is good: orange from `warn` on, red from `bad` on."""
    warning = () if warn is None else ((warn, ORANGE),)
    return Scale(without, (LOWEST, GREEN), *warning, (bad, RED))


def good_from(good: float, warn: float | None = None, without: str = RED) -> Scale:
    """Large is good: red below `warn` or else `good`, orange from `warn` on, green from `good` on."""
    warning = () if warn is None else ((warn, ORANGE),)
    return Scale(without, (LOWEST, RED), *warning, (good, GREEN))


NEUTRAL = Scale(BLUE)
"""Neither good nor bad by itself: the text of the panel says why."""
