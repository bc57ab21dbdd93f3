"""Credentials of a CRM's API in the sources file. Intake knows that they may be there; the enricher alone uses them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.connectors.base.source import SourceSettings


class ApiSettings(BaseModel):
    """How the API of one source is reached; kinds add their own fields and defaults.

    Secrets stay as they are written: only the enricher, which asks, has to be able to read them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str = Field(
        min_length=1,
        description="the API token; env:NAME or file:PATH (relative to this file's folder) keeps it out of this file",
    )
    url: str = Field(pattern=r"^https?://[^\s/?#]+$", description="address of the API, without a path")
    per_second: float = Field(5, gt=0, le=1000, description="requests a second, with a burst of as many")
    timeout_seconds: float = Field(30, gt=0, le=300, description="how long one answer may take")


class ApiSourceSettings(SourceSettings):
    """A source whose CRM can be asked, where it has credentials."""

    api: ApiSettings | None = Field(None, description="the API, for the enricher; without it nothing is asked")
