"""The Thread-Index of a mail, by which Outlook and Exchange know its conversation.

Source: MS-OXOMSG 2.2.1.3 (PidTagConversationIndex) and MS-OXCMAIL (its header). A header block of 22 bytes: 1, the
upper bytes of the time at which the conversation began, a GUID; each reply appends a block of 5 bytes.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def thread_index(root: str, began: datetime, mail: str, sent: datetime) -> str:
    """The header of a mail. `root`: Message-ID of the thread's first mail, which was about something since `began`."""
    guid = hashlib.sha256(root.encode()).digest()[:16]
    header = b"\x01" + (_filetime(began) >> 16).to_bytes(6, "big")[1:] + guid
    return base64.b64encode(header if mail == root else header + _reply(mail, sent - began)).decode()


def _filetime(moment: datetime) -> int:
    """Tenths of microseconds since 1601."""
    return (moment - _FILETIME_EPOCH) // _TICK * 10


def _reply(mail: str, later: timedelta) -> bytes:
    """How much later it was sent, of which one bit says the precision, and a byte that tells replies apart."""
    ticks = max(0, later // _TICK * 10)
    shift, code = (18, 0) if ticks < 1 << 49 else (23, 1 << 31)
    return (code | ticks >> shift & 0x7FFFFFFF).to_bytes(4, "big") + hashlib.sha256(mail.encode()).digest()[:1]
