"""`andon source add`: asks what a kind of source needs, writes the sources file and its secrets, prints what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from services.cli.console import print_plain
from shared.connectors.base.source import Source
from shared.connectors.config import NAME, parse
from shared.connectors.registry import kinds
from shared.connectors.sources_file import add_source, source_names
from shared.runtime.yaml_file import FaultsError, read_text

# Fields that are not asked for: written by other means, or with a good default.
_NOT_ASKED = ("kind", "secrets", "webhooks", "max_bytes", "per_second", "at_once")


def add(name: str, kind: str | None, file: Path, address: str | None) -> Source:
    """Ask for what a source of this kind needs, and write it.

    Raises ValueError or FaultsError; nothing is written then.
    """
    known, text = kinds(), read_text(file, "ANDON_SOURCES") if file.exists() else ""
    _check_name(name, text, file)
    chosen = kind or typer.prompt(f"kind ({', '.join(sorted(known))})")
    if chosen not in known:
        raise ValueError(f"{chosen}: no such kind; use one of {', '.join(sorted(known))}")
    base = (address or typer.prompt("address under which the CRM reaches intake (https://...)")).rstrip("/")
    if not re.match(r"https?://[^\s/?#]+", base):
        raise ValueError(f"{base}: is not a full address; write it whole, like https://hooks.example.org")
    url = f"{base}/v1/ingest/{name}"
    new = _NewSource(name, file)
    new.ask(known[chosen], url)
    source = new.write(add_source(text, name, new.entry))
    _print_instructions(source, url, file)
    return source


def _check_name(name: str, text: str, file: Path) -> None:
    """Raise ValueError, before anything is asked, if the file cannot take a source of this name."""
    if not NAME.match(name):
        raise ValueError(f"{name}: a name is 1 to 60 lower-case letters, digits and dashes, like hubspot-eu")
    try:
        existing = source_names(text)
        add_source(text, name, {})
    except (FaultsError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from None
    if name in existing:
        raise ValueError(f"{name}: is in {file} already; choose another name, or edit the file")


@dataclass
class _NewSource:
    """The entry for the sources file, and its secrets by the files that will hold them."""

    name: str
    file: Path
    entry: dict[str, Any] = field(default_factory=dict)
    secrets: dict[Path, str] = field(default_factory=dict)

    def ask(self, kind: type[Source], url: str) -> None:
        """Ask for every required field; secrets that we can choose are generated."""
        self.entry["kind"] = kind.kind
        if kind.webhook_events:
            self.entry["webhooks"] = self._ask_webhooks(kind.webhook_events)
        else:
            path = self._secret_path(self.name)
            self.entry["secrets"] = [self._keep(path, _secret(kind))]
        for name, info in kind.settings_type.model_fields.items():
            if name == "public_url":
                self.entry[name] = url
            elif name not in _NOT_ASKED and info.is_required():
                self.entry[name] = typer.prompt(f"{name} ({info.description})")

    def write(self, text: str) -> Source:
        """Write the secrets and the new text of the file; on failure remove the secrets and raise ValueError."""
        created: list[Path] = []
        try:
            for path, secret in self.secrets.items():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.touch(mode=0o600, exist_ok=False)
                created.append(path)
                path.write_text(secret + "\n", encoding="utf-8")
            source = parse(text, self.file.resolve().parent)[self.name]
            self.file.write_text(text, encoding="utf-8")
        except (FaultsError, OSError) as error:
            for path in created:
                path.unlink()
            raise ValueError(f"{self.file} is unchanged; with {self.name} added:\n{error}") from None
        return source

    def _ask_webhooks(self, events: Iterable[str]) -> dict[str, Any]:
        """Ask for the id and the secret of each event's webhook."""
        webhooks = {}
        for event in events:
            path = self._secret_path(f"{self.name}-{event.rpartition('.')[2]}")
            webhook_id = typer.prompt(f"id of the webhook for {event}")
            secret = typer.prompt("its secret key", hide_input=True)
            webhooks[str(webhook_id)] = {"event": event, "secrets": [self._keep(path, secret)]}
        return webhooks

    def _keep(self, path: Path, secret: str) -> str:
        """Queue the secret for `write`; its reference is relative, so that file and secrets can be moved together."""
        self.secrets[path] = secret
        return f"file:{path.relative_to(self.file.resolve().parent)}"

    def _secret_path(self, name: str) -> Path:
        """The file for a secret; raises ValueError if it exists, since another source may use it."""
        path = self.file.resolve().parent / "secrets" / name
        if path.exists():
            raise ValueError(f"{path}: exists already and may be in use; move it, or choose another name")
        return path


def _secret(kind: type[Source]) -> str:
    return str(typer.prompt(kind.setup_prompt, hide_input=True)) if kind.setup_prompt else kind.new_secret()


def _print_instructions(source: Source, url: str, file: Path) -> None:
    console = Console()
    secret = source.settings.secrets[0] if source.settings.secrets else ""
    print_plain(console, f"{source.name} is in {file}; its secrets are in the folder secrets next to it.")
    console.print(
        "URL for the CRM:", url + (f"?key={secret}" if source.key_in_url else ""), soft_wrap=True, markup=False
    )
    if secret and source.prints_secret and not source.key_in_url:
        console.print("secret for the CRM:", secret, soft_wrap=True, markup=False)
    console.print(source.setup_steps, soft_wrap=True, markup=False)
    console.print("Then restart intake: it reads the sources file at start.")
