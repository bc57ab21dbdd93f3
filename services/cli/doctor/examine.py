"""Runs checks side by side, each within its time, and gathers what they find.

Each runs in a thread of its own, which is left behind if it hangs: nothing that hangs holds up another check.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, Health, bad, worst
from services.cli.servers import ask
from shared.runtime.dependencies import reason_of
from shared.runtime.settings import SettingsError

# For a check that does not heed its own limit, because a call blocks its thread.
GRACE_SECONDS = 1.0


@dataclass(frozen=True)
class Result:
    """What one check found; `waits_for`: what is away, so that it was not made."""

    name: str
    findings: tuple[CheckFinding, ...]
    waits_for: tuple[str, ...] = ()

    @property
    def health(self) -> Health:
        return worst(finding.health for finding in self.findings)


@dataclass(frozen=True)
class _Started:
    check: Check
    answer: Future[list[CheckFinding]]
    until: float


def examine(site: Site, checks: Sequence[Check]) -> list[Result]:
    """The result of each check, in their order. Takes as long as the two slowest after one another, whatever hangs."""
    needed = {name for check in checks for name in check.needs}
    started = {check.name: _start(site, check) for check in checks if not check.needs}
    results = {name: _finish(one) for name, one in started.items() if name in needed}
    away = {name for name, result in results.items() if result.health is Health.BAD}
    for check in checks:
        if missing := tuple(name for name in check.needs if name in away):
            results[check.name] = Result(check.name, (), missing)
        elif check.needs:
            started[check.name] = _start(site, check)
    results |= {name: _finish(one) for name, one in started.items() if name not in results}
    return [results[check.name] for check in checks]


def health_of(results: Iterable[Result]) -> Health:
    """The worst of all."""
    return worst(result.health for result in results)


def _start(site: Site, check: Check) -> _Started:
    async def within() -> list[CheckFinding]:
        async with asyncio.timeout(check.seconds):
            return await check.run(site)

    return _Started(check, ask(within), time.monotonic() + check.seconds + GRACE_SECONDS)


def _finish(started: _Started) -> Result:
    name, seconds = started.check.name, started.check.seconds
    try:
        findings = started.answer.result(max(0.0, started.until - time.monotonic()))
    except SettingsError:
        # The check of the settings says it, once.
        findings = []
    except Exception as error:
        text = reason_of(error, seconds)
        findings = [bad(name, text, "run it again; if this stays, report it with: andon support-bundle FILE")]
    return Result(name, tuple(findings))
