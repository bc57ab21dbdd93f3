"""Both replicas are killed (-9) in the middle of a dialogue: others send the mail, with the same Message-ID."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import asyncpg
import pytest

from tests.integration.notifier.test_sending import NotifierRig, all_ended, id_of
from tests.support.problems import ticket_event
from tests.support.processes import ServiceProcess
from tests.support.sink import Sink, sink
from tests.support.smtp_wire import SmtpFault, SmtpStep, smtp_wire
from tests.support.waiting import eventually


@pytest.fixture
def mails() -> Iterator[Sink]:
    with sink() as server:
        yield server


def two_replicas(line: NotifierRig) -> list[ServiceProcess]:
    """They start at the same time."""
    started = [ServiceProcess("notifier", line.environment, line.folder).start() for _ in range(2)]
    return [one.ready(within=120) for one in started]


@pytest.mark.parametrize(
    ("step", "copies"),
    # Before the end of the content the server has no mail; between its 250 and our mark it has one.
    [(SmtpStep.CONTENT, 1), (SmtpStep.ANSWER, 2)],
)
async def test_a_mail_survives_the_death_of_all_replicas(
    kafka: str, dsn: str, prefix: str, tmp_path: Path, mails: Sink, step: SmtpStep, copies: int
) -> None:
    line = NotifierRig(kafka, dsn, prefix, tmp_path, mails)
    async with smtp_wire(mails.port, step, SmtpFault.ABORT, 1) as (wire, port):
        line.environment["ANDON_SMTP_PORT"] = str(port)
        victims = two_replicas(line)

        def kill() -> None:
            for victim in victims:
                victim.send_signal(SIGKILL)

        wire.on_break = kill
        await line.publish(ticket_event())
        await eventually(lambda: asyncio.sleep(0, wire.left), lambda left: left == 0)
        for victim in victims:
            victim.kill()
        others = two_replicas(line)
        # Claims of the dead run out: the test does not wait as long.
        connection = await asyncpg.connect(line.dsn)
        await connection.execute("UPDATE notices.mail SET claimed_until = now() WHERE state = 'waiting'")
        await connection.close()
        await all_ended(line, 1)
        for other in others:
            other.kill()

    assert mails.ids() == [id_of(ticket_event())] * copies
