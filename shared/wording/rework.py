"""Wording of `rework`."""

from __future__ import annotations

from shared.policy.model import MeasureRule
from shared.wording.signals import SignalWording


class ReworkWording(SignalWording):
    label = "rework"

    def watched(self, rule: MeasureRule, day: str) -> str:
        return "more deals that come back"
