"""Kafka's released jars, fetched once and checked against the sums that are kept beside this file."""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from importlib import resources
from pathlib import Path

VERSION = "4.3.1"
# The clients are named beside the broker: a transitive dependency would bring an older one, and the broker would die.
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
    """A jar is missing or is not the one that was checked."""


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "andon" / f"kafka-{VERSION}"


def jars() -> Path:
    """The folder with the checked jars; fetched when it is not there yet."""
    folder = cache_folder()
    if not (folder / ".checked").exists():
        fetched = folder.with_suffix(f".{os.getpid()}")
        _fetch(fetched)
        _check(fetched)
        (fetched / ".checked").touch()
        shutil.rmtree(folder, ignore_errors=True)
        fetched.rename(folder)
    return folder


def _fetch(folder: Path) -> None:
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
    """SHA-256 of each jar by name."""
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in sorted(folder.glob("*.jar"))}


def _check(folder: Path) -> None:
    text = (resources.files("services.demo") / SUMS).read_text()
    wanted = {name: digest for digest, name in (line.split() for line in text.splitlines())}
    found = sums(folder)
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        shutil.rmtree(folder)
        raise JarError(
            f"these jars of Kafka {VERSION} are not the ones that were checked: {', '.join(wrong)}; fetch again"
        )
