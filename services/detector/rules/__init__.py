"""The rules: one file per kind, all of one shape (`Judgement`). `KINDS` is the only place that lists them."""

from __future__ import annotations

from services.detector.rules.aging import Aging
from services.detector.rules.shape import Judgement, Series, Span
from services.detector.rules.stalled import Stalled
from services.detector.rules.wip_high import WipHigh
from services.detector.rules.wip_low import WipLow

KINDS: dict[str, type[Judgement]] = {"aging": Aging, "wip-high": WipHigh, "wip-low": WipLow, "stalled": Stalled}

__all__ = ["KINDS", "Aging", "Judgement", "Series", "Span", "Stalled", "WipHigh", "WipLow"]
