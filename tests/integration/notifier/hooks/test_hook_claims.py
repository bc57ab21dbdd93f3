"""Claims of messages: by two replicas, and by one that dies between the answer and its mark."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from services.notifier.store.retention import prune
from shared.contracts.tickets import TicketChange
from tests.integration.notifier.hooks.conftest import HURRY, HookRig, MakeRig, is_all
from tests.support.problems import day, ticket_event
from tests.support.receiver import HookAnswered, HookReceiver, hook_receiver
from tests.support.waiting import eventually


async def fill(one: HookRig, tickets: int) -> None:
    """Three messages about each ticket."""
    for number in range(1, tickets + 1):
        for seq, what in enumerate((TicketChange.OPENED, TicketChange.GREW, TicketChange.CLEARED), 1):
            await one.handle(ticket_event(what, number, seq, at=day(seq)))


def order(server: HookReceiver) -> dict[int, list[int]]:
    """Numbers of changes that came, by ticket."""
    found: dict[int, list[int]] = {}
    for got in server.got:
        data = got.document["data"]
        found.setdefault(data["ticket"], []).append(data["seq"])
    return found


async def test_two_replicas_send_each_message_once_and_keep_the_order_of_each_ticket(rig: MakeRig) -> None:
    with hook_receiver() as server:
        server.usual = HookAnswered(seconds=0.01)
        one = rig(erp=f"url: '{server.url}'")
        await fill(one, 10)
        async with one.at_work(one.hooks, one.replica()):
            await eventually(one.states, is_all("sent"))

        assert order(server) == {number: [1, 2, 3] for number in range(1, 11)}


async def test_a_replica_that_dies_before_its_mark_leads_to_a_second_copy_with_the_same_id(rig: MakeRig) -> None:
    with hook_receiver() as server:
        one = rig(erp=f"url: '{server.url}'")
        await one.handle(ticket_event())
        # The receiver has it, and nobody marks it: what a killed process leaves behind.
        queue = one.hooks._workers[0]._queue
        delivery = await queue.claim()
        assert delivery is not None
        await one.hooks._workers[0]._ask(delivery)
        async with one.at_work(one.replica()):
            await asyncio.sleep(0.3)
            assert len(server.got) == 1
            await one.pool.execute(HURRY)
            await eventually(one.states, is_all("sent"), 60)

        assert len(server.got) == 2
        assert len(set(server.ids)) == 1
        assert not await queue.sent(delivery)


async def test_a_claim_that_was_taken_over_is_neither_deferred_nor_disables_what_is_not_its_own(rig: MakeRig) -> None:
    with hook_receiver() as server:
        one = rig(erp=f"url: '{server.url}'")
        await one.handle(ticket_event())
        worker = one.hooks._workers[0]
        first = await worker._queue.claim()
        await one.pool.execute(HURRY)
        other = one.replica()._workers[0]._queue
        # The Postgres of the tests may have started a moment ago.
        other._settle = timedelta()
        second = await other.claim()
        assert first is not None
        assert second is not None
        server.answers = [HookAnswered(400)]
        await worker._send(first)

        assert [(row["state"], row["answer"]) for row in await one.rows()] == [("waiting", None)]
        assert await one.pool.fetchval("SELECT claimed_until FROM hook_delivery") == second.claim


async def test_a_stop_waits_for_the_answer_and_marks(rig: MakeRig) -> None:
    with hook_receiver() as server:
        server.usual = HookAnswered(seconds=0.5)
        one = rig(erp=f"url: '{server.url}'")
        await one.handle(ticket_event())
        async with one.at_work():
            await eventually(lambda: asyncio.sleep(0, len(server.got)), lambda number: number == 1)

        assert is_all("sent")(await one.states())


async def test_old_messages_are_deleted_and_others_stay(rig: MakeRig) -> None:
    one = rig(erp="url: 'http://127.0.0.1:1/'")
    await fill(one, 1)
    await one.handle(ticket_event(ticket=2))
    await one.pool.execute(
        "UPDATE hook_delivery SET state = 'sent', ended_at = now() - interval '2 days' WHERE reason = 'opened'"
    )
    await one.pool.execute("UPDATE hook_delivery SET wanted_at = now() - interval '2 days' WHERE reason = 'grew'")

    await prune(one.pool, datetime.now(UTC) - timedelta(days=1), 100)

    assert await one.states() == [(1, "cleared", "waiting")]
