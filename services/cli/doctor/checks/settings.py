"""Whether each service would accept this environment."""

from __future__ import annotations

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from services.cli.service_settings import SERVICE_SETTINGS
from shared.runtime.settings import ServiceSettings, SettingsError


def base_faults() -> list[CheckFinding]:
    """What keeps every part of Andon from starting; empty if nothing does."""
    try:
        ServiceSettings.from_environment()
    except SettingsError as error:
        return [bad("settings", line, "correct it: docs/operator/settings.md") for line in str(error).splitlines()]
    return []


async def _run(site: Site) -> list[CheckFinding]:
    findings = []
    for service, kind in SERVICE_SETTINGS.items():
        try:
            kind.from_environment()
        except SettingsError as error:
            # This environment may be that of another service, or of an operator.
            todo = f"if {service} runs with this environment, correct it: docs/operator/settings.md"
            findings += [look(f"settings of {service}", line, todo) for line in str(error).splitlines()]
    return findings or [good("settings", "every service accepts this environment")]


CHECK = Check("settings", _run)
