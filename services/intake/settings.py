"""Intake's settings, from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from shared.runtime.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    port: int = Field(8081, ge=0, le=65535, description="port that the service's HTTP listens on")
    sources: Path = Field(Path("sources.yaml"), description="path of the sources file: kinds and secrets")
    intake_deadline_seconds: float = Field(
        4.0, gt=0, le=60, description="how long Kafka may take to acknowledge before the sender is asked to retry"
    )
    intake_bytes_in_hand: int = Field(
        32 * 1024 * 1024,
        ge=1024 * 1024,
        le=2**33,
        description="bytes of large bodies in flight and of what is made of them, at most half for one source; beyond"
        " that a sender is asked to retry",
    )
    canary_secret: SecretStr = Field(
        SecretStr(""),
        description="secret that `andon canary` signs its webhooks with, the same for both; empty: intake takes none."
        " ANDON_CANARY_SECRET_FILE names a file",
    )
