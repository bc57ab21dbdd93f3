"""What an upgrade to this version will do, and what stands in its way. Changes nothing.

It asks with the checks of `andon doctor`; what those call bad, and an upgrade mends, is a step of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.cli.doctor.check import Check, Site
from services.cli.doctor.checks import backup, kafka, policy, postgres, schema, settings, sources, topics
from services.cli.doctor.examine import Result, examine
from services.cli.doctor.finding import CheckFinding, Health

# What has no tables or topics of this version yet is what an upgrade brings.
BROUGHT = ("run: andon topics create", "run: andon migrate")
CHECKS: Sequence[Check] = (
    settings.CHECK,
    kafka.CHECK,
    postgres.CHECK,
    topics.CHECK,
    schema.CHECK,
    policy.CHECK,
    policy.IN_BROWSER,
    sources.CHECK,
    backup.CHECK,
)
# Readers before writers: no service meets a message that it does not know yet.
RESTARTS = ("notifier", "tickets", "analyst", "detector", "enricher", "intake")


@dataclass(frozen=True)
class UpgradePlan:
    """`obstacles`: what must be mended first; `advice`: what should be; `steps`: commands in order, with what for."""

    obstacles: tuple[CheckFinding, ...]
    advice: tuple[CheckFinding, ...]
    steps: tuple[tuple[str, str], ...]

    @property
    def is_possible(self) -> bool:
        return not self.obstacles


def plan_of(results: Iterable[Result]) -> UpgradePlan:
    """From what the checks found. A check that could not be made, as its server is away, says so by that server's."""
    found = [finding for result in results for finding in result.findings]
    brought = [one for one in found if one.health is Health.BAD and one.todo in BROUGHT]
    commands = [command.removeprefix("run: ") for command in BROUGHT]
    return UpgradePlan(
        tuple(one for one in found if one.health is Health.BAD and one not in brought),
        tuple(one for one in found if one.health is Health.LOOK),
        tuple((command, _why(one for one in brought if one.todo.endswith(command))) for command in commands),
    )


def _why(brought: Iterable[CheckFinding]) -> str:
    return "; ".join(f"{one.subject} {one.text}" for one in brought) or "changes nothing"


def look_ahead(site: Site) -> UpgradePlan:
    """Ask everything; takes as long as the slowest check."""
    return plan_of(examine(site, CHECKS))
