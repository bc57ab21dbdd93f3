"""Settings of tickets from the environment."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from shared.runtime.addresses import LOOPBACK, LOOPBACK_HOSTS
from shared.runtime.clock import ClockKind
from shared.runtime.settings import ServiceSettings


class TicketsSettings(ServiceSettings):
    port: int = Field(8080, ge=0, le=65535, description="port that the service's HTTP listens on")
    clock: ClockKind = Field(
        ClockKind.WALL, description="wall: live; log: replays, in which the judgement time of the log stands for now"
    )
    tickets_url: str = Field(
        "http://127.0.0.1:8080",
        pattern=r"^https?://\S+$",
        description="address of the pages, for the links in mails",
    )
    detector_url: str = Field(
        "http://127.0.0.1:8082",
        pattern=r"^https?://\S+$",
        description="address of the detector's HTTP, which tries other rules on the history for the pages",
    )
    tickets_let_anyone_read_and_change: bool = Field(
        False,
        description="there is no sign-in yet: pages are for this machine only, unless this is true, and then for anyone"
        " who can reach the port",
    )

    tickets_inbox_days: int = Field(
        30,
        ge=1,
        le=36_500,
        description="days after which ids of handled messages are forgotten; must be more than the policy's lateness",
    )

    @property
    def hosts(self) -> list[str]:
        """Host names that the pages answer to; on loopback only this machine's."""
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
