"""Generates the reference pages: settings, topics, metrics, and the contracts.

`make docs` runs it; a test fails if the committed pages are out of date.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.cli import contract_documents, metrics_reference
from services.cli.service_settings import SERVICE_SETTINGS
from shared.connectors.apis import crms
from shared.connectors.registry import kinds
from shared.contracts.rights import RIGHTS
from shared.contracts.topics import ALL_TOPICS
from shared.runtime.settings import PREFIX, ServiceSettings


def pages() -> dict[str, str]:
    """Every generated page, by its path below docs."""
    return {
        "operator/settings.md": "\n".join(_settings()) + "\n",
        "operator/topics.md": "\n".join(_topics()) + "\n",
        "operator/metrics.md": "\n".join(metrics_reference.page()) + "\n",
        **{f"schemas/{name}": text for name, text in contract_documents.files().items()},
    }


def _settings() -> Iterator[str]:
    yield "# Settings\n"
    yield "Set them as environment variables; they are checked at start, and an unknown name is an error."
    yield "`ANDON_X_FILE` names a file that holds the value of `ANDON_X`. The policy and the sources have files of"
    yield "their own.\n"
    yield from _table("All services", ServiceSettings, set())
    for service, model in SERVICE_SETTINGS.items():
        # Each service has a port of its own; a command has none.
        shared = set(ServiceSettings.model_fields) - ({"port"} if service in RIGHTS else set())
        yield from _table(service, model, shared)
    yield "## The sources file\n"
    yield "`sources:` has one entry per connection: its name, its `kind`, and the fields of that kind.\n"
    for kind, source in sorted(kinds().items()):
        yield from _table(f"kind: {kind}", source.settings_type, {"kind"}, prefix="", level="###")
        if kind in crms():
            yield from _table(f"kind: {kind}, `api`", crms()[kind].settings_type, set(), prefix="", level="###")


def _table(
    title: str, model: type[BaseModel], skip: set[str], prefix: str = PREFIX, level: str = "##"
) -> Iterator[str]:
    yield f"{level} {title}\n"
    yield "| name | default | meaning |\n|---|---|---|"
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        shown, default = prefix + (name.upper() if prefix else name), _default(field)
        yield f"| `{shown}` | {f'`{default}`' if default else ''} | {field.description or ''} |"
    yield ""


def _default(field: FieldInfo) -> str:
    """The default as it is written in the environment; empty if there is none."""
    value = field.default
    if value is PydanticUndefined:
        return ""
    return str(value.get_secret_value() if isinstance(value, SecretStr) else getattr(value, "value", value))


def _topics() -> Iterator[str]:
    yield "# Topics\n"
    yield "`andon topics create` creates them; `--replication` sets the replicas of each partition. Values are"
    yield "CloudEvents 1.0 in structured JSON; [AsyncAPI](../schemas/asyncapi.json) says what they hold, and which"
    yield "service writes and reads them.\n"
    yield "| topic | record key | partitions | settings |\n|---|---|---|---|"
    for topic in ALL_TOPICS:
        settings = ", ".join(f"{key}={value}" for key, value in topic.config.items())
        yield f"| `{topic.name}` | {topic.key} | {topic.partitions} | {settings} |"


def main(folder: Path) -> None:
    """Write every page below `folder`."""
    for name, text in pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the pages that are made of the code.")
    parser.add_argument("folder", type=Path)
    main(parser.parse_args().folder)
