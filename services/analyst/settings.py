"""Settings of the analyst, from the environment."""

from __future__ import annotations

from pydantic import Field

from shared.runtime.settings import ServiceSettings

# Of the events that it publishes.
EVENT_SOURCE = "andon/analyst"


class AnalystSettings(ServiceSettings):
    """Settings of the analyst."""

    port: int = Field(8085, ge=0, le=65535, description="port of health and metrics")
