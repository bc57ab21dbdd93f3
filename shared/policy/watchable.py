"""The weekly measures that a rule may watch, and the side of each on which it is worse."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Side(StrEnum):
    """Above or below what is usual."""

    HIGH = "high"
    LOW = "low"


TIME_IN_STAGE = "time_in_stage_median"
STAGE_MEASURES: Mapping[str, Side] = {
    TIME_IN_STAGE: Side.HIGH,
    "time_in_stage_p85": Side.HIGH,
    "wip_end": Side.HIGH,
    "open_age_mean": Side.HIGH,
    "rework_rate": Side.HIGH,
    "arrivals": Side.LOW,
    "departures": Side.LOW,
}
PIPELINE_MEASURES: Mapping[str, Side] = {
    "lead_time_median": Side.HIGH,
    "lead_time_p85": Side.HIGH,
    "pushed_share": Side.HIGH,
    "throughput": Side.LOW,
    "win_rate": Side.LOW,
}
