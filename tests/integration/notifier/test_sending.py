"""A real notifier, Kafka, Postgres and SMTP server: each mail is sent once, through outages, refusals and kills."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer

from services.demo.server import tail
from shared.contracts.notices import NoticeEvent
from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import TicketChange, TicketEvent, TicketOutcome, TicketState
from shared.contracts.topics import NOTICES, TICKETS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from tests.support import notices
from tests.support.problems import POLICY, day, ticket_event
from tests.support.processes import ServiceProcess
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually

NOTICES_AND_MAILS = "SELECT ticket, seq, state FROM notices.notice JOIN notices.mail ON mail.id = notice.mail"


class NotifierRig:
    """The surroundings of one notifier."""

    def __init__(self, kafka: str, dsn: str, prefix: str, folder: Path, mails: Sink) -> None:
        self.kafka, self.dsn, self.prefix, self.mails = kafka, dsn, prefix, mails
        (folder / "policy.yaml").write_text(POLICY)
        self.environment = {
            "ANDON_KAFKA": kafka,
            "ANDON_POSTGRES": dsn,
            "ANDON_TOPIC_PREFIX": prefix,
            "ANDON_POLICY": str(folder / "policy.yaml"),
            "ANDON_SMTP_PORT": str(mails.port),
            "ANDON_NOTIFIER_MAIL_EVERY_SECONDS": "0",
        }
        self.folder = folder

    def replica(self) -> ServiceProcess:
        return ServiceProcess("notifier", self.environment, self.folder).start().ready()

    async def publish(self, *events: TicketEvent | bytes) -> None:
        publisher = Publisher(KafkaAccess(self.kafka))
        values = [e if isinstance(e, bytes) else e.to_json() for e in events]
        keys = [b"1" if isinstance(e, bytes) else str(e.data.ticket).encode() for e in events]
        await publisher.publish_all(
            [OutgoingMessage(self.prefix + TICKETS, key, value) for key, value in zip(keys, values, strict=True)]
        )
        await publisher.stop()

    async def sent(self, count: int) -> list[str]:
        async def ids() -> list[str]:
            return self.mails.ids()

        return await eventually(ids, lambda found: len(found) >= count, 30)

    async def rows(self, query: str) -> list[Any]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    async def results(self, count: int) -> list[NoticeEvent]:
        """The first events on improvement.notices."""
        consumer = AIOKafkaConsumer(
            self.prefix + NOTICES, bootstrap_servers=self.kafka, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        found = [NoticeEvent.model_validate_json((await consumer.getone()).value) for _ in range(count)]
        await consumer.stop()
        return found


@pytest.fixture
def mails() -> Iterator[Sink]:
    with sink() as server:
        yield server


@pytest.fixture
async def line(kafka: str, dsn: str, prefix: str, tmp_path: Path, mails: Sink) -> NotifierRig:
    return NotifierRig(kafka, dsn, prefix, tmp_path, mails)


@pytest.fixture
async def notifier(line: NotifierRig) -> AsyncIterator[ServiceProcess]:
    process = line.replica()
    yield process
    process.kill()


def id_of(event: TicketEvent) -> str:
    """The Message-ID of the mail about one change."""
    return notices.id_of(event.data)


async def all_ended(line: NotifierRig, count: int) -> None:
    """Wait until this many mails were sent, refused or dropped, and none waits."""

    async def ended() -> tuple[int, int]:
        rows = await line.rows("SELECT state = 'waiting' AS waits FROM notices.mail")
        return len(rows), sum(row["waits"] for row in rows)

    await eventually(ended, lambda found: found[0] >= count and found[1] == 0)


async def test_each_change_is_sent_once_in_the_order_of_its_ticket(line: NotifierRig, notifier: ServiceProcess) -> None:
    over = ProblemInterval(opened_at=day(0), cleared_at=day(1), peak=12)
    first = ticket_event()
    await line.publish(first, first)
    await line.sent(1)
    cleared = ticket_event(TicketChange.CLEARED, seq=2, problem=over)
    await line.publish(cleared, ticket_event(TicketChange.CLOSED, seq=3), first)

    ids = await line.sent(2)
    await all_ended(line, 2)

    assert ids == [id_of(first), id_of(cleared)]
    results = [r.data for r in await line.results(2)]
    assert [(r.result.value, r.key) for r in results] == [("sent", "aging/new/proposal")] * 2
    assert [str(mail["To"]) for mail in line.mails.mails] == ["Head of new business <head@sales.example>"] * 2


async def test_ages_on_a_business_clock_are_working_days(line: NotifierRig, notifier: ServiceProcess) -> None:
    await line.publish(ticket_event(stage="legal"))
    await line.sent(1)

    assert "Deal 0: 90 working days" in line.mails.raw[0].decode()


async def test_a_problem_that_is_over_before_the_mail_server_is_back_gets_one_mail(
    line: NotifierRig, notifier: ServiceProcess
) -> None:
    line.mails.stop()
    await line.publish(ticket_event())

    async def tried() -> list[Any]:
        return await line.rows("SELECT FROM notices.mail WHERE attempts > 0 AND claimed_until IS NULL")

    await eventually(tried, bool)
    over = ProblemInterval(opened_at=day(0), cleared_at=day(1), peak=12)
    await line.publish(ticket_event(TicketChange.CLEARED, seq=2, problem=over))

    async def merged() -> list[Any]:
        return await line.rows("SELECT FROM notices.notice WHERE reason = 'opened-and-cleared'")

    await eventually(merged, bool)
    line.mails.start()
    ids = await line.sent(1)
    await all_ended(line, 1)

    assert ids == [id_of(ticket_event())]
    assert "is over already" in line.mails.raw[0].decode()


async def test_a_mail_that_a_server_may_have_keeps_its_content_and_later_changes_get_another(
    line: NotifierRig, notifier: ServiceProcess
) -> None:
    line.mails.on_mail = line.mails.hang_up
    await line.publish(ticket_event())
    await line.sent(1)

    async def tried() -> list[Any]:
        return await line.rows("SELECT FROM notices.mail WHERE attempts > 0 AND claimed_until IS NULL")

    await eventually(tried, bool)
    over = ProblemInterval(opened_at=day(0), cleared_at=day(1), peak=12)
    await line.publish(ticket_event(TicketChange.CLEARED, seq=2, problem=over))
    line.mails.on_mail = lambda: None
    await all_ended(line, 2)

    by_id: dict[str, set[str]] = {}
    for mail in line.mails.mails:
        by_id.setdefault(str(mail["Message-ID"]), set()).add(mail.get_body(("plain",)).get_content())
    assert [len(text) for text in by_id.values()] == [1, 1]


async def test_a_retracted_problem_is_withdrawn_if_it_was_reported_and_else_not_reported(
    line: NotifierRig, notifier: ServiceProcess
) -> None:
    why = "late events show that it never was"
    closed = {"state": TicketState.CLOSED, "outcome": TicketOutcome.RETRACTED, "reason": why, "chart": False}
    opened = [ticket_event(), ticket_event(ticket=2)]
    line.mails.answer = lambda raw: "451 come later" if b"ticket-2-" in raw else "250 kept"
    await line.publish(*opened)
    await line.sent(1)

    async def tried() -> list[Any]:
        return await line.rows(f"{NOTICES_AND_MAILS} WHERE ticket = 2 AND attempts > 0 AND claimed_until IS NULL")

    await eventually(tried, bool)
    await line.publish(*(ticket_event(TicketChange.CLOSED, number, 2, **closed) for number in (1, 2)), *opened)
    await line.sent(2)
    await all_ended(line, 3)

    rows = await line.rows(f"{NOTICES_AND_MAILS} ORDER BY ticket, seq")
    assert [tuple(row) for row in rows] == [(1, 1, "sent"), (1, 2, "sent"), (2, 1, "dropped")]
    text = line.mails.mails[1].get_body(("plain",)).get_content()
    assert (why in text, "It began" in text, "What to do" in text) == (True, False, False)


async def test_a_ticket_that_closes_drops_the_mail_that_was_reported_as_waiting(
    line: NotifierRig, notifier: ServiceProcess
) -> None:
    line.mails.answers["RCPT"] = "452 4.2.2 mailbox full"
    await line.publish(ticket_event())

    async def tried() -> list[Any]:
        return await line.rows("SELECT FROM notices.mail WHERE attempts > 0 AND claimed_until IS NULL")

    await eventually(tried, bool)
    closed = {"state": TicketState.CLOSED, "outcome": TicketOutcome.WONT_FIX, "reason": "no", "chart": False}
    await line.publish(ticket_event(TicketChange.CLOSED, seq=2, **closed))

    results = [(r.data.notice.rpartition("-")[0], r.data.result.value) for r in await line.results(2)]

    assert results == [("1-1", "waiting"), ("1-1", "dropped")]


async def test_a_ticket_without_an_owner_causes_no_mail_and_this_is_published_and_counted(
    line: NotifierRig, notifier: ServiceProcess
) -> None:
    await line.publish(ticket_event(pipeline="gone"), ticket_event(TicketChange.ACKNOWLEDGED, seq=2, pipeline="gone"))

    (result,) = await line.results(1)

    assert (result.data.result.value, result.data.detail) == ("refused", "no owner in the policy")
    assert await line.rows("SELECT state FROM notices.mail WHERE state <> 'refused'") == []
    metrics = await asyncio.to_thread(notifier.get, "/metrics")
    assert 'andon_notifier_mails_total{reason="opened",result="unowned"} 1.0' in metrics
    assert line.mails.mails == []


async def test_a_refusal_is_recorded_and_published_while_other_mails_are_sent(
    line: NotifierRig, notifier: ServiceProcess
) -> None:
    line.mails.answer = lambda raw: "550 no such user" if b"ticket-1-1-" in raw else "250 kept"
    await line.publish(ticket_event(), ticket_event(ticket=2))

    await all_ended(line, 2)

    assert {r.data.ticket: (r.data.result.value, r.data.detail or "") for r in await line.results(2)} == {
        1: ("refused", "content: 550 no such user"),
        2: ("sent", ""),
    }
    assert [row["attempts"] for row in await line.rows("SELECT attempts FROM notices.mail")] == [1, 1]


async def test_an_unwritable_mail_is_refused_and_delays_no_other(line: NotifierRig, notifier: ServiceProcess) -> None:
    await line.publish(ticket_event(chart_png="no picture"), ticket_event(ticket=2))

    await all_ended(line, 2)

    assert {r.data.ticket: r.data.result.value for r in await line.results(2)} == {1: "refused", 2: "sent"}


async def test_a_deferred_mail_is_tried_again_with_the_same_id(line: NotifierRig, notifier: ServiceProcess) -> None:
    answers = iter(["451 come later", "451 come later"])
    line.mails.answer = lambda raw: next(answers, "250 kept")
    await line.publish(ticket_event())

    await line.sent(1)
    await all_ended(line, 1)

    assert [row["attempts"] for row in await line.rows("SELECT attempts FROM notices.mail")] == [3]


async def test_killed_before_marking_a_mail_it_sends_it_again_with_the_same_id(line: NotifierRig) -> None:
    victim = line.replica()
    line.mails.on_mail = victim.kill
    await line.publish(ticket_event())
    await line.sent(1)
    line.mails.on_mail = lambda: None
    connection = await asyncpg.connect(line.dsn)
    await connection.execute("UPDATE notices.mail SET claimed_until = now() WHERE state = 'waiting'")
    await connection.close()

    second = line.replica()
    ids = await line.sent(2)
    await all_ended(line, 1)
    second.kill()

    assert ids == [id_of(ticket_event())] * 2


async def test_two_replicas_send_each_mail_once(line: NotifierRig) -> None:
    replicas = [line.replica(), line.replica()]
    await line.publish(*(ticket_event(ticket=number) for number in range(1, 41)))

    await line.sent(40)
    await all_ended(line, 40)
    for replica in replicas:
        replica.kill()

    assert len(set(line.mails.ids())) == len(line.mails.ids()) == 40


async def test_a_record_that_cannot_be_handled_goes_to_the_dead_letters_and_others_are_sent(
    line: NotifierRig,
) -> None:
    connection = await asyncpg.connect(line.dsn)
    await connection.execute("ALTER TABLE notices.notice ADD CHECK (ticket <> 2)")
    await connection.close()
    await line.publish(*(ticket_event(ticket=number) for number in (1, 2, 3)))

    process = line.replica()
    ids = await line.sent(2)
    metrics = await asyncio.to_thread(process.get, "/metrics")
    process.kill()

    assert sorted(ids) == sorted(id_of(ticket_event(ticket=number)) for number in (1, 3))
    assert "andon_notifier_dead_letters_total 1.0" in metrics


async def test_invalid_records_go_to_the_dead_letters_and_others_are_sent(
    line: NotifierRig, notifier: ServiceProcess
) -> None:
    await line.publish(b"{", b"[" * 10_000, b'{"type": 4}', ticket_event(), ticket_event(ticket=9, pipeline="gone"))

    assert await line.sent(1) == [id_of(ticket_event())]

    async def metric() -> bool:
        return "andon_notifier_dead_letters_total 3.0" in await asyncio.to_thread(notifier.get, "/metrics")

    assert await eventually(metric), tail(notifier.log, 20)
