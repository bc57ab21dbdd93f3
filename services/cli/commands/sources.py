"""`andon source add`: asks, writes the sources file, says what to click, and waits for the first webhook."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import typer
from aiokafka import AIOKafkaConsumer
from rich.console import Console

from services.intake.explain import explain_facts
from services.intake.received import read_requests
from shared.connectors.base.source import Source
from shared.connectors.config import NAME, parse
from shared.connectors.registry import kinds
from shared.connectors.sources_file import add_source, source_names
from shared.contracts.topics import RECEIVED
from shared.runtime.yaml_file import FaultsError, read_text

_console = Console()
_OURS = ("kind", "secrets", "webhooks", "max_bytes", "per_second", "at_once")
_THEIRS = ("hubspot", "close", "attio")


def add(name: str, kind: str | None, file: Path, address: str | None) -> Source:
    """Ask for what a source of this kind needs, and write it; raises ValueError or FaultsError and writes nothing."""
    known, text = kinds(), read_text(file, "ANDON_SOURCES") if file.exists() else ""
    _check(name, text, file)
    chosen = kind or typer.prompt(f"kind ({', '.join(sorted(known))})")
    if chosen not in known:
        raise ValueError(f"{chosen}: no such kind; use one of {', '.join(sorted(known))}")
    base = (address or typer.prompt("address at which the CRM reaches intake (https://...)")).rstrip("/")
    if not re.match(r"https?://[^\s/?#]+", base):
        raise ValueError(f"{base}: is no address; write it whole, as https://hooks.example.org")
    entry, kept = _entry(known[chosen], name, f"{base}/v1/ingest/{name}", file)
    source = _written(add_source(text, name, entry), name, file, kept)
    _say(source, f"{base}/v1/ingest/{name}", file)
    return source


def _check(name: str, text: str, file: Path) -> None:
    """Before anything is asked; raises ValueError where the file cannot take a source of this name."""
    if not NAME.match(name):
        raise ValueError(f"{name}: a name is 1 to 60 lower-case letters, digits and dashes, as hubspot-eu")
    try:
        there = source_names(text)
        add_source(text, name, {})
    except (FaultsError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from None
    if name in there:
        raise ValueError(f"{name}: is in {file} already; take another name, or change it there")


def _written(text: str, name: str, file: Path, kept: dict[Path, str]) -> Source:
    """The source of the new text, which is in the file, its secrets kept; nothing is, where something fails."""
    made: list[Path] = []
    try:
        for path, secret in kept.items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=False)
            made.append(path)
            path.write_text(secret + "\n", encoding="utf-8")
        source = parse(text, file.resolve().parent)[name]
        file.write_text(text, encoding="utf-8")
    except (FaultsError, OSError) as error:
        for path in made:
            path.unlink()
        raise ValueError(f"{file} stays as it is; with {name} in it:\n{error}") from None
    return source


def _entry(kind: type[Source], name: str, url: str, file: Path) -> tuple[dict[str, Any], dict[Path, str]]:
    """What is written of it, and its secrets by the files that keep them."""
    entry: dict[str, Any] = {"kind": kind.kind}
    kept: dict[Path, str] = {}
    if kind.kind == "espocrm":
        entry["webhooks"] = _webhooks(name, file, kept)
    else:
        place = _place(name, file)
        kept[place] = _secret(kind.kind)
        entry["secrets"] = [_named(place, file)]
    for field, info in kind.settings_type.model_fields.items():
        if field == "public_url":
            entry[field] = url
        elif field not in _OURS and info.is_required():
            entry[field] = typer.prompt(f"{field} ({info.description})")
    return entry, kept


def _secret(kind: str) -> str:
    if kind in _THEIRS:
        return str(typer.prompt("the secret that the CRM shows", hide_input=True))
    if kind == "pipedrive":
        return f"andon:{secrets.token_urlsafe(24)}"
    if kind == "standardwebhooks":
        return str(typer.prompt("the secret of the sender (whsec_... or whpk_...)", hide_input=True))
    # At most 50 characters, as Zoho wants it.
    return secrets.token_urlsafe(32)


def _webhooks(name: str, file: Path, kept: dict[Path, str]) -> dict[str, Any]:
    found = {}
    for what in ("create", "update", "delete"):
        place = _place(f"{name}-{what}", file)
        number = typer.prompt(f"id of the webhook for Opportunity.{what}")
        kept[place] = typer.prompt("its secret key", hide_input=True)
        found[str(number)] = {"event": f"Opportunity.{what}", "secrets": [_named(place, file)]}
    return found


def _named(place: Path, file: Path) -> str:
    """Beside the sources file, so that both can be moved, and mounted, together."""
    return f"file:{place.relative_to(file.resolve().parent)}"


def _place(name: str, file: Path) -> Path:
    """Where a secret will be kept; raises ValueError where another may be."""
    place = file.resolve().parent / "secrets" / name
    if place.exists():
        raise ValueError(f"{place}: is there already, and may be in use; move it away, or take another name")
    return place


def _say(source: Source, url: str, file: Path) -> None:
    secret = source.settings.secrets[0] if source.settings.secrets else ""
    said = f"{source.name} is in {file}; its secrets lie beside it, in the folder secrets."
    _console.print(said, soft_wrap=True, markup=False, emoji=False)
    _console.print(
        "URL for the CRM:", url + (f"?key={secret}" if source.key_in_url else ""), soft_wrap=True, markup=False
    )
    if secret and source.kind not in _THEIRS and not source.key_in_url:
        _console.print("secret for the CRM:", secret, soft_wrap=True, markup=False)
    _console.print(source.setup_steps, soft_wrap=True, markup=False)
    _console.print("Then start intake anew: it reads the sources file when it starts.")


async def first(bootstrap: str, prefix: str, source: Source) -> AsyncIterator[str]:
    """Wait for the next genuine request of a source, and what is understood of it."""
    consumer = AIOKafkaConsumer(prefix + RECEIVED, bootstrap_servers=bootstrap, auto_offset_reset="latest")
    await consumer.start()
    try:
        async for record in consumer:
            if record.key != source.name.encode():
                continue
            for request in read_requests([record]):
                for line in explain_facts(source, request):
                    yield line
                return
    finally:
        await consumer.stop()


def wait(bootstrap: str, prefix: str, source: Source) -> None:
    """Print what the first webhook says; Ctrl-C ends the wait."""

    async def run() -> None:
        async for line in first(bootstrap, prefix, source):
            _console.print(line, soft_wrap=True, markup=False, emoji=False, highlight=False)

    with _console.status("waiting for the first webhook (Ctrl-C ends the wait; refused ones are in intake's log)"):
        asyncio.run(run())
