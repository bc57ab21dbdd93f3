"""The parts of a deal that a CRM must have sent before we know the deal."""

from __future__ import annotations

from enum import IntFlag


class DealPart(IntFlag):
    """Known parts of a deal. GONE: deleted or merged, so nothing else is needed."""

    CREATED = 1
    STAGE = 2
    PIPELINE = 4
    NAME = 8
    GONE = 16


ALL_PARTS = DealPart.CREATED | DealPart.STAGE | DealPart.PIPELINE | DealPart.NAME
