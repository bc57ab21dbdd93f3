"""All kinds of receivers."""

from __future__ import annotations

from typing import Any

from services.notifier.hooks.receivers.base import Receiver
from services.notifier.hooks.receivers.jira import JiraReceiver
from services.notifier.hooks.receivers.slack import SlackReceiver
from services.notifier.hooks.receivers.teams import TeamsReceiver
from services.notifier.hooks.receivers.webhook import SignedReceiver

AnyReceiver = Receiver[Any, Any]
KINDS: dict[str, type[AnyReceiver]] = {
    one.kind: one for one in (SignedReceiver, SlackReceiver, TeamsReceiver, JiraReceiver)
}
