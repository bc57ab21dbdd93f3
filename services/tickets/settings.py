"""What tickets is told by the environment."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from shared.runtime.addresses import LOOPBACK, LOOPBACK_HOSTS
from shared.runtime.settings import ServiceSettings


class TicketsSettings(ServiceSettings):
    port: int = Field(8080, ge=0, le=65535, description="port that the service's HTTP listens on")
    tickets_url: str = Field(
        "http://127.0.0.1:8080",
        pattern=r"^https?://\S+$",
        description="address of the pages, as links in mails have it",
    )
    tickets_let_anyone_read_and_change: bool = Field(
        False,
        description="there is no sign-in yet: pages are for this machine only, unless this is true, and then for anyone"
        " who can reach the port",
    )

    @property
    def hosts(self) -> list[str]:
        """Names that the pages answer to. On this machine its own alone."""
        if self.host not in LOOPBACK:
            return ["*"]
        return [*LOOPBACK_HOSTS, urlsplit(self.tickets_url).hostname or LOOPBACK[0]]

    @model_validator(mode="after")
    def _is_closed(self) -> Self:
        if self.host not in LOOPBACK and not self.tickets_let_anyone_read_and_change:
            raise ValueError(
                f"ANDON_HOST={self.host} would show the tickets to anyone who reaches this port, as there is no sign-in"
                " yet; use 127.0.0.1, or set ANDON_TICKETS_LET_ANYONE_READ_AND_CHANGE=true behind a proxy that asks"
                " who comes"
            )
        return self
