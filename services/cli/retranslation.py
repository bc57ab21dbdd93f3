"""Runs `andon retranslate` for one source of the sources file."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime

from services.cli.progress import bar
from services.intake import retranslate as intake
from services.intake.settings import IntakeSettings
from shared.connectors.config import load
from shared.kafka.access import KafkaAccess


def retranslate(name: str, since: datetime) -> Counter[str]:
    """How many requests were translated to how many events, ...; raises ValueError for an unknown source."""
    settings = IntakeSettings.from_environment()
    sources = load(settings.sources)
    if name not in sources:
        raise ValueError(f"{name}: no such source in {settings.sources}; known are {', '.join(sorted(sources))}")
    with bar("records read") as show:
        return asyncio.run(
            intake.retranslate(KafkaAccess.of(settings), settings.topic_prefix, sources[name], since, show)
        )
