"""Wording of `shift`."""

from __future__ import annotations

from shared.policy.model import MeasureRule
from shared.wording.signals import SignalWording


class ShiftWording(SignalWording):
    label = "lasting shifts"

    def watched(self, rule: MeasureRule, day: str) -> str:
        return "a lasting shift to the worse"
