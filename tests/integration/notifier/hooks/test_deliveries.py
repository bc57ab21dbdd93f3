"""Messages to real HTTP servers: once, in order, again after failures, given up after three days."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from services.notifier.hooks.queue import DISABLED
from shared.contracts.tickets import TicketChange, TicketEvent, TicketOutcome, TicketState
from tests.integration.notifier.hooks.conftest import SECRET, HookRig, MakeRig, is_all
from tests.support.problems import day, ticket_event
from tests.support.receiver import HookAnswered, hook_receiver
from tests.support.waiting import eventually

LET_TIME_PASS = "UPDATE hook_delivery SET wanted_at = wanted_at - interval '73 hours'"


def change(number: int, what: TicketChange, seq: int, **fields: Any) -> TicketEvent:
    return ticket_event(what, number, seq, at=day(seq), **fields)


async def settled(rig: HookRig, state: str) -> None:
    await eventually(rig.states, is_all(state))


async def attempted(rig: HookRig, number: int) -> None:
    """Until the first message was tried this often, and is not being sent."""
    query = "SELECT attempts, claimed_until FROM hook_delivery ORDER BY id LIMIT 1"
    await eventually(lambda: rig.pool.fetchrow(query), lambda row: tuple(row) == (number, None))


async def test_a_change_is_sent_once_signed_and_not_again_when_it_is_read_again(rig: MakeRig) -> None:
    with hook_receiver() as server:
        one = rig(erp=f"url: '{server.url}'")
        opened = change(1, TicketChange.OPENED, 1)
        async with one.at_work():
            await one.handle(opened, opened, change(1, TicketChange.UPDATED, 2))
            await settled(one, "sent")
            await one.handle(opened)

        assert await one.states() == [(1, "opened", "sent")]
        (got,) = server.got
        assert Webhook(SECRET).verify(got.body, got.headers)["data"]["ticket"] == 1
        assert got.path == "/in"


async def test_only_the_pipelines_and_reasons_of_a_receiver_are_sent(rig: MakeRig) -> None:
    one = rig(erp="url: 'http://127.0.0.1:1/', reasons: [cleared], pipelines: [new]")
    other = ticket_event(TicketChange.CLEARED, 2, pipeline="old")

    await one.handle(change(1, TicketChange.OPENED, 1), change(1, TicketChange.CLEARED, 2), other)

    assert await one.states() == [(1, "cleared", "waiting")]


async def test_what_takes_something_back_goes_to_those_who_heard_of_it(rig: MakeRig) -> None:
    one = rig(all="url: 'http://127.0.0.1:1/'", few="url: 'http://127.0.0.1:1/', reasons: [cleared]")
    withdrawn = {"state": TicketState.CLOSED, "outcome": TicketOutcome.RETRACTED}

    await one.handle(change(1, TicketChange.OPENED, 1), change(1, TicketChange.CLOSED, 2, **withdrawn))

    assert [(row["hook"], row["reason"]) for row in await one.rows()] == [("all", "opened"), ("all", "cleared")]


async def test_a_ticket_keeps_its_order_and_others_do_not_wait_for_it(rig: MakeRig) -> None:
    with hook_receiver() as server:
        server.answers = [HookAnswered(400, body="bad")]
        one = rig(erp=f"url: '{server.url}'")
        await one.handle(
            change(1, TicketChange.OPENED, 1), change(1, TicketChange.GREW, 2), change(2, TicketChange.OPENED, 1)
        )
        async with one.at_work():
            await eventually(one.states, lambda found: found[2][2] == "sent")
            assert [row["state"] for row in await one.rows()] == ["waiting", "waiting", "sent"]
            await one.hurry()
            one.hooks.wake()
            await settled(one, "sent")

        about = [(got.document["data"]["ticket"], got.document["data"]["reason"]) for got in server.got]
        assert about == [(1, "opened"), (2, "opened"), (1, "opened"), (1, "grew")]
        assert server.ids[0] == server.ids[2]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (HookAnswered(500, body="broken\r\n\x1b[31m"), "500 broken [31m"),
        (HookAnswered(404, body="no_service"), "404 no_service"),
        (HookAnswered(302, {"Location": "http://127.0.0.1:1/"}), "302 a redirect, which is not followed"),
        (HookAnswered(200, seconds=3), "no answer within 0.5 s"),
        (HookAnswered(503, body="x" * 1_000_000), "503 xxx"),
    ],
)
async def test_every_failure_is_tried_again_with_the_same_id(rig: MakeRig, answer: HookAnswered, says: str) -> None:
    with hook_receiver() as server:
        server.answers = [answer]
        one = rig(erp=f"url: '{server.url}', timeout_seconds: 0.5")
        await one.handle(change(1, TicketChange.OPENED, 1))
        async with one.at_work():
            await attempted(one, 1)
            (row,) = await one.rows()
            assert (row["state"], row["answer"][: len(says)]) == ("waiting", says)
            assert len(row["answer"]) <= 300
            server.usual = HookAnswered(204, body="")
            await eventually(lambda: _sent_after_hurry(one), bool)

        assert len(set(server.ids)) == 1


async def _sent_after_hurry(one: HookRig) -> bool:
    """A short time-out may strike on a busy machine, too."""
    await one.hurry()
    one.hooks.wake()
    return is_all("sent")(await one.states())


async def test_a_receiver_that_is_down_gets_all_in_order_when_it_is_back(rig: MakeRig) -> None:
    with hook_receiver() as gone:
        url = gone.url
    one = rig(erp=f"url: '{url}'")
    await one.handle(change(1, TicketChange.OPENED, 1))
    async with one.at_work():
        await attempted(one, 1)
        (row,) = await one.rows()
        assert row["answer"].startswith("ConnectError")
    assert await one.pool.fetchval("SELECT failures FROM hook") == 1


async def test_retry_after_is_kept_and_holds_back_the_others_too(rig: MakeRig) -> None:
    with hook_receiver() as server:
        server.answers = [HookAnswered(429, {"Retry-After": "7200"})]
        one = rig(erp=f"url: '{server.url}'")
        await one.handle(change(1, TicketChange.OPENED, 1), change(2, TicketChange.OPENED, 1))
        async with one.at_work():
            await attempted(one, 1)
            await asyncio.sleep(0.2)

        assert len(server.got) == 1
        seconds = "SELECT extract(epoch FROM {} - clock_timestamp())::float8 FROM {}"
        assert 7000 < await one.pool.fetchval(seconds.format("min(due)", "hook_delivery WHERE attempts > 0")) <= 7200
        assert 7000 < await one.pool.fetchval(seconds.format("paused_until", "hook")) <= 7200


async def test_a_message_is_given_up_after_three_days_and_the_next_of_its_ticket_goes_out(rig: MakeRig) -> None:
    with hook_receiver() as server:
        server.answers = [HookAnswered(400, body="never")]
        one = rig(erp=f"url: '{server.url}'")
        await one.handle(change(1, TicketChange.OPENED, 1), change(1, TicketChange.GREW, 2))
        await one.pool.execute(LET_TIME_PASS)
        async with one.at_work():
            await eventually(one.states, lambda found: {state for _, _, state in found} == {"dead", "sent"})

        assert await one.states() == [(1, "opened", "dead"), (1, "grew", "sent")]
        assert (await one.rows())[0]["answer"] == "400 never"
        assert (
            one.registry.get_sample_value("andon_notifier_hook_deliveries_total", {"hook": "erp", "result": "dead"})
            == 1
        )


async def test_410_disables_the_receiver(rig: MakeRig) -> None:
    with hook_receiver() as server:
        server.answers = [HookAnswered(410, body="gone")]
        one = rig(erp=f"url: '{server.url}'")
        await one.handle(change(1, TicketChange.OPENED, 1), change(2, TicketChange.OPENED, 1))
        async with one.at_work():
            await settled(one, "dead")
            await one.handle(change(3, TicketChange.OPENED, 1))
            await eventually(one.states, lambda found: len(found) == 3 and is_all("dead")(found))
        await one.hooks.measure()

        assert len(server.got) == 1
        assert [row["answer"] for row in await one.rows()] == ["410 gone", DISABLED, DISABLED]
        assert one.registry.get_sample_value("andon_notifier_hook_disabled", {"hook": "erp"}) == 1
        assert one.registry.get_sample_value("andon_notifier_hook_dead", {"hook": "erp"}) == 3


async def test_a_slow_receiver_slows_nobody(rig: MakeRig) -> None:
    with hook_receiver() as slow, hook_receiver() as quick:
        slow.usual = HookAnswered(seconds=60)
        one = rig(slow=f"url: '{slow.url}', timeout_seconds: 8", quick=f"url: '{quick.url}'")
        tickets = range(1, 21)
        async with one.at_work():
            await one.handle(*(change(number, TicketChange.OPENED, 1) for number in tickets))
            await eventually(lambda: _count(one, "quick", "sent"), lambda number: number == len(tickets))
            assert await _count(one, "slow", "sent") == 0
            await one.pool.execute("DELETE FROM hook_delivery WHERE hook = 'slow' AND claimed_until IS NULL")


async def _count(one: HookRig, hook: str, state: str) -> int:
    query = "SELECT count(*) FROM hook_delivery WHERE hook = $1 AND state = $2"
    found: int = await one.pool.fetchval(query, hook, state)
    return found


async def test_a_message_of_another_version_stops_no_other(rig: MakeRig) -> None:
    with hook_receiver() as server:
        one = rig(erp=f"url: '{server.url}'")
        await one.handle(change(1, TicketChange.OPENED, 1), change(2, TicketChange.OPENED, 1))
        await one.pool.execute("UPDATE hook_delivery SET event = '{}' WHERE ticket = 1")
        async with one.at_work():
            await eventually(one.states, lambda found: found[1][2] == "sent")

        (first, _) = await one.rows()
        assert (first["state"], first["answer"]) == ("waiting", "cannot be written: ValidationError")
