"""`andon source add`: asks what a kind of source needs, writes the sources file and its secrets, prints what to do."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from services.cli import source_answers as answers
from services.cli.console import message, print_line
from services.cli.questions import ask
from shared.connectors.base.source import Source
from shared.connectors.config import parse
from shared.connectors.registry import kinds
from shared.connectors.sources_file import add_source, source_names
from shared.runtime.yaml_file import FaultsError, read_text

# Fields without a question: written by other means, or with a good default.
_NOT_ASKED = ("kind", "secrets", "webhooks", "max_bytes", "per_second", "at_once")
_WHERE_ADDRESS = (
    "The CRM posts to intake from the internet: enter the https address of your proxy or tunnel to it, without a path"
    " (docs/operator/install.md)."
)


def add(name: str, kind: str | None, file: Path, address: str | None) -> Source:
    """Ask for what a source of this kind needs, and write it.

    Raises ValueError if the file cannot take a source, before the first question, and typer.Abort at the end of input;
    nothing is written then.
    """
    text, existing = _readable(file)
    name = ask("name of the source", lambda one: answers.name_fault(one, existing, file), given=name)
    chosen = _ask_kind(kind)
    new = _NewSource(name, file)
    new.check_secret_files(chosen)
    base = ask("address of intake (https://...)", answers.address_fault, where=_WHERE_ADDRESS, given=address).rstrip(
        "/"
    )
    url = f"{base}/v1/ingest/{name}"
    is_known_before = _needs_crm_first(chosen)
    if is_known_before:
        message(f"Set this up in the CRM first: it shows what you need for the next questions.\n{chosen.setup_steps}")
        message(f"URL for the CRM: {url}\n")
    new.ask(chosen, url)
    source = new.write(add_source(text, name, new.entry))
    _print_instructions(source, url, file, with_steps=not is_known_before)
    return source


def _readable(file: Path) -> tuple[str, set[str]]:
    """The text of the file and the names in it. Raises ValueError for a file that no source can be added to."""
    text = read_text(file, "ANDON_SOURCES") if file.exists() else ""
    try:
        existing = source_names(text)
        add_source(text, "new", {})
        if existing:
            parse(text, file.resolve().parent)
    except (FaultsError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from None
    folder = file.resolve().parent
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise ValueError(f"{file}: cannot be written; create the folder, or name another file by ANDON_SOURCES")
    return text, existing


def _ask_kind(given: str | None) -> type[Source]:
    known = kinds()
    where = f"Kinds: {', '.join(sorted(known))}. Each has a page in docs/sources; cloudevents takes any other sender."
    return known[
        ask(
            "kind of CRM",
            lambda kind: answers.kind_fault(kind.lower(), known),
            where=where,
            given=given,
        ).lower()
    ]


def _needs_crm_first(kind: type[Source]) -> bool:
    """Whether the CRM shows its secret only once the webhook is set up with its URL."""
    return bool(kind.setup_prompt or kind.webhook_events)


@dataclass
class _NewSource:
    """The entry for the sources file, and its secrets by the files that will hold them."""

    name: str
    file: Path
    entry: dict[str, Any] = field(default_factory=dict)
    secrets: dict[Path, str] = field(default_factory=dict)

    def check_secret_files(self, kind: type[Source]) -> None:
        """Raise ValueError if a file for a secret exists, since another source may use it."""
        for path in self._secret_paths(kind):
            if path.exists():
                raise ValueError(f"{path}: exists already and may be in use; move it, or choose another name")

    def ask(self, kind: type[Source], url: str) -> None:
        """Ask for every required field; secrets that we can choose are generated."""
        self.entry["kind"] = kind.kind
        if kind.webhook_events:
            self.entry["webhooks"] = self._ask_webhooks(kind, kind.webhook_events)
        else:
            (path,) = self._secret_paths(kind)
            self.entry["secrets"] = [self._keep(path, _ask_secret(kind))]
        for name, info in kind.settings_type.model_fields.items():
            if name == "public_url":
                self.entry[name] = url
            elif name not in _NOT_ASKED and info.is_required():
                self.entry[name] = _ask_field(kind, name)

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

    def _ask_webhooks(self, kind: type[Source], events: Iterable[str]) -> dict[str, Any]:
        """Ask for the id and the secret of each event's webhook."""
        webhooks: dict[str, Any] = {}
        where = kind.where_to_find.get("webhooks", "")
        for event, path in zip(events, self._secret_paths(kind), strict=True):
            id_ = ask(f"id of the webhook for {event}", partial(answers.webhook_fault, webhooks), where=where)
            check = partial(answers.webhook_secret_fault, kind, event)
            secret = ask("its secret key, not shown as you type", check, hidden=True)
            webhooks[id_] = {"event": event, "secrets": [self._keep(path, secret)]}
            where = ""
        return webhooks

    def _keep(self, path: Path, secret: str) -> str:
        """Queue the secret for `write`; its reference is relative, so that file and secrets can be moved together."""
        self.secrets[path] = secret
        return f"file:{path.relative_to(self.file.resolve().parent)}"

    def _secret_paths(self, kind: type[Source]) -> list[Path]:
        """The files for the secrets, one for each webhook."""
        folder = self.file.resolve().parent / "secrets"
        events = [event.rpartition(".")[2] for event in kind.webhook_events]
        return [folder / f"{self.name}-{event}" for event in events] or [folder / self.name]


def _ask_secret(kind: type[Source]) -> str:
    if not kind.setup_prompt:
        return kind.new_secret()
    return ask(
        f"{kind.setup_prompt}, not shown as you type",
        partial(answers.secret_fault, kind),
        where=kind.where_to_find.get("secrets", ""),
        hidden=True,
    )


def _ask_field(kind: type[Source], name: str) -> str:
    return ask(
        f"{name} ({kind.settings_type.model_fields[name].description})",
        partial(answers.field_fault, kind, name),
        where=kind.where_to_find.get(name, ""),
    )


def _print_instructions(source: Source, url: str, file: Path, with_steps: bool) -> None:
    secret = source.settings.secrets[0] if source.settings.secrets else ""
    print_line(f"{source.name} is in {file}; its secrets are in the folder secrets next to it.")
    print_line(f"URL for the CRM: {url}" + (f"?key={secret}" if source.key_in_url else ""))
    if secret and source.prints_secret and not source.key_in_url:
        print_line(f"secret for the CRM: {secret}")
    if with_steps:
        print_line(f"In the CRM: {source.setup_steps}")
    print_line("Then restart intake: it reads the sources file at start.")
