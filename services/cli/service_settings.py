"""The settings of each service, and of `andon migrate`."""

from __future__ import annotations

from services.analyst.settings import AnalystSettings
from services.canary.settings import CanarySettings
from services.cli.migrate_settings import MigrateSettings
from services.detector.settings import DetectorSettings
from services.enricher.settings import EnricherSettings
from services.intake.settings import IntakeSettings
from services.notifier.settings import NotifierSettings
from services.tickets.settings import TicketsSettings
from shared.runtime.settings import ServiceSettings

SERVICE_SETTINGS: dict[str, type[ServiceSettings]] = {
    "intake": IntakeSettings,
    "detector": DetectorSettings,
    "analyst": AnalystSettings,
    "enricher": EnricherSettings,
    "tickets": TicketsSettings,
    "notifier": NotifierSettings,
    "canary": CanarySettings,
    "migrate": MigrateSettings,
}
