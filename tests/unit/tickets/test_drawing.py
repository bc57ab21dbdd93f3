"""Charts drawn in processes of their own: each once, those of mails apart, and also after a process has ended."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from services.tickets.charts.drawer import READERS_NICENESS
from services.tickets.charts.drawing import DRAWINGS, KEPT, DrawingError, DrawingPurpose, Drawings, _Drawer
from services.tickets.charts.spec import LineChart, to_json
from tests.support.problems import day


def written(title: str) -> bytes:
    line = [(day(n), float(n)) for n in range(3)]
    return to_json(LineChart(title, "deals", {"deals": line}, day(0), day(3), "UTC"))


async def test_a_chart_is_drawn_once_for_all_who_ask_for_it() -> None:
    first, second = await asyncio.gather(DRAWINGS.inline(written("One")), DRAWINGS.inline(written("One")))

    assert first is second is await DRAWINGS.inline(written("One"))
    assert first is not await DRAWINGS.inline(written("Two"))


async def test_whoever_goes_takes_the_chart_from_nobody() -> None:
    going, staying = (asyncio.ensure_future(DRAWINGS.svg(written("Shared"))) for _ in range(2))
    await asyncio.sleep(0)
    going.cancel()

    assert "Shared" in await staying


async def test_what_cannot_be_drawn_holds_up_no_other_chart() -> None:
    with pytest.raises(DrawingError, match=r"LineChart\.title"):
        await DRAWINGS.png(b'{"later": 1}')

    assert (await DRAWINGS.png(written("Next"))).startswith(b"\x89PNG")


async def test_the_processes_draw_until_their_connection_ends_and_are_replaced() -> None:
    await DRAWINGS.svg(written("Before"))
    drawer = DRAWINGS._drawer
    assert drawer is not None

    # As where a supervisor stops all processes of the service: it still needs charts while it stops.
    os.killpg(drawer._process.pid, signal.SIGTERM)
    assert "While it stops" in await DRAWINGS.svg(written("While it stops"))
    assert DRAWINGS._drawer is drawer
    for connection in drawer._connections.values():
        connection.close()
    assert await asyncio.to_thread(drawer._process.wait, 60) == 0
    assert "After" in await DRAWINGS.svg(written("After"))
    assert (await DRAWINGS.png(written("After"))).startswith(b"\x89PNG")
    assert DRAWINGS._drawer is not drawer


async def test_where_one_process_is_killed_both_are_replaced() -> None:
    await DRAWINGS.svg(written("Before it is killed"))
    before = DRAWINGS._drawer
    assert before is not None
    (readers,) = children_of(before)

    os.kill(readers, signal.SIGKILL)

    assert "After it was killed" in await DRAWINGS.svg(written("After it was killed"))
    assert (await DRAWINGS.png(written("After it was killed"))).startswith(b"\x89PNG")
    assert DRAWINGS._drawer is not before
    assert before._process.returncode == -signal.SIGKILL


def children_of(drawer: _Drawer) -> list[int]:
    pid = drawer._process.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_mail_waits_for_no_chart_of_a_reader() -> None:
    readers = [asyncio.ensure_future(DRAWINGS.svg(written(f"Reader {number}"))) for number in range(30)]
    await asyncio.sleep(0)

    assert (await DRAWINGS.png(written("A mail"))).startswith(b"\x89PNG")

    assert not all(one.done() for one in readers)
    await asyncio.gather(*readers)


async def test_what_is_drawn_for_readers_yields_to_all_else() -> None:
    await DRAWINGS.svg(written("Any"))
    drawer = DRAWINGS._drawer
    assert drawer is not None

    (readers,) = children_of(drawer)
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, drawer._process.pid) == mine
    assert os.getpriority(os.PRIO_PROCESS, readers) == min(19, mine + READERS_NICENESS)


def test_only_the_last_drawings_are_kept() -> None:
    drawings = Drawings()
    for number in range(KEPT + 9):
        drawings._drawn(DrawingPurpose.PAGE, b"%d" % number)

    assert len(drawings._kept) == KEPT
