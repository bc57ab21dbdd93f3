"""Settings of the enricher, from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.runtime.settings import ServiceSettings


class EnricherSettings(ServiceSettings):
    port: int = Field(8083, ge=0, le=65535, description="port of health and metrics")
    sources: Path = Field(Path("sources.yaml"), description="sources file; sources with `api` are read through it")
    enricher_patience_seconds: float = Field(
        60,
        ge=0,
        le=86_400,
        description="how long to wait for events that complete a deal before it is read from its CRM",
    )
    enricher_read_again_seconds: float = Field(
        86_400, ge=0, description="minimum time between two reads of a deal that still has gaps"
    )
    enricher_reconcile_seconds: float = Field(
        3600, ge=0, description="how often to list the deals that changed in a CRM; 0: never"
    )
    enricher_overlap_seconds: float = Field(
        600, ge=0, description="each pass begins this long before the end of the last one"
    )
    enricher_give_up_seconds: float = Field(
        120, gt=0, le=600, description="how long to retry one request before the read is deferred"
    )
    enricher_refused_seconds: float = Field(
        900, ge=0, le=86_400, description="pause before a CRM that refuses our credentials is asked again"
    )
    enricher_keep_days: int = Field(
        400,
        ge=1,
        le=36_500,
        description="what is known of a deal is deleted this long after the CRM deleted or merged it",
    )
