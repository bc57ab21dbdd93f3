"""Reminders and escalations reach receivers once, in the order of their ticket."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from shared.contracts.tickets import TicketChange, TicketState
from shared.policy import parse
from shared.postgres.pool import Pool
from tests.integration.notifier.hooks.conftest import MakeRig
from tests.support.notice_rig import NoticeRig
from tests.support.plan_facts import plan_facts
from tests.support.problems import POLICY, ticket_event

OWNER = "owner: {name: Head of new business, mail: head@sales.example}"
RULES = parse(POLICY.replace(OWNER, f"{OWNER}\n    ack_within: 4h"))
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


async def test_what_falls_due_is_written_once(rig: MakeRig, pool: Pool) -> None:
    one = rig(erp="url: 'http://127.0.0.1:1/'", quiet="url: 'http://127.0.0.1:1/', reasons: [verdict]")
    replicas = [await NoticeRig(pool, RULES, NOON, one.hooks.writer).begin() for _ in range(2)]
    await replicas[0].handle(ticket_event(at=NOON))
    for hours in (4, 5):
        for replica in replicas:
            await replica.at(NOON + timedelta(hours=hours))
    plan = plan_facts(change_date=date(2026, 3, 16), tasks=[{"what": "Tell all", "who": "x", "by": date(2026, 3, 12)}])
    planned = ticket_event(TicketChange.PLANNED, seq=2, at=NOON, state=TicketState.PLANNED, plan=plan)
    await replicas[0].handle(planned)
    for replica in replicas:
        await replica.at(datetime(2026, 3, 12, 8, tzinfo=UTC))

    assert [(row["hook"], row["reason"]) for row in await one.rows()] == [
        ("erp", "opened"),
        ("erp", "escalated"),
        ("erp", "plan-due"),
    ]
    titles = await pool.fetch("SELECT event -> 'data' ->> 'headline' AS headline FROM hook_delivery ORDER BY id")
    assert [row["headline"] for row in titles] == ["A problem was found", "Escalated", "The plan is due"]
