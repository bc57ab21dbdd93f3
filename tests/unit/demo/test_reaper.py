"""The reaper leaves no process behind when the demo is gone, and holds the folder's lock until then."""

from __future__ import annotations

import asyncio
import fcntl
import signal
from pathlib import Path

import pytest

from services.demo.reaper import Reaper


async def sleeping() -> asyncio.subprocess.Process:
    """A process that SIGINT ends, even if this test run ignores it."""
    return await asyncio.create_subprocess_exec(
        "sleep", "600", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )


async def test_processes_that_still_run_are_ended_when_the_demo_is_gone(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        reaper = Reaper(lock, tmp_path / "reaper.log")
    left = await sleeping()
    reaper.register("gone already", 2**22 + 1)
    reaper.register("left behind", left.pid)

    # Its input ends, as when the demo is killed.
    await asyncio.to_thread(reaper.close)

    assert await left.wait() < 0
    assert (tmp_path / "reaper.log").read_text() == ""


async def test_a_restarted_process_is_known_by_its_new_pid_only(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        reaper = Reaper(lock, tmp_path / "reaper.log")
    other, again = await sleeping(), await sleeping()
    reaper.register("intake", other.pid)
    reaper.register("intake", again.pid)

    await asyncio.to_thread(reaper.close)

    assert await again.wait() < 0
    assert other.returncode is None
    other.kill()
    await other.wait()


def test_the_folder_stays_locked_until_the_reaper_has_ended(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        reaper = Reaper(lock, tmp_path / "reaper.log")
    with (tmp_path / "lock").open("w") as second:
        with pytest.raises(OSError, match="temporarily unavailable"):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        reaper.close()
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
