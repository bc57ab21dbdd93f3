"""A process of the demonstration that ends is started again, and after longer pauses where it ends at once."""

from __future__ import annotations

from pathlib import Path

from services.demo.processes import Child
from tests.support.waiting import eventually


async def ended(child: Child) -> None:
    async def has_ended() -> bool:
        return child.has_ended()

    await eventually(has_ended)


async def test_what_ends_at_once_is_started_again_after_pauses_of_up_to_ten_seconds(tmp_path: Path) -> None:
    starts: list[int] = []
    child = Child("calendar", ["calendar"], {}, tmp_path / "log")
    child.start(lambda name, number: starts.append(number))
    pauses, now = [], 1000.0
    for _ in range(6):
        await ended(child)
        pauses.append(child.pause(now))
        assert not child.start_again(now + pauses[-1] - 0.1, lambda name, number: starts.append(number))
        now += pauses[-1]
        assert child.start_again(now, lambda name, number: starts.append(number))
    child.wait_for_end()

    assert pauses == [1, 2, 4, 8, 10, 10]
    assert len(set(starts)) == 7


async def test_what_ends_by_itself_after_a_while_is_started_again_soon_whatever_its_exit_code(tmp_path: Path) -> None:
    child = Child("no module", ["services.demo.nothing"], {}, tmp_path / "log")
    child.start(lambda name, number: None)
    for now in (1000.0, 2000.0, 3000.0):
        await ended(child)
        assert child.pause(now) == 1
        assert child.start_again(now + 1, lambda name, number: None)
    child.wait_for_end()
