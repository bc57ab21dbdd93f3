"""A process of the demo that ends is started again, and after longer delays where it ends at once."""

from __future__ import annotations

from pathlib import Path

from services.demo.processes import ChildProcess
from tests.support.waiting import eventually


async def ended(child: ChildProcess) -> None:
    async def has_ended() -> bool:
        return child.has_ended()

    await eventually(has_ended)


async def test_a_process_that_fails_at_its_start_is_restarted_with_delays_of_up_to_ten_seconds(tmp_path: Path) -> None:
    starts: list[int] = []
    child = ChildProcess("calendar", ["calendar"], {}, tmp_path / "log")
    child.start(lambda name, number: starts.append(number))
    delays, now = [], 1000.0
    for _ in range(6):
        await ended(child)
        delays.append(child.restart_delay(now))
        assert not child.restart_if_due(now + delays[-1] - 0.1, lambda name, number: starts.append(number))
        now += delays[-1]
        assert child.restart_if_due(now, lambda name, number: starts.append(number))
    child.wait()

    assert delays == [1, 2, 4, 8, 10, 10]
    assert len(set(starts)) == 7


async def test_a_process_that_ends_after_a_while_is_restarted_soon_whatever_its_exit_code(tmp_path: Path) -> None:
    child = ChildProcess("no module", ["services.demo.nothing"], {}, tmp_path / "log")
    child.start(lambda name, number: None)
    for now in (1000.0, 2000.0, 3000.0):
        await ended(child)
        assert child.restart_delay(now) == 1
        assert child.restart_if_due(now + 1, lambda name, number: None)
    child.wait()
