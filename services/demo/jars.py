"""Kafka's released jars, downloaded once and checked against the SHA-256 sums in `kafka-jars.sha256`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import warnings
from importlib import resources
from pathlib import Path

VERSION = "4.3.1"
# The clients are listed next to the broker: a transitive dependency would bring an older one that breaks the broker.
COORDINATES = "+".join(
    (
        f"org.apache.kafka:kafka_2.13:{VERSION}",
        f"org.apache.kafka:kafka-clients:{VERSION}",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
        "org.apache.logging.log4j:log4j-core:2.24.3",
    )
)
SUMS = "kafka-jars.sha256"


class JarError(Exception):
    """A jar is missing, or differs from the one whose sum is recorded."""


def cache_folder() -> Path:
    """Where the jars are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "andon" / f"kafka-{VERSION}"


def jars() -> Path:
    """The folder with the checked jars, downloaded if it does not exist. Raises JarError."""
    folder = cache_folder()
    if not _is_checked(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Of several that start at once, one downloads: jgo fails where another of it writes to its cache.
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_checked(folder):
                _fetch(folder)
    return folder


def _is_checked(folder: Path) -> bool:
    return (folder / ".checked").exists()


def _fetch(folder: Path) -> None:
    download = folder.with_suffix(f".{os.getpid()}")
    _download(download)
    _check(download)
    (download / ".checked").touch()
    shutil.rmtree(folder, ignore_errors=True)
    download.rename(folder)


def _download(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jgo
        from jgo.maven import PythonResolver

        environment = jgo.build(COORDINATES, resolver=PythonResolver(), cache_dir=folder.with_suffix(".jgo"))
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("jars", "modules"):
        for jar in (Path(environment.path) / part).glob("*.jar"):
            shutil.copy(jar, folder / jar.name)


def sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each jar, by file name."""
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in sorted(folder.glob("*.jar"))}


def _check(folder: Path) -> None:
    text = (resources.files("services.demo") / SUMS).read_text()
    expected = {name: digest for digest, name in (line.split() for line in text.splitlines())}
    found = sums(folder)
    differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if differing:
        shutil.rmtree(folder)
        raise JarError(
            f"jars of Kafka {VERSION} differ from the recorded SHA-256 sums: {', '.join(differing)}; download again"
        )
