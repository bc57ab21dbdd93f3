"""How many requests a CRM leaves us for the day, as its answers say.

Sources: HubSpot, "Usage guidelines", X-HubSpot-RateLimit-Daily; Salesforce, "API Usage Header", Sforce-Limit-Info.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")


class Quota(NamedTuple):
    """Requests of a day."""

    left: int
    allowed: int


def quota_of(headers: Mapping[str, str]) -> Quota | None:
    """None where the CRM does not say; `headers` are found in any case."""
    if used := _USAGE.search(headers.get("sforce-limit-info", "")):
        return Quota(int(used[2]) - int(used[1]), int(used[2]))
    allowed = headers.get("x-hubspot-ratelimit-daily", "")
    left = headers.get("x-hubspot-ratelimit-daily-remaining", "")
    return Quota(int(left), int(allowed)) if allowed.isdecimal() and left.isdecimal() else None
