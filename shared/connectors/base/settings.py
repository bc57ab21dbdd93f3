"""Settings of a source, and of its CRM's API, as the sources file holds them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

MIB = 1024 * 1024


class SourceSettings(BaseModel):
    """One entry of the sources file. Each kind adds its own fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    secrets: list[str] = Field(
        min_length=1,
        description="shared secrets: the current one and, during a rotation, the previous one; use env:NAME or"
        " file:PATH (relative to this file's folder) to keep them out of this file",
    )
    per_second: float = Field(
        0, ge=0, le=100_000, description="genuine requests per second, with a burst of the same size; 0: no limit"
    )
    at_once: int = Field(200, ge=1, le=10_000, description="concurrent requests; more are asked to retry later")
    max_bytes: int = Field(MIB, ge=1024, le=64 * MIB, description="largest accepted body, in bytes")

    @field_validator("secrets")
    @classmethod
    def _resolve(cls, written: list[str]) -> list[str]:
        return [resolve_secret(reference) for reference in written]


class ApiSettings(BaseModel):
    """Access to the API of one source's CRM. Each kind adds its own fields and defaults.

    The token stays a reference here: only the enricher calls the API, so only the enricher needs to read it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str = Field(
        min_length=1,
        description="API token; use env:NAME or file:PATH (relative to this file's folder) to keep it out of this file",
    )
    url: str = Field(pattern=r"^https?://[^\s/?#]+$", description="address of the API, without a path")
    per_second: float = Field(5, gt=0, le=1000, description="requests per second, with a burst of the same size")
    timeout_seconds: float = Field(30, gt=0, le=300, description="timeout of one request")


ApiT = TypeVar("ApiT", bound=ApiSettings, covariant=True)


class ApiSourceSettings(SourceSettings, Generic[ApiT]):
    """A source whose CRM has an API, with that API's settings; the enricher calls it if `api` is set."""

    api: ApiT | None = Field(None, description="API access for the enricher; leave it out to make no requests")


def resolve_secret(reference: str) -> str:
    """The secret behind `env:NAME` or `file:PATH`, or the text itself; raises ValueError."""
    if reference.startswith("env:"):
        secret = os.environ.get(reference[4:], "")
        if not secret:
            raise ValueError(f"{reference}: this environment variable is not set; set it")
    elif reference.startswith("file:"):
        try:
            secret = Path(reference[5:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{reference}: {error}; name a readable file") from None
    else:
        secret = reference
    if len(secret) < 8:
        raise ValueError("a secret shorter than 8 characters can be guessed; use a long random one")
    return secret
