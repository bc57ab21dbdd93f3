"""What became of a mail, as a message on `improvement.notices`."""

from __future__ import annotations

from datetime import datetime

from shared.contracts.envelope import content_id
from shared.contracts.notices import NoticeData, NoticeEvent, NoticeReason, NoticeResult
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import Record


def result_message(topic: str, row: Record, result: NoticeResult, detail: str | None, now: datetime) -> OutgoingMessage:
    """The message about one notice. `row`: its name, ticket, problem key and reason, the Message-ID of its mail
    and the role of its recipient.
    """
    data = NoticeData(
        notice=row["name"],
        ticket=row["ticket"],
        reason=NoticeReason(row["reason"]),
        result=result,
        at=now,
        detail=detail,
        message_id=row["message_id"],
        key=row["key"],
        role=row["role"] or None,
    )
    event = NoticeEvent.new(
        id=content_id(data.notice, result.value, data.message_id),
        source="andon/notifier",
        subject=str(row["ticket"]),
        time=now,
        data=data,
    )
    return OutgoingMessage.of(topic, event)
