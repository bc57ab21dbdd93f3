"""Slack's incoming webhooks: blocks of plain text, and a button that is a link.

Nothing is marked up, so that no name in a CRM makes a link or calls a channel.
Source: Slack's reference of Block Kit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from services.notifier.hooks.client import HookRequest
from services.notifier.hooks.message import HookEvent
from services.notifier.hooks.receivers.base import HookSettings, Receiver, posted
from services.notifier.hooks.receivers.chat import OPEN_TICKET, ChatText, chat_text


class SlackHookSettings(HookSettings):
    """The address that Slack shows for an incoming webhook is a secret."""


class SlackReceiver(Receiver[SlackHookSettings, HookEvent]):
    kind: ClassVar[str] = "slack"
    settings_type = SlackHookSettings

    def request(self, message_id: str, event: HookEvent, now: datetime) -> HookRequest:
        text = chat_text(event.data)
        # Notifications show `text`, which Slack marks up.
        return posted({"text": escaped(f"{text.headline}: {text.lines[0]}"), "blocks": _blocks(text)})


def escaped(text: str) -> str:
    """Text without links, mentions and commands."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _blocks(text: ChatText) -> list[dict[str, Any]]:
    button = {"type": "button", "text": _plain(OPEN_TICKET), "url": text.url}
    return [
        {"type": "header", "text": _plain(text.headline)},
        *({"type": "section", "text": _plain(line)} for line in text.lines),
        {"type": "context", "elements": [_plain(text.where)]},
        {"type": "actions", "elements": [button]},
    ]


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
