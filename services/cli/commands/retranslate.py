"""`andon retranslate`."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime

from rich.progress import Progress

from services.intake.retranslate import retranslate
from services.intake.settings import IntakeSettings
from shared.connectors.config import load


def run(name: str, since: datetime) -> Counter[str]:
    """With a bar of progress; raises ValueError where there is no such source."""
    settings = IntakeSettings.from_environment()
    sources = load(settings.sources)
    if name not in sources:
        raise ValueError(f"{name}: no such source in {settings.sources}; there are {', '.join(sorted(sources))}")
    with Progress(transient=True) as progress:
        bar = progress.add_task("requests translated again", total=None)

        def show(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        return asyncio.run(retranslate(settings.kafka, settings.topic_prefix, sources[name], since, show))
