"""Wording of `slipping`."""

from __future__ import annotations

from shared.policy.model import MeasureRule
from shared.wording.signals import SignalWording


class SlippingWording(SignalWording):
    label = "slipping close dates"

    def watched(self, rule: MeasureRule, day: str) -> str:
        return "more close dates that are put off"
