"""Settings of tickets from the environment."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from services.tickets.access.settings import AccessSettings
from services.tickets.cord.settings import CordSettings
from services.tickets.domain.issue_links import IssueHosts
from shared.runtime.addresses import LOOPBACK, LOOPBACK_HOSTS
from shared.runtime.clock import ClockKind
from shared.runtime.read_links import ReadLinkSettings


class TicketsSettings(CordSettings, AccessSettings, ReadLinkSettings):
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
    tickets_inbox_days: int = Field(
        30,
        ge=1,
        le=36_500,
        description="days after which ids of handled messages are forgotten; must be more than the policy's lateness",
    )

    tickets_issue_hosts: str = Field(
        "",
        pattern=r"^([A-Za-z0-9.-]+(:[0-9]{1,5})?(, ?[A-Za-z0-9.-]+(:[0-9]{1,5})?)*)?$",
        description="hosts of Jira to whose issues tickets may be linked, with commas between: shop.atlassian.net;"
        " empty: to none",
    )

    @property
    def issue_hosts(self) -> IssueHosts:
        """Where issues may be."""
        named = (host.strip().lower().removesuffix(":443") for host in self.tickets_issue_hosts.split(","))
        return IssueHosts(frozenset(host for host in named if host))

    @property
    def cord_address(self) -> str:
        """What the links of cords begin with."""
        return (self.cord_url or self.tickets_url).rstrip("/")

    @property
    def hosts(self) -> list[str]:
        """Host names that the pages answer to: those of their addresses, and this machine's."""
        addresses = self.tickets_url, self.cord_address
        return [*LOOPBACK_HOSTS, *(urlsplit(one).hostname or LOOPBACK[0] for one in addresses)]

    @model_validator(mode="after")
    def _is_closed(self) -> Self:
        if self.host not in LOOPBACK and not self.asks_to_sign_in:
            raise ValueError(
                f"ANDON_HOST={self.host} would show the tickets to anyone who reaches this port; use 127.0.0.1, or set"
                " ANDON_SIGN_IN to password, provider or proxy"
            )
        url = urlsplit(self.tickets_url)
        if self.asks_to_sign_in and url.scheme != "https" and url.hostname not in LOOPBACK:
            raise ValueError(
                f"ANDON_TICKETS_URL={self.tickets_url} would send passwords and sessions in the clear; use an https"
                " address"
            )
        return self
