"""What intake is told by the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.runtime.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    port: int = Field(8081, ge=0, le=65535, description="port that the service's HTTP listens on")
    sources: Path = Field(Path("sources.yaml"), description="the file of sources: kinds and secrets")
    intake_deadline_seconds: float = Field(
        4.0, gt=0, le=60, description="how long Kafka may take before the sender is told to come again"
    )
