"""What the notifier is told by the environment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from shared.runtime.addresses import ADDRESS
from shared.runtime.settings import ServiceSettings


class NotifierSettings(ServiceSettings):
    port: int = Field(8084, ge=0, le=65535, description="port that the service's HTTP listens on")
    smtp_host: str = Field("127.0.0.1", description="the mail server")
    smtp_port: int = Field(1025, ge=1, le=65535, description="its port")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        "none", description="none; starttls: begin in the clear and change over; tls: from the first byte"
    )
    smtp_username: str = Field("", description="name to sign in with; empty: no sign-in")
    smtp_password: SecretStr = Field(SecretStr(""), description="ANDON_SMTP_PASSWORD_FILE names a file")
    smtp_sender: str = Field(
        "andon@localhost.localdomain", pattern=ADDRESS, description="the address that mails come from"
    )
    smtp_timeout_seconds: float = Field(
        20,
        gt=0,
        le=300,
        description="how long the server may take for a step; what a process that died had in hand is taken up by"
        " another after five of these and 20 seconds",
    )
    notifier_grew_every_seconds: int = Field(
        3600, ge=0, description="growth of one ticket is told at most so often; what comes between is put together"
    )

    @property
    def domain(self) -> str:
        """Of Message-IDs."""
        return self.smtp_sender.partition("@")[2]
