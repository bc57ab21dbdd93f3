"""The guard leaves no process behind when the demonstration is gone, and holds the folder until then."""

from __future__ import annotations

import asyncio
import fcntl
import signal
from pathlib import Path

import pytest

from services.demo.reaper import Guard


async def sleeping() -> asyncio.subprocess.Process:
    """A process that an interrupt ends, also where those of this test run are told to ignore it."""
    return await asyncio.create_subprocess_exec(
        "sleep", "600", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )


async def test_what_still_runs_is_ended_when_the_demonstration_is_gone(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        guard = Guard(lock, tmp_path / "guard.log")
    left = await sleeping()
    guard.watch("gone already", 2**22 + 1)
    guard.watch("left behind", left.pid)

    # Its input ends, as it does when the demonstration is killed.
    await asyncio.to_thread(guard.dismiss)

    assert await left.wait() < 0
    assert (tmp_path / "guard.log").read_text() == ""


async def test_a_process_that_was_started_again_is_known_by_its_new_number_only(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        guard = Guard(lock, tmp_path / "guard.log")
    other, again = await sleeping(), await sleeping()
    guard.watch("intake", other.pid)
    guard.watch("intake", again.pid)

    await asyncio.to_thread(guard.dismiss)

    assert await again.wait() < 0
    assert other.returncode is None
    other.kill()
    await other.wait()


def test_the_folder_is_taken_until_the_guard_has_ended(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        guard = Guard(lock, tmp_path / "guard.log")
    with (tmp_path / "lock").open("w") as second:
        with pytest.raises(OSError, match="temporarily unavailable"):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        guard.dismiss()
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
