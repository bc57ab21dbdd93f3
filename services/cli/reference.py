"""Writes the reference pages that are made of the code: settings, JSON Schemas of every message.

`make docs`; a test holds the committed pages against what this would write.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from services.detector.settings import DetectorSettings
from services.enricher.settings import EnricherSettings
from services.intake.settings import IntakeSettings
from services.notifier.settings import NotifierSettings
from services.tickets.settings import TicketsSettings
from shared.connectors.registry import crms, kinds
from shared.contracts.dead import DeadEvent
from shared.contracts.events import DealEvent
from shared.contracts.measures import MeasureEvent
from shared.contracts.notices import NoticeEvent
from shared.contracts.problems import ProblemEvent
from shared.contracts.stages import StageEvent, StageStatusEvent
from shared.contracts.tickets import TicketEvent
from shared.contracts.topics import ALL_TOPICS
from shared.runtime.settings import PREFIX, ServiceSettings

SCHEMAS: dict[str, type[BaseModel]] = {
    "pipeline.events": DealEvent,
    "pipeline.stages": StageEvent,
    "flow.problems": ProblemEvent,
    "flow.measures": MeasureEvent,
    "flow.stages": StageStatusEvent,
    "improvement.tickets": TicketEvent,
    "improvement.notices": NoticeEvent,
    "dead-letters": DeadEvent,
}
OWN: dict[str, type[ServiceSettings]] = {
    "intake": IntakeSettings,
    "detector": DetectorSettings,
    "enricher": EnricherSettings,
    "tickets": TicketsSettings,
    "notifier": NotifierSettings,
}


def pages() -> dict[str, str]:
    """Every page by its path under docs."""
    found = {
        "operator/settings.md": "\n".join(_settings()) + "\n",
        "operator/topics.md": "\n".join(_topics()) + "\n",
    }
    for name, model in SCHEMAS.items():
        schema = model.model_json_schema(mode="serialization")
        found[f"schemas/{name}.json"] = json.dumps(schema, indent=1, sort_keys=True) + "\n"
    return found


def _settings() -> Iterator[str]:
    yield "# Settings\n"
    yield "All by environment, checked at start; a name that does not exist is an error. `ANDON_X_FILE` names a file"
    yield "that holds the value of `ANDON_X`. The policy and the sources are files of their own.\n"
    yield from _table("All services", ServiceSettings, set())
    for service, model in OWN.items():
        yield from _table(service, model, set(ServiceSettings.model_fields) - {"port"})
    yield "## The sources file\n"
    yield "`sources:` holds an entry for each connection: its name, its `kind`, and what the kind needs.\n"
    for kind, source in sorted(kinds().items()):
        yield from _table(f"kind: {kind}", source.settings_type, {"kind"}, prefix="", level="###")
        if kind in crms():
            yield from _table(f"kind: {kind}, `api`", crms()[kind].settings_type, set(), prefix="", level="###")


def _table(
    title: str, model: type[BaseModel], without: set[str], prefix: str = PREFIX, level: str = "##"
) -> Iterator[str]:
    yield f"{level} {title}\n"
    yield "| name | default | what |\n|---|---|---|"
    for name, field in model.model_fields.items():
        if name in without:
            continue
        default = "" if field.default is PydanticUndefined else getattr(field.default, "value", field.default)
        if name in ("postgres", "smtp_password"):
            default = field.default.get_secret_value()
        shown = prefix + (name.upper() if prefix else name)
        yield f"| `{shown}` | {f'`{default}`' if str(default) else ''} | {field.description or ''} |"
    yield ""


def _topics() -> Iterator[str]:
    yield "# Topics\n"
    yield "`andon topics create` makes them; replicas of each partition by `--replication`. Values are CloudEvents 1.0"
    yield "in structured JSON; their schemas are in `docs/schemas`.\n"
    yield "| topic | record key | partitions | settings |\n|---|---|---|---|"
    for topic in ALL_TOPICS:
        settings = ", ".join(f"{key}={value}" for key, value in topic.config.items())
        yield f"| `{topic.name}` | {topic.key} | {topic.partitions} | {settings} |"


def main(folder: Path) -> None:
    for name, text in pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
