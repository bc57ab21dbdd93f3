"""What all kinds of receivers have: where to, about what, and the request for one message."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

import httpx
import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.notifier.hooks.client import HookRequest
from services.notifier.hooks.issue_links import IssueLink
from services.notifier.hooks.message import HookEvent
from services.notifier.hooks.reasons import HOOK_REASONS
from shared.connectors.base.settings import resolve_secret
from shared.contracts.envelope import Message
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketData, TicketState

JSON = {"Content-Type": "application/json; charset=utf-8"}


class HookSettings(BaseModel):
    """One entry of the hooks file. Each kind adds its own fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    url: str = Field(
        repr=False,
        description="https://... to send to; use env:NAME or file:PATH (relative to this file's folder) where the"
        " address itself is a secret",
    )
    pipelines: list[str] = Field([], description="pipelines of the policy to send about; none named: all")
    reasons: list[NoticeReason] = Field(
        list(HOOK_REASONS), min_length=1, description=f"what to send: {', '.join(HOOK_REASONS)}"
    )
    timeout_seconds: float = Field(10, gt=0, le=60, description="time-out of one request")

    @field_validator("url")
    @classmethod
    def _resolve_url(cls, written: str) -> str:
        url = resolve_secret(written)
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            raise ValueError("is not an address; write https://host/path") from None
        if parsed.scheme not in ("https", "http") or not parsed.host:
            raise ValueError("is not an address; write https://host/path")
        if parsed.userinfo or parsed.fragment:
            raise ValueError("holds a user, a password or a #; remove that")
        return url

    @field_validator("reasons")
    @classmethod
    def _is_sent(cls, reasons: list[NoticeReason]) -> list[NoticeReason]:
        for reason in reasons:
            if reason not in HOOK_REASONS:
                raise ValueError(f"{reason} is for mails only; use {', '.join(HOOK_REASONS)}")
        return reasons

    @property
    def host(self) -> str:
        """As it may be shown: the rest of the address may be a secret."""
        return httpx.URL(self.url).host

    @property
    def is_encrypted(self) -> bool:
        return httpx.URL(self.url).scheme == "https"


HookSettingsT = TypeVar("HookSettingsT", bound=HookSettings)
HookMessageT = TypeVar("HookMessageT", bound=Message)


class Receiver(ABC, Generic[HookSettingsT, HookMessageT]):
    """One entry of the hooks file, checked."""

    kind: ClassVar[str]
    settings_type: ClassVar[type[HookSettings]]
    event_type: ClassVar[type[Message]] = HookEvent
    """Of the messages that wait for it."""

    def __init__(self, name: str, settings: HookSettingsT) -> None:
        self.name, self.settings = name, settings

    @abstractmethod
    def request(self, message_id: str, event: HookMessageT, now: datetime) -> HookRequest:
        """The request for a message. `message_id`: the same whenever it is sent again. `now`: of this attempt."""

    def address(self, event: HookMessageT) -> str:
        """Where a message goes."""
        return self.settings.url

    def link_of(self, facts: TicketData, was: TicketState | None) -> IssueLink | None:
        """What a change of a ticket is to a receiver that has issues; None: nothing. `was`: the state before it."""
        return None

    def wants(self, pipelines: set[str], reason: NoticeReason) -> bool:
        """Whether it is to hear of this, where a ticket is about one of these pipelines."""
        named = set(self.settings.pipelines)
        return reason in self.settings.reasons and (not named or bool(named & pipelines))


def posted(document: object) -> HookRequest:
    """A document as JSON."""
    return HookRequest(JSON, orjson.dumps(document))
