"""Parses any bytes as a mail, within bounds of time and memory.

The standard library takes time that grows with the square of a header's length, recurses in it, and compares each line
with the boundary of every part around it: a mail of 2 MB can take minutes and gigabytes. The words of a mail come first
in it, so only its beginning is parsed. Source: RFC 5322, section 2.1.1 (998 letters in a line); RFC 2046, section 5.1.
"""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import EmailPolicy
from itertools import islice

# Bytes that are parsed, letters of one header field, boundary lines.
MAX_PARSED, MAX_HEADER, MAX_BOUNDARIES = 256 * 1024, 1000, 40
_BOUNDARY = re.compile(rb"^--", re.MULTILINE)
# Parts that are mails of their own, which need no boundary to be nested.
_NESTED = re.compile(rb"^content-type:\s*message/", re.MULTILINE | re.IGNORECASE)


class _ShortHeaders(EmailPolicy):
    """Cuts header fields before anything reads them."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse([line[:MAX_HEADER] for line in sourcelines[:MAX_HEADER]])
        return name, value[:MAX_HEADER]


_POLICY = _ShortHeaders(linesep="\r\n")


def parse_mail(raw: bytes) -> EmailMessage:
    """The beginning of a mail. The library raises many kinds of errors, RecursionError among them."""
    head = raw[:MAX_PARSED]
    for line in (_BOUNDARY, _NESTED):
        beyond = next(islice(line.finditer(head), MAX_BOUNDARIES, None), None)
        head = head[: beyond.start()] if beyond else head
    message = message_from_bytes(head, policy=_POLICY)
    assert isinstance(message, EmailMessage)  # noqa: S101 (the policy makes it)
    return message
