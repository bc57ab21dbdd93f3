"""What a message in a chat says: a headline, a few lines, and a link."""

from __future__ import annotations

from dataclasses import dataclass

from services.notifier.domain.safe_text import one_line
from services.notifier.hooks.message import HookData
from shared.contracts.notices import NoticeReason

OPEN_TICKET = "Open the ticket"
# A limit of Slack's headers.
MAX_HEADLINE = 150
MAX_LINE = 600
_ASKS = (
    NoticeReason.OPENED,
    NoticeReason.GREW,
    NoticeReason.REOPENED,
    NoticeReason.ESCALATED,
    NoticeReason.CORD,
    NoticeReason.DECAYED,
)
_OF_STUDY = (NoticeReason.VERDICT, NoticeReason.HELD, NoticeReason.FADING, NoticeReason.DECAYED)


@dataclass(frozen=True)
class ChatText:
    """`where`: pipeline and stage. `lines`: plain text, each one line."""

    headline: str
    lines: tuple[str, ...]
    where: str
    url: str


def chat_text(data: HookData) -> ChatText:
    """The text of a message."""
    lines = [data.title, data.sentence]
    if data.reason in _OF_STUDY and data.verdict_sentence:
        lines = [data.title, data.verdict_sentence]
    if data.reason in _ASKS:
        lines.append(data.asks_for)
    where = f"{data.pipeline_name}, {data.stage_name}" if data.stage_name else data.pipeline_name
    return ChatText(
        one_line(data.headline, MAX_HEADLINE),
        tuple(line for line in (one_line(line, MAX_LINE) for line in lines) if line),
        one_line(f"Ticket {data.ticket}: {where}", MAX_LINE),
        data.url,
    )
