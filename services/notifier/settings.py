"""Settings of the notifier, from the environment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from shared.runtime.addresses import ADDRESS
from shared.runtime.settings import ServiceSettings


class NotifierSettings(ServiceSettings):
    port: int = Field(8084, ge=0, le=65535, description="port of health and metrics")
    smtp_host: str = Field("127.0.0.1", description="host of the mail server")
    smtp_port: int = Field(1025, ge=1, le=65535, description="port of the mail server")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        "none", description="none; starttls: connect unencrypted, then switch to TLS; tls: TLS from the first byte"
    )
    smtp_username: str = Field("", description="user name for the mail server; empty: do not sign in")
    smtp_password: SecretStr = Field(
        SecretStr(""), description="password for the mail server; ANDON_SMTP_PASSWORD_FILE names a file with it"
    )
    smtp_sender: str = Field(
        "andon@localhost.localdomain", pattern=ADDRESS, description="address in the From header of mails"
    )
    smtp_timeout_seconds: float = Field(
        20,
        gt=0,
        le=300,
        description="time-out of each answer of the mail server; another replica takes over the mails of one that died"
        " after five times this and 20 seconds",
    )
    notifier_grew_every_seconds: int = Field(
        3600, ge=0, description="minimum time between two mails about growth of one ticket; the later one has the sum"
    )
    notifier_keep_days: int = Field(
        400,
        ge=1,
        le=36_500,
        description="content of mails is deleted this long after they were sent or refused; what is needed to send"
        " nothing twice is kept",
    )

    @property
    def domain(self) -> str:
        """Domain of Message-IDs."""
        return self.smtp_sender.partition("@")[2]
