"""Every check of `andon doctor`, in the order of its lines. A new one is a module in `checks`, and a name here."""

from __future__ import annotations

from services.cli.doctor.check import Check
from services.cli.doctor.checks import (
    backup,
    clocks,
    crm,
    disk,
    kafka,
    mail,
    policy,
    postgres,
    prometheus,
    readers,
    rights,
    schema,
    services,
    settings,
    sources,
    topics,
    versions,
)

CHECKS: tuple[Check, ...] = (
    settings.CHECK,
    versions.CHECK,
    kafka.CHECK,
    postgres.CHECK,
    topics.CHECK,
    readers.CHECK,
    schema.CHECK,
    rights.CHECK,
    rights.ON_KAFKA,
    clocks.CHECK,
    policy.CHECK,
    policy.IN_BROWSER,
    sources.CHECK,
    services.CHECK,
    crm.CHECK,
    mail.CHECK,
    prometheus.CHECK,
    disk.CHECK,
    backup.CHECK,
)
