"""Incoming webhooks of Microsoft Teams (Workflows): an Adaptive Card, and a button that is a link.

Its texts are runs of a RichTextBlock, which are not read as Markdown: no name in a CRM makes a link.
Source: Microsoft's reference of Adaptive Cards, version 1.4.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from services.notifier.hooks.client import HookRequest
from services.notifier.hooks.message import HookEvent
from services.notifier.hooks.receivers.base import HookSettings, Receiver, posted
from services.notifier.hooks.receivers.chat import OPEN_TICKET, ChatText, chat_text


class TeamsHookSettings(HookSettings):
    """The address that Teams shows for a workflow is a secret."""


class TeamsReceiver(Receiver[TeamsHookSettings, HookEvent]):
    kind: ClassVar[str] = "teams"
    settings_type = TeamsHookSettings

    def request(self, message_id: str, event: HookEvent, now: datetime) -> HookRequest:
        card = _card(chat_text(event.data))
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        return posted({"type": "message", "attachments": [attachment]})


def _card(text: ChatText) -> dict[str, Any]:
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _block(text.headline, size="large", weight="bolder"),
            *(_block(line) for line in text.lines),
            _block(text.where, isSubtle=True),
        ],
        "actions": [{"type": "Action.OpenUrl", "title": OPEN_TICKET, "url": text.url}],
    }


def _block(text: str, **look: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text} | look]}
