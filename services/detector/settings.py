"""Settings of the detector, from the environment."""

from __future__ import annotations

from pydantic import Field

from shared.runtime.clock import ClockKind
from shared.runtime.settings import ServiceSettings

# Of the events that it publishes.
EVENT_SOURCE = "andon/detector"


class DetectorSettings(ServiceSettings):
    """Settings of the detector."""

    port: int = Field(8082, ge=0, le=65535, description="port of health, metrics and previews")
    clock: ClockKind = Field(
        ClockKind.WALL, description="wall: live; log: replays, in which the records' own times stand for now"
    )
    detector_batch: int = Field(3000, ge=1, le=10_000, description="maximum number of records in one transaction")
    detector_workers: int = Field(
        4, ge=1, le=12, description="batches handled at once, each of other partitions and on a connection of its own"
    )
    detector_pass_seconds: float = Field(
        0.02, gt=0, le=60, description="least seconds between two evaluation passes; longer where a pass takes long"
    )
