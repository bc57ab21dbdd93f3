"""`make alerts`: breaks everything that alerts are for, one after the other, and compares what an operator gets.

Rules run with times divided by 15. Exit code 1: an alert is missing, late, does not end, or nobody asked for it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from tests.alerts.faults import FAULTS, PROMISES, AlertFault, clock_of
from tests.alerts.scale import FACTOR
from tests.alerts.watch import WATCHDOG, AlertWatch, DiskExporter, Firing
from tests.alerts.watched_site import WatchedSite
from tests.support.sink import sink

console = Console(stderr=True)
# What services take themselves, which no division makes shorter, on a machine that does other things, too.
OWN_SECONDS = 45
# Tickets on what a fault has used up of the month: they last. Where a machine is busy, requests are slow without one.
USED_UP = {(name, "ticket") for name in PROMISES}
# What may begin after the mending: seconds in which services catch up are minutes to these rules.
CATCHING_UP = {
    ("EventsLate", "page"),
    ("MailsLate", "page"),
    *(
        (name, "ticket")
        for name in ("JudgementLate", "Lagging", "OutboxStuck", "ServiceStuck", "TicketMessagesWaiting")
    ),
}
# Well for so long before a fault, within so long; without any fault; until all is over: a window of half an hour, and
# what alerts stay.
SURE_SECONDS, SETTLE_SECONDS, WELL_SECONDS, END_SECONDS = 15, 60, 40, 60 + 35 * 60 / FACTOR
MENDED_SECONDS = 3


@dataclass
class Seen:
    """When each alert was first seen, in seconds from the fault, and when the last one ended, from the mending."""

    fault: AlertFault
    first: dict[tuple[str, str], float] = field(default_factory=dict)
    ended: float | None = None
    left: Firing = frozenset()
    began: float = 0.0

    def faults(self) -> list[str]:
        """What is not as it must be."""
        expected = self.fault.expected()
        missing = [f"{name} is missing" for name, _ in expected.keys() - self.first.keys()]
        others = self.first.keys() - expected.keys() - USED_UP
        unasked = [f"{name} ({severity}) was not asked for" for name, severity in others]
        late = [
            f"{one[0]} came after {self.first[one]:.0f} s"
            for one, seconds in expected.items()
            if one in self.first and self.first[one] > seconds / FACTOR + OWN_SECONDS
        ]
        lasting = [f"{name} does not end" for name, _ in self.left]
        return [*missing, *unasked, *late, *lasting]

    def rows(self) -> list[str]:
        """Lines of the table in docs/operator/alerts.md."""
        if not self.first:
            return [f"| {self.fault.name} | none | | |"]
        ended = "" if self.ended is None else f"{self.ended:.0f} s"
        return [
            f"| {self.fault.name} | {name} ({severity}) | {at:.0f} s | {self._full(name, severity, at)} | {ended} |"
            for (name, severity), at in sorted(self.first.items(), key=lambda one: one[1])
        ]

    def _full(self, name: str, severity: str, at: float) -> str:
        """What `at` is with the times of the rules as they are."""
        seconds = self.fault.expected().get((name, severity), 0)
        full = at + seconds * (1 - 1 / FACTOR)
        return f"{full:.0f} s" if full < 100 else f"{full / 60:.0f} min"


async def follow(watch: AlertWatch, seconds: float, seen: Callable[[Firing, float], bool]) -> bool:
    """Ask until `seen` returns true; False: it did not within this time. Counts what two looks in a row show."""
    began, before = time.monotonic(), frozenset[tuple[str, str]]()
    while (now := time.monotonic() - began) < seconds:
        found = await asyncio.to_thread(watch.firing)
        if found is not None:
            if seen(found & before, now):
                return True
            before = found
        await asyncio.sleep(0.5)
    return False


async def try_fault(site: WatchedSite, disk: DiskExporter, fault: AlertFault, folder: Path) -> Seen:
    """One fault, from a quiet site to a quiet site."""
    result = Seen(fault)
    async with AsyncExitStack() as stack:
        if fault.has_second_detector:
            await stack.enter_async_context(site.second_detector(**(clock_of(fault) if fault.clock_ahead else {})))
        if not fault.is_quiet:
            await stack.enter_async_context(site.traffic())
        watch = await settled(site, disk, folder / fault.name)
        stack.callback(watch.stop)
        longest = max(fault.expected().values(), default=0) / FACTOR + OWN_SECONDS if fault.alerts else WELL_SECONDS

        def note(firing: Firing, now: float) -> bool:
            for one in firing - {WATCHDOG} - USED_UP:
                result.first.setdefault(one, now)
            return bool(fault.alerts) and result.first.keys() >= fault.expected().keys()

        result.began = time.monotonic()
        async with fault.breaking(site, disk):
            await follow(watch, longest, note)
        await until_over(watch, result)
    return result


async def settled(site: WatchedSite, disk: DiskExporter, folder: Path) -> AlertWatch:
    """A watch that has nothing to say; a busy machine is given three tries."""
    for number in range(3):
        watch = AlertWatch(folder.with_name(f"{folder.name}-{number}"), targets(site), disk.port, site.mails.port)
        if await follow(watch, SETTLE_SECONDS, is_well):
            return watch
        before = await asyncio.to_thread(watch.firing)
        watch.stop()
    raise AssertionError(f"{folder.name}: before any fault, {before}")


def is_well(firing: Firing, now: float) -> bool:
    """Nothing but the watchdog, for long enough."""
    return firing - USED_UP == {WATCHDOG} and now > SURE_SECONDS


async def until_over(watch: AlertWatch, result: Seen) -> None:
    """Wait until nothing fires any more."""

    def over(firing: Firing, now: float) -> bool:
        rest = firing - {WATCHDOG} - USED_UP
        for one in rest - CATCHING_UP:
            result.first.setdefault(one, time.monotonic() - result.began)
        result.left = rest
        result.ended = now
        # At the first look there is none before it to compare with.
        return not rest and now > MENDED_SECONDS

    if not await follow(watch, END_SECONDS, over):
        result.ended = None


def targets(site: WatchedSite) -> dict[str, list[int]]:
    """The ports of all replicas of each service."""
    found: dict[str, list[int]] = {}
    for one in site.services.values():
        found.setdefault(one.service, []).append(one.port)
    return found


async def run(names: list[str], folder: Path) -> int:
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    disk, failures = DiskExporter(), 0
    with sink() as mails:
        site = WatchedSite(folder, mails)
        try:
            await site.start()
            print("| fault | alert | here | with full times | over after |\n|---|---|---|---|---|")
            for fault in chosen:
                result = await try_fault(site, disk, fault, folder)
                print("\n".join(result.rows()), flush=True)
                for line in result.faults():
                    failures += 1
                    console.print(f"{fault.name}: {line}", style="red", soft_wrap=True)
        finally:
            await site.stop()
    return 1 if failures else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", help="only these", metavar="FAULT")
    names = parser.parse_args().faults
    if unknown := set(names) - {fault.name for fault in FAULTS}:
        parser.error(f"unknown faults {', '.join(sorted(unknown))}; there are {', '.join(f.name for f in FAULTS)}")
    with tempfile.TemporaryDirectory(prefix="andon-alerts-") as folder:
        sys.exit(asyncio.run(run(names, Path(folder))))


if __name__ == "__main__":
    main()
