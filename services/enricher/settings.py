"""What the enricher is told by the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.runtime.settings import ServiceSettings


class EnricherSettings(ServiceSettings):
    port: int = Field(8083, ge=0, le=65535, description="port of health and metrics")
    sources: Path = Field(Path("sources.yaml"), description="the file of sources; those with `api` are asked")
    enricher_patience_seconds: float = Field(
        60, ge=0, le=86_400, description="how long further events may complete a deal before its CRM is asked"
    )
    enricher_read_again_seconds: float = Field(
        86_400, ge=0, description="a deal that was read and still has gaps is not read again within this time"
    )
    enricher_reconcile_seconds: float = Field(
        3600, ge=0, description="how often the deals that changed are listed; 0: never"
    )
    enricher_overlap_seconds: float = Field(
        600, ge=0, description="each pass lists again what changed so long before the end of the last one"
    )
    enricher_give_up_seconds: float = Field(
        120, gt=0, le=600, description="how long one request is tried before the deal waits for its next turn"
    )
    enricher_refused_seconds: float = Field(
        900, ge=0, le=86_400, description="a CRM that refuses our credentials is asked again after this time"
    )
