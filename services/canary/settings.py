"""Settings of the canary, from the environment."""

from __future__ import annotations

from pydantic import Field, SecretStr

from shared.runtime.settings import ServiceSettings


class CanarySettings(ServiceSettings):
    port: int = Field(8086, ge=0, le=65535, description="port of health and metrics, with --every")
    canary_secret: SecretStr = Field(
        SecretStr(""), description="secret that webhooks are signed with, the same as intake's"
    )
    canary_intake: str = Field(
        "http://127.0.0.1:8081",
        pattern=r"^https?://[^\s/?#]+$",
        description="address of intake, without a path: where CRMs reach it, to try proxies as well",
    )
