"""One server for all workers of a test run: the first that needs it starts it, and stops it after the last."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path


@contextmanager
def shared(folder: Path, start: Callable[[Path], AbstractContextManager[str]]) -> Iterator[str]:
    """Address of the one server of `folder`.

    Every user holds a shared lock on `users`, which the system releases when a worker dies. The worker that started the
    server forgets its address, so that whoever comes now starts another, and stops it once it holds that lock alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    address = folder / "address"
    with (folder / "users").open("w") as users, ExitStack() as started:
        with _locked(folder / "lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            is_mine = not address.exists()
            if is_mine:
                address.write_text(started.enter_context(start(folder)))
            found = address.read_text()
        yield found
        if is_mine:
            with _locked(folder / "lock"):
                address.unlink()
            fcntl.flock(users, fcntl.LOCK_EX)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
