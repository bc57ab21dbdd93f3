"""What a run of the canary takes from the topics: its own, in any order, and nothing of others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from services.canary.run import CanaryRun, CanaryStep
from shared.contracts.canary import CANARY, CANARY_DEAL, CANARY_STAGE
from shared.contracts.events import DealData, DealEvent, EventType
from shared.contracts.notices import NoticeData, NoticeEvent, NoticeReason, NoticeResult
from shared.contracts.problems import ProblemEvent, ProblemInterval, ProblemReason
from shared.contracts.tickets import TicketChange
from shared.contracts.topics import EVENTS, NOTICES, PROBLEMS, TICKETS
from shared.policy.canary import canary_policy
from tests.support import problems

ENTERED = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY = f"{canary_policy().pipelines[CANARY].rules[0].kind}/{CANARY}/{CANARY_STAGE}"
Topics = dict[str, bytes]


def new_run() -> CanaryRun:
    return CanaryRun("mine-", ENTERED)


def event(name: str = "mine-moved", deal: str = CANARY_DEAL, at: datetime = ENTERED) -> bytes:
    source = deal.partition(":")[0]
    made = DealEvent.new(id=name, source=source, type=EventType.MOVED, subject=deal, time=at, data=DealData())
    return made.to_json()


def problem(opened_at: datetime = ENTERED, pipeline: str = CANARY, key: str = KEY) -> bytes:
    data = problems.problem(ProblemReason.OPENED, key=key, pipeline=pipeline, stage=CANARY_STAGE)
    return ProblemEvent.of("andon/detector", data.model_copy(update={"opened_at": opened_at}), 0).to_json()


def ticket(opened_at: datetime = ENTERED, number: int = 7, change: TicketChange = TicketChange.OPENED) -> bytes:
    interval = ProblemInterval(opened_at=opened_at, cleared_at=None, peak=1)
    made = problems.ticket_event(change, number, key=KEY, pipeline=CANARY, problem=interval)
    return made.to_json()


def mail(result: NoticeResult = NoticeResult.SENT, number: int = 7, key: str = KEY, detail: str | None = None) -> bytes:
    data = NoticeData(
        notice="n",
        ticket=number,
        reason=NoticeReason.OPENED,
        result=result,
        message_id="m",
        at=ENTERED,
        key=key,
        detail=detail,
    )
    return NoticeEvent.new(source="andon/notifier", subject=str(number), time=ENTERED, data=data).to_json()


def own() -> Topics:
    return {EVENTS: event(), PROBLEMS: problem(), TICKETS: ticket(), NOTICES: mail()}


@pytest.mark.parametrize("order", list(permutations((EVENTS, PROBLEMS, TICKETS, NOTICES))))
def test_messages_of_the_topics_come_in_any_order(order: tuple[str, ...]) -> None:
    run = new_run()
    run.reached(CanaryStep.WEBHOOK, 0.5)
    for at, topic in enumerate(order, 1):
        assert run.missing is not None
        run.take(topic, own()[topic], at)

    assert run.missing is None
    assert min(run.seconds(0).values()) >= 0
    assert sum(run.seconds(0).values()) == 4


@pytest.mark.parametrize(
    ("lost", "step"),
    [
        (EVENTS, CanaryStep.EVENT),
        (PROBLEMS, CanaryStep.PROBLEM),
        (TICKETS, CanaryStep.TICKET),
        (NOTICES, CanaryStep.MAIL),
    ],
)
def test_the_first_step_that_was_not_seen_is_named(lost: str, step: CanaryStep) -> None:
    run = new_run()
    run.reached(CanaryStep.WEBHOOK, 0)
    for topic, value in own().items():
        if topic != lost:
            run.take(topic, value, 1)

    assert run.missing is step


def test_what_is_not_its_own_says_nothing() -> None:
    run, earlier = new_run(), ENTERED - timedelta(minutes=5)
    run.reached(CanaryStep.WEBHOOK, 0)
    for topic, value in (
        (EVENTS, event(deal="erp:801")),
        (EVENTS, event(deal=f"erp:{CANARY}")),
        (EVENTS, f"no JSON about {CANARY}".encode()),
        (PROBLEMS, problem(earlier)),
        (PROBLEMS, problem(pipeline="new", key="aging/new/proposal")),
        (TICKETS, ticket(earlier)),
        (TICKETS, ticket(change=TicketChange.CLEARED)),
        (NOTICES, mail()),
        (NOTICES, mail(key="aging/new/proposal")),
    ):
        run.take(topic, value, 1)

    assert set(run.seen) == {CanaryStep.WEBHOOK}
    assert not run.is_disturbed


def test_a_mail_that_waits_is_not_sent_and_its_answer_is_told() -> None:
    run = new_run()
    run.take(TICKETS, ticket(), 1)
    run.take(NOTICES, mail(NoticeResult.WAITING, detail="connect: 421 busy"), 2)

    assert CanaryStep.MAIL not in run.seen
    assert run.answer == "waiting: connect: 421 busy"


def test_an_event_of_another_canary_disturbs() -> None:
    run = new_run()
    run.take(EVENTS, event("other-moved"), 1)

    assert run.is_disturbed
