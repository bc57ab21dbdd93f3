"""Whether the sources file can be used, when each source was last heard, and which is refused."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime

from services.cli.doctor.answers import Answer, ask_all, samples
from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from services.intake.settings import IntakeSettings
from shared.connectors import config
from shared.runtime.yaml_file import FaultsError

# As the alert SourceSilent.
SILENT_SECONDS = 86_400.0


async def _run(site: Site) -> list[CheckFinding]:
    path = IntakeSettings.from_environment().sources
    try:
        names = list(config.load(path))
    except FaultsError as error:
        todo = f"correct {path} (ANDON_SOURCES), or run: andon source add NAME"
        return [bad("sources file", line, todo) for line in str(error).splitlines()]
    asked = {name: site.addresses[name] for name in ("intake", "detector")}
    answers = await ask_all(asked, "/metrics")
    return [*last_events(names, answers["detector"], time.time()), *refused(names, answers["intake"])]


def last_events(names: Collection[str], answer: Answer, now: float) -> list[CheckFinding]:
    """When each source was last heard; `now`: seconds since 1970."""
    if answer.status != 200:
        text = f"{', '.join(names)}: the file is right; the last events are not known, as the detector does not answer"
        return [look("sources", text, "say where it is: --service detector=URL")]
    metric = "andon_source_last_event_timestamp_seconds"
    heard = {labels.get("source"): value for labels, value in samples(answer.text, metric)}
    return [_last_event(name, heard.get(name, 0.0), now) for name in names]


def _last_event(name: str, heard: float, now: float) -> CheckFinding:
    subject = f"source {name}"
    if not heard:
        return look(subject, "no event has come yet", "send one; see docs/sources for the CRM, and andon source check")
    at = f"{datetime.fromtimestamp(heard, UTC):%Y-%m-%d %H:%M} UTC"
    if now - heard > SILENT_SECONDS:
        return look(subject, f"last event {at}", "see docs/operator/runbooks/SourceSilent.md")
    return good(subject, f"last event {at}")


def refused(names: Collection[str], answer: Answer) -> list[CheckFinding]:
    """Sources whose last three requests, or more, were all refused, as the alert RequestsRefused."""
    if answer.status != 200:
        return [look("requests", "refused ones are not known, as intake does not answer", "--service intake=URL")]
    genuine = _by_source(answer, "andon_intake_last_genuine_timestamp_seconds")
    refusals = _by_source(answer, "andon_intake_third_last_refusal_timestamp_seconds")
    todo = "see docs/operator/runbooks/RequestsRefused.md"
    return [
        bad(f"source {name}", "all of its last three requests, or more, were refused", todo)
        for name in names
        if refusals.get(name, 0.0) > genuine.get(name, 0.0)
    ]


def _by_source(answer: Answer, metric: str) -> dict[str, float]:
    return {labels.get("source", ""): value for labels, value in samples(answer.text, metric)}


CHECK = Check("sources", _run)
