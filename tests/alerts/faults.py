"""What can go wrong, which alerts an operator gets for it, and how long their rules take."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from tests.alerts.watch import DiskExporter
from tests.alerts.watched_site import CHAOS, WatchedSite

# How long each rule takes at full times, in seconds: what it waits for, and the bound that a value must reach.
RULE_SECONDS = {
    ("WebhooksFailing", "page"): 180,
    ("EventsLate", "page"): 300,
    ("MailsLate", "page"): 600,
    ("ServiceDown", "ticket"): 120,
    ("ReplicaDown", "ticket"): 120,
    ("DependencyDown", "ticket"): 60,
    ("MailsWaiting", "ticket"): 900,
    ("MailsUnanswered", "ticket"): 900,
    ("MailsRefused", "ticket"): 0,
    # Three requests at ten an hour, and a minute.
    ("RequestsRefused", "ticket"): 1140,
    ("DeadLettersWaiting", "ticket"): 0,
    ("UnknownStages", "ticket"): 60,
    ("SourceSilent", "ticket"): 0,
    ("DiskFull", "page"): 900,
}
PROMISES = ("WebhooksFailing", "EventsLate", "MailsLate")
Breaking = Callable[[WatchedSite, DiskExporter], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class AlertFault:
    """`breaking`: the fault lasts while it is entered. `before`: lasts from before the watch begins.

    `alerts`: name and severity of exactly what fires. `waits`: how long a rule takes here, where that is longer than
    usual. `quiet`: no traffic.
    """

    name: str
    breaking: Breaking
    alerts: Mapping[str, str]
    waits: Mapping[str, int] = field(default_factory=dict)
    has_second_detector: bool = False
    clock_ahead: int = 0
    is_quiet: bool = False

    def expected(self) -> dict[tuple[str, str], int]:
        """Seconds that each rule takes at full times."""
        return {one: self.waits.get(one[0], RULE_SECONDS[one]) for one in self.alerts.items()}


def stopped(name: str) -> Breaking:
    """A server is shut down, and started again."""

    @asynccontextmanager
    async def breaking(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
        server = site.kafka if name == "kafka" else site.postgres
        await asyncio.to_thread(server.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(server.start, 180)

    return breaking


def hung(name: str) -> Breaking:
    """A server accepts connections and answers nothing."""

    @asynccontextmanager
    async def breaking(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
        site.signal_server(name, signal.SIGSTOP)
        try:
            yield
        finally:
            site.signal_server(name, signal.SIGCONT)

    return breaking


def frozen(replica: str) -> Breaking:
    """A process stands still."""

    @asynccontextmanager
    async def breaking(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
        site.services[replica].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            site.services[replica].send_signal(signal.SIGCONT)

    return breaking


@asynccontextmanager
async def mail_stopped(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
    """The mail server is away, and a mail waits."""
    await asyncio.to_thread(site.mails.stop)
    await site.problem()
    try:
        yield
    finally:
        await asyncio.to_thread(site.mails.start)


def mail_answers(step: str, answer: str) -> Breaking:
    """The mail server refuses."""

    @asynccontextmanager
    async def breaking(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
        site.mails.answers[step] = answer
        await site.problem()
        try:
            yield
        finally:
            site.mails.answers.clear()

    return breaking


@asynccontextmanager
async def mail_slow(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
    """The mail server takes a mail, and answers later than we wait."""
    site.mails.answer_after = 20
    await site.problem()
    try:
        yield
    finally:
        site.mails.answer_after = 0
        await site.execute("UPDATE notices.mail SET due = now() WHERE state = 'waiting'")


@asynccontextmanager
async def wrong_secret(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
    """A source that sends ten webhooks an hour, of which none is genuine any more."""

    async def send() -> None:
        while True:
            await site.move("quiet", 1, "y0", secret="another-secret")
            await asyncio.sleep(360 / 15)

    task = asyncio.create_task(send())
    try:
        yield
    finally:
        task.cancel()
        await site.move("quiet", 1, "y1")


@asynccontextmanager
async def garbage(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
    """A genuine request that says nothing; in the end somebody says that nothing is to be done."""
    await site.post("crm", b"[{]")
    try:
        yield
    finally:
        command = [sys.executable, "-m", "services.cli.main", "dead-letters", "dismiss", "--all"]
        await asyncio.to_thread(subprocess.run, command, env=os.environ | site.environment, check=True)


@asynccontextmanager
async def unknown_stage(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
    """A deal moves to a stage that the policy does not have, and back."""
    await site.move("crm", 500, "trial")
    try:
        yield
    finally:
        await site.move("crm", 500, "y0")


@asynccontextmanager
async def silent_over_a_restart(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
    """A source was last heard two days ago, and intake is restarted."""
    await site.execute(
        "UPDATE flow.receipt_hour SET instants ="
        " (SELECT array_agg(one - 172800000000) FROM unnest(instants) AS one) WHERE source = 'quiet'"
    )
    intake = site.services["intake"]
    await asyncio.to_thread(intake.stop)
    await asyncio.to_thread(intake.start().ready)
    try:
        yield
    finally:
        await site.move("quiet", 1, "y0")


@asynccontextmanager
async def disk_nearly_full(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
    """4 % are free."""
    before, disk.free = disk.free, 0.04
    try:
        yield
    finally:
        disk.free = before


@asynccontextmanager
async def nothing(site: WatchedSite, disk: DiskExporter) -> AsyncIterator[None]:
    """All is well."""
    yield


FAULTS = (
    AlertFault(
        "kafka-stopped", stopped("kafka"), {"WebhooksFailing": "page", "EventsLate": "page", "DependencyDown": "ticket"}
    ),
    AlertFault("postgres-stopped", stopped("postgres"), {"EventsLate": "page", "DependencyDown": "ticket"}),
    AlertFault("mail-stopped", mail_stopped, {"MailsLate": "page", "MailsWaiting": "ticket"}, {"MailsLate": 900}),
    AlertFault("detector-frozen", frozen("detector"), {"EventsLate": "page", "ServiceDown": "ticket"}),
    AlertFault("wrong-secret", wrong_secret, {"RequestsRefused": "ticket"}),
    AlertFault(
        "kafka-hung", hung("kafka"), {"WebhooksFailing": "page", "EventsLate": "page", "DependencyDown": "ticket"}
    ),
    AlertFault("postgres-hung", hung("postgres"), {"EventsLate": "page", "DependencyDown": "ticket"}),
    AlertFault(
        "mail-refuses",
        mail_answers("MAIL", "553 5.1.8 sender address rejected"),
        {"MailsLate": "page", "MailsWaiting": "ticket"},
        {"MailsLate": 900},
    ),
    AlertFault("mail-slow", mail_slow, {"MailsUnanswered": "ticket"}),
    AlertFault("replica-frozen", frozen("detector 2"), {"ReplicaDown": "ticket"}, has_second_detector=True),
    AlertFault("garbage", garbage, {"DeadLettersWaiting": "ticket"}),
    AlertFault("unknown-stage", unknown_stage, {"UnknownStages": "ticket"}),
    AlertFault("source-silent", silent_over_a_restart, {"SourceSilent": "ticket"}),
    AlertFault("disk-nearly-full", disk_nearly_full, {"DiskFull": "page"}),
    AlertFault("clock-ahead", nothing, {}, has_second_detector=True, clock_ahead=3600),
    AlertFault("no-traffic", nothing, {}, is_quiet=True),
)


def clock_of(fault: AlertFault) -> dict[str, str]:
    """Settings of a process whose clock is ahead."""
    return {"PYTHONPATH": f"{CHAOS / 'ahead'}:{CHAOS.parents[1]}", "CHAOS_CLOCK_AHEAD": str(fault.clock_ahead)}
