"""How many requests a CRM still allows."""

from __future__ import annotations

from typing import NamedTuple


class Quota(NamedTuple):
    """Requests of a day."""

    left: int
    allowed: int
