"""Charts drawn in a process of their own: each once, those of mails first, and also after that process has ended."""

from __future__ import annotations

import asyncio

import pytest

from services.tickets.charts.drawing import DRAWINGS, KEPT, DrawingError, DrawingPurpose, Drawings
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


async def test_the_process_draws_until_its_connection_ends_and_is_replaced() -> None:
    await DRAWINGS.svg(written("Before"))
    drawer = DRAWINGS._drawer
    assert drawer is not None

    # As where a supervisor stops all processes of the service: it still needs charts while it stops.
    drawer._process.terminate()
    assert "While it stops" in await DRAWINGS.svg(written("While it stops"))
    assert DRAWINGS._drawer is drawer
    drawer._connection.close()
    assert await asyncio.to_thread(drawer._process.wait, 60) == 0
    assert "After" in await DRAWINGS.svg(written("After"))
    assert DRAWINGS._drawer is not drawer


def test_mails_come_before_readers() -> None:
    drawings = Drawings()
    for purpose in (DrawingPurpose.PAGE, DrawingPurpose.FILE, DrawingPurpose.MAIL):
        drawings._drawn(purpose, written("One"))

    order = [drawings._wanted.get().purpose for _ in range(3)]

    assert order == [DrawingPurpose.MAIL, DrawingPurpose.PAGE, DrawingPurpose.FILE]


def test_only_the_last_drawings_are_kept() -> None:
    drawings = Drawings()
    for number in range(KEPT + 9):
        drawings._drawn(DrawingPurpose.PAGE, b"%d" % number)

    assert len(drawings._kept) == KEPT
