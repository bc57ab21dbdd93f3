"""Problems in a manager's words: one file per kind; only this file lists the kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.wording.aging import AgingWording
from shared.wording.aging_learned import AgingLearnedWording
from shared.wording.bottleneck import BottleneckWording
from shared.wording.cord import CordWording
from shared.wording.kind import KindWording
from shared.wording.rework import ReworkWording
from shared.wording.shift import ShiftWording
from shared.wording.silence import SilenceWording
from shared.wording.slipping import SlippingWording
from shared.wording.stalled import StalledWording
from shared.wording.unknown import UnknownWording
from shared.wording.wip_high import WipHighWording
from shared.wording.wip_low import WipLowWording

# In the order of filters and lists.
KINDS: Mapping[str, KindWording[Any]] = {
    "aging": AgingWording(),
    "wip-high": WipHighWording(),
    "wip-low": WipLowWording(),
    "stalled": StalledWording(),
    "shift": ShiftWording(),
    "rework": ReworkWording(),
    "slipping": SlippingWording(),
    "aging-learned": AgingLearnedWording(),
    "bottleneck": BottleneckWording(),
    "silence": SilenceWording(),
    "cord": CordWording(),
}


def of(kind: str) -> KindWording[Any]:
    """The words of a kind; plain ones for a kind that this version does not know."""
    return KINDS.get(kind) or UnknownWording(kind)


__all__ = ["KINDS", "KindWording", "of"]
