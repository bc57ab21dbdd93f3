"""Jira: the issue that a ticket is linked to links back to the ticket, as a remote link.

Source: Jira Cloud platform REST API v3, "Issue remote links": POST with a `globalId` creates the link (201), or updates
the one that has it (200).
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import ClassVar

from pydantic import Field, field_validator

from services.notifier.domain.safe_text import one_line
from services.notifier.hooks.client import HookRequest
from services.notifier.hooks.issue_links import IssueLink, issue_link
from services.notifier.hooks.receivers.base import HookSettings, Receiver, posted
from shared.connectors.base.settings import resolve_secret
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketData, TicketState

MAX_TITLE = 255


class JiraHookSettings(HookSettings):
    """A Jira site. `url`: its base, as https://shop.atlassian.net."""

    user: str = Field("", description="mail address of the token's account, for Jira Cloud; empty: a bearer token")
    token: str = Field(min_length=1, repr=False, description="API token; use env:NAME or file:PATH")

    @field_validator("token")
    @classmethod
    def _resolve_token(cls, written: str) -> str:
        return resolve_secret(written)

    @field_validator("url")
    @classmethod
    def _is_base(cls, url: str) -> str:
        if "?" in url:
            raise ValueError("is the base of a Jira site, such as https://shop.atlassian.net; remove what follows ?")
        return url

    @property
    def base(self) -> str:
        return self.url.rstrip("/")


class JiraReceiver(Receiver[JiraHookSettings, IssueLink]):
    """Hears of tickets that are linked to an issue of this site only."""

    kind: ClassVar[str] = "jira"
    settings_type = JiraHookSettings
    event_type = IssueLink

    def wants(self, pipelines: set[str], reason: NoticeReason) -> bool:
        return False

    def link_of(self, facts: TicketData, was: TicketState | None) -> IssueLink | None:
        link = issue_link(facts, was)
        named, about = set(self.settings.pipelines), {facts.pipeline, *facts.pipelines}
        is_here = link is not None and self._key(link) is not None
        return link if is_here and (not named or named & about) else None

    def address(self, event: IssueLink) -> str:
        key = self._key(event)
        if key is None:
            raise ValueError("the issue is of another site")
        return f"{self.settings.base}/rest/api/3/issue/{key}/remotelink"

    def request(self, message_id: str, event: IssueLink, now: datetime) -> HookRequest:
        document = {
            # Known already: Jira changes that link.
            "globalId": event.url,
            "application": {"type": "andon", "name": "Andon"},
            "relationship": "is improved by",
            "object": {
                "url": event.url,
                "title": one_line(event.title, MAX_TITLE),
                "summary": one_line(event.sentence, MAX_TITLE),
                "status": {"resolved": event.is_closed},
            },
        }
        sent = posted(document)
        return HookRequest(
            {**sent.headers, "Accept": "application/json", "Authorization": self._signed_in()}, sent.body
        )

    def _key(self, link: IssueLink) -> str | None:
        """The key of an issue of this site; None: it is of another."""
        base, _, key = link.issue.rpartition("/browse/")
        return key if base.lower() == self.settings.base.lower() else None

    def _signed_in(self) -> str:
        if not self.settings.user:
            return f"Bearer {self.settings.token}"
        return f"Basic {b64encode(f'{self.settings.user}:{self.settings.token}'.encode()).decode()}"
