"""The rules: one file per kind, each a `Rule`. `KINDS` lists those whose numbers the policy gives."""

from __future__ import annotations

from shared.flow.rules.aging import Aging
from shared.flow.rules.aging_learned import AgingLearned
from shared.flow.rules.rule import Rule, Series, Span
from shared.flow.rules.stalled import Stalled
from shared.flow.rules.wip_high import WipHigh
from shared.flow.rules.wip_low import WipLow

KINDS: dict[str, type[Rule]] = {"aging": Aging, "wip-high": WipHigh, "wip-low": WipLow, "stalled": Stalled}

__all__ = ["KINDS", "Aging", "AgingLearned", "Rule", "Series", "Span", "Stalled", "WipHigh", "WipLow"]
