"""What a mail server's answer means: which ones refuse this mail for good, and which concern our settings.

Sources: RFC 5321 4.2 (codes), RFC 3463 and the IANA registry (enhanced codes), the texts of Postfix, Exim, Exchange,
Gmail, qmail and hMailServer. When in doubt a mail waits: one that is dropped by mistake is a lost ticket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """The part of the SMTP dialogue that a server answers."""

    CONNECT = "connecting"
    SENDER = "MAIL FROM"
    RECIPIENT = "RCPT TO"
    DATA = "DATA"
    CONTENT = "content"


@dataclass(frozen=True)
class ServerAnswer:
    """One answer of a mail server. `text`: without the code, one line or several."""

    step: Step
    code: int
    text: str


# Enhanced codes (subject, detail) of class 5. Absent ones are about the sender, routes, protocol, security or policy.
_BAD_RECIPIENT = {(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 6), (1, 10), (2, 1)}
_TOO_LARGE = {(2, 3), (3, 4)}
_CONTENT_SUBJECT = 6
# These say no more than the code itself.
_UNSPECIFIC = {None, (0, 0)}
_RECIPIENT_CODES = {550, 551, 553, 556}
_CONTENT_CODES = {550, 554}
_STORAGE_CODE = 552

_ENHANCED = re.compile(r"(?:^|[\s(\[#])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)", re.MULTILINE)
_MAILBOX = re.compile(r"\S+@\S+")
_SIZE = re.compile(r"\bsize\b|too (?:large|big|long)|\blength\b", re.IGNORECASE)
# Words of refusals that pass with time, or with other settings. Many servers send them under a recipient's code.
_NOT_THE_MAIL = re.compile(
    r"relay(?! recipient table)|rcpthosts|authenti|\bauth\b|\blog ?in\b|sign.?in|\bsender\b|mail from|\bhelo\b|\behlo\b"
    r"|\bspf\b|dkim|dmarc|(?:black|block|deny|gr[ae]y).?list|\bblocked\b|\bbanned\b|reputation|spamhaus|dnsbl|\brbl\b"
    r"|quota|\bfull\b|insufficient|storage|too many|rate limit|try again|temporar|\blater\b|\bpolic(?:y|ies)\b"
    r"|access denied|not permitted|(?:not|n't) allowed to|delivery is not allowed|client host|reverse dns|\bptr\b"
    r"|\btls\b|starttls|encrypt|your (?:ip|host|server|network|domain)",
    re.IGNORECASE,
)


def is_final(answer: ServerAnswer) -> bool:
    """Whether it refuses this recipient or this content, and would do so again."""
    if not 500 <= answer.code < 600 or answer.step in (Step.CONNECT, Step.DATA):
        return False
    kind, subject, detail = _enhanced(answer.text)
    if kind in ("2", "4"):
        return False
    enhanced = None if kind is None else (subject, detail)
    if _is_too_large(answer, enhanced):
        return True
    if answer.step is Step.SENDER or _NOT_THE_MAIL.search(_MAILBOX.sub("", answer.text)):
        return False
    if enhanced in _UNSPECIFIC:
        return answer.code in (_RECIPIENT_CODES if answer.step is Step.RECIPIENT else _CONTENT_CODES)
    return enhanced in _BAD_RECIPIENT or (answer.step is Step.CONTENT and subject == _CONTENT_SUBJECT)


def _enhanced(text: str) -> tuple[str | None, int, int]:
    found = _ENHANCED.search(text)
    return (found[1], int(found[2]), int(found[3])) if found else (None, 0, 0)


def _is_too_large(answer: ServerAnswer, enhanced: tuple[int, int] | None) -> bool:
    """552 alone means a full mailbox as well as a mail over the limit."""
    plain = enhanced in _UNSPECIFIC and answer.code == _STORAGE_CODE and _SIZE.search(answer.text) is not None
    return plain or enhanced in _TOO_LARGE
