"""Delivery status notifications: which recipient a mail server gave up on, and why.

Sources: RFC 3464 (format), RFC 6533 (utf-8 types), RFC 3463 (status codes).
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.policy import compat32
from enum import StrEnum

from services.notifier.delivery.answers import ServerAnswer, Step, is_final
from services.notifier.domain.safe_text import one_line

_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_ORIGINAL_TYPES = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_CODE = re.compile(r"\b([245]\d\d)[ -]")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
MAX_WORDS = 500
# A report has a handful of parts; more are an attack.
MAX_PARTS = 50


class DsnAction(StrEnum):
    """What became of a mail to one recipient. `delayed`: the server goes on trying."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True)
class RecipientStatus:
    """One recipient of a notification. `status`: as `5.1.1`; `words`: of the server that refused, in one line."""

    recipient: str
    action: DsnAction
    status: str
    words: str

    @property
    def is_permanent(self) -> bool:
        """Whether the address takes no mails: a full mailbox, a block or a refused content may pass."""
        if self.action is not DsnAction.FAILED or not self.status.startswith("5"):
            return False
        code = _CODE.search(f"{self.words} ")
        return is_final(ServerAnswer(Step.RECIPIENT, int(code[1]) if code else 550, f"{self.status} {self._text}"))

    @property
    def _text(self) -> str:
        """The server's words without codes, of which the status is one."""
        return _CODE.sub("", _STATUS.sub("", self.words))


@dataclass(frozen=True)
class DeliveryReport:
    """One notification. `message_id`: of the mail that it is about, where it says."""

    recipients: tuple[RecipientStatus, ...]
    message_id: str | None


def parse_dsn(raw: bytes) -> DeliveryReport | None:
    """Read a notification. None: the mail is none, such as an answer of somebody on holiday."""
    try:
        mail = email.message_from_bytes(raw, policy=compat32)
        if mail.get_content_type() != "multipart/report" or not mail.is_multipart():
            return None
        parts = [part for part, _ in zip(mail.walk(), range(MAX_PARTS), strict=False)]
        status = next((part for part in parts if part.get_content_type() in _STATUS_TYPES), None)
        return None if status is None else DeliveryReport(tuple(_recipients(status)), _original_id(parts))
    except (ValueError, LookupError, RecursionError):
        # Bytes that the library cannot take apart, or put together again.
        return None


def _recipients(status: Message) -> Iterator[RecipientStatus]:
    """The groups of fields after the first one, which is about the mail."""
    for group in _groups(status):
        recipient = _address(group.get("Final-Recipient")) or _address(group.get("Original-Recipient"))
        action = next((one for one in DsnAction if one == str(group.get("Action", "")).strip().lower()), None)
        if recipient and action:
            words = _words(group)
            yield RecipientStatus(recipient, action, _status(str(group.get("Status", "")), words), words)


def _groups(status: Message) -> list[Message]:
    """Blocks of fields with a blank line between. The library parses the blocks of one type, not of all."""
    content = status.get_payload()
    if isinstance(content, list):
        text = "\n\n".join(part.as_string() for part in content if isinstance(part, Message))
    else:
        decoded = status.get_payload(decode=True)
        text = decoded.decode("utf-8", "replace") if isinstance(decoded, bytes) else ""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n"))
    return [email.message_from_string(block.strip(), policy=compat32) for block in blocks]


def _address(field: object) -> str | None:
    """`rfc822; head@sales.example`"""
    text = one_line(str(field or "")).partition(";")[2].strip().strip("<>")
    return text if "@" in text else None


def _words(group: Message) -> str:
    """`smtp; 550 5.1.1 unknown user` without its type."""
    text = one_line(str(group.get("Diagnostic-Code", "")), MAX_WORDS)
    kind, semicolon, words = text.partition(";")
    return words.strip() if semicolon and " " not in kind.strip() else text


def _status(field: str, words: str) -> str:
    """The status; where it says nothing more than that it failed, the one in the server's words."""
    own, told = _STATUS.search(field), _STATUS.search(words)
    if own is not None and (own[2], own[3]) != ("0", "0"):
        return own[0]
    if told is not None and (own is None or told[1] == own[1]):
        return told[0]
    return own[0] if own else ""


def _original_id(parts: list[Message]) -> str | None:
    """The Message-ID in the part that holds the returned mail, or its headers."""
    for part in parts:
        if part.get_content_type() in _ORIGINAL_TYPES:
            content = part.get_payload()
            inner = content[0] if isinstance(content, list) and content else content
            text = inner if isinstance(inner, Message) else email.message_from_string(str(inner), policy=compat32)
            found = _MESSAGE_ID.search(str(text.get("Message-ID", "")))
            if found:
                return found[0]
    return None
