"""Wires the notifier: a consumer that writes notices, a sender, a relay for results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from services.notifier.bounces.door import BounceDoor
from services.notifier.bounces.returned import BounceMailboxHandler
from services.notifier.canary import with_canary
from services.notifier.dead_letter_watch import DeadLetterWatch
from services.notifier.delivery.queue import MailQueue, QueueTimes
from services.notifier.delivery.sender import Sender
from services.notifier.delivery.smtp import SmtpServer
from services.notifier.delivery.trial_mails import TrialMails
from services.notifier.domain.links import Links
from services.notifier.domain.readers import MailReaders
from services.notifier.handlers import NoticeHandler
from services.notifier.hooks.config import load as load_hooks
from services.notifier.hooks.loops import Hooks
from services.notifier.metrics import NotifierMetrics
from services.notifier.preferences import Preferences
from services.notifier.reminders import Reminders
from services.notifier.render.compose import Composer
from services.notifier.settings import NotifierSettings
from services.notifier.store import retention
from services.notifier.store.signing_key import signing_key
from services.notifier.web.pages import PreferencePages
from services.notifier.writing import NoticeWriter
from shared.contracts.dead import DeadReason
from shared.contracts.topics import NOTICES, NOW, POLICY, TICKETS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import Publisher
from shared.policy import Policy
from shared.postgres.metrics import PostgresMetrics
from shared.postgres.pool import TRANSIENT, Pool, open_pool
from shared.postgres.pruning import Retention
from shared.postgres.schema_check import check_schema
from shared.runtime.addresses import LOOPBACK
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.health import Progress
from shared.runtime.known_hosts import KnownHosts
from shared.runtime.log import logger
from shared.runtime.loop_delay import LoopDelay
from shared.runtime.mailbox_poll import MailboxPoll
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.page_body_limit import PageBodyLimit
from shared.runtime.renewal import ServiceRenewal
from shared.runtime.service import Loop, Service, every, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.runtime.stuck import StuckWatch
from shared.stream import policies
from shared.stream.consumer import Consumer, Handle
from shared.stream.dependencies import dependencies_of
from shared.stream.outbox import Relay
from shared.stream.policy_follower import PolicyWatch, policy_loops
from shared.stream.positions import StoredPositions
from shared.stream.processor import Processor
from shared.stream.reader import Subscription
from shared.stream.transaction import PostgresTransactions

_log = logger(__name__)
MEASURE_SECONDS = 5.0
_LAST_BACKUP = "SELECT extract(epoch FROM max(finished_at))::float8 FROM backup"
# Many times the form of a reader with every reason.
MAX_BODY_BYTES = 64 * 1024
# A claim on a mail that waits for its turn. Nothing is sent under it.
LEASE = timedelta(minutes=2)
# The claim of a mail that is being sent outlasts the longest send by the time to mark it.
MARK = timedelta(seconds=20)
# Time to mark mails after a restart of the database, before other replicas take over claims that ran out.
SETTLE = timedelta(seconds=10)


class Notifier:
    """The loops of one replica. Raises FaultsError where the hooks file cannot be used."""

    def __init__(
        self,
        settings: NotifierSettings,
        policy: Policy,
        pool: Pool,
        registry: CollectorRegistry,
        links: Links,
        watch: PolicyWatch | None = None,
    ) -> None:
        clock, metrics = SystemClock(), NotifierMetrics(registry)
        self._pool, self._metrics = pool, metrics
        receivers = load_hooks(settings.notifier_hooks, policy, settings.hooks_reachable)
        self._hooks = Hooks(settings, receivers, pool, registry)
        self.progress, self.dependencies = Progress(), dependencies_of("notifier", settings, registry)
        self._relay = Relay(pool, Publisher(KafkaAccess.of(settings)), OutboxMetrics(registry), self.progress)
        wake, topic, readers = self._relay.wake.set, settings.topic(NOTICES), MailReaders(policy)
        self._sender = build_sender(settings, pool, policy, links, metrics, self.progress, clock, wake)
        mail_every = timedelta(seconds=settings.notifier_mail_every_seconds)
        writer = NoticeWriter(readers, mail_every, settings.domain, topic, clock)
        own = NoticeHandler(writer, self._hooks.writer, policy.timezone, settings.follows_log, self._written)
        processor = Processor(
            PostgresTransactions(pool),
            with_canary(own, settings, clock, self._written),
            settings.topic_prefix,
            lambda record: clock.now(),
            self._dead,
            wake,
        )
        consumed = ConsumerMetrics.of_topics(registry, {settings.topic(name): name for name in (TICKETS, NOW, POLICY)})
        self._consumer = _consumer(settings, pool, processor.run, consumed, self.progress)
        followed = settings, pool, consumed, self.progress
        self._policy_loops = policy_loops("notifier", *followed, watch, self._dead, wake) if watch else ()
        self._reminders = Reminders(
            pool, policy, writer, self._hooks.writer, self.progress, settings.follows_log, self._written
        )
        self._retention = Retention(partial(retention.prune, pool), timedelta(days=settings.notifier_keep_days), clock)
        self.preferences = Preferences(pool, policy, readers, links, metrics, topic, clock, wake)
        self._returned = _returned(settings, self.preferences)
        self._measures = PostgresMetrics(pool, "notices", registry).run, LoopDelay(registry).run
        self._dead_letters = DeadLetterWatch(KafkaAccess.of(settings), settings.topic_prefix, registry)

    def loops(self) -> Sequence[Loop]:
        return (
            self._consumer.run,
            self._sender.run,
            self._reminders.run,
            self._relay.run,
            self._retention.run,
            self.dependencies.run,
            self._measure_forever,
            self._dead_letters.run,
            *self._measures,
            *self._returned,
            *self._hooks.loops(),
            *self._policy_loops,
        )

    def _dead(self, reason: DeadReason) -> None:
        self._metrics.dead.inc()

    def _written(self) -> None:
        """Changes and reminders may have made mails and messages due, and dropped others."""
        self._sender.wake.set()
        self._hooks.wake()
        self._relay.wake.set()

    async def _measure_forever(self) -> None:
        await every(MEASURE_SECONDS, self._measure)

    async def _measure(self) -> None:
        await self._sender.measure()
        await self._hooks.measure()
        try:
            await self.preferences.measure()
            if (finished := await self._pool.fetchval(_LAST_BACKUP)) is not None:
                self._metrics.backup.set(finished)
        except TRANSIENT as error:
            _log.warning("metrics refresh failed: database unavailable", error=repr(error))


def _returned(settings: NotifierSettings, preferences: Preferences) -> list[Loop]:
    """The ways of returned mails that are switched on."""
    found: list[Loop] = []
    if settings.notifier_bounce_port:
        found.append(BounceDoor(settings.host, settings.notifier_bounce_port, preferences).run)
    if access := settings.bounce_mailbox:
        every_seconds = settings.notifier_bounce_imap_every_seconds
        found.append(MailboxPoll(access, BounceMailboxHandler(preferences), every_seconds, TRANSIENT).run)
    return found


def build_sender(
    settings: NotifierSettings,
    pool: Pool,
    policy: Policy,
    links: Links,
    metrics: NotifierMetrics,
    progress: Progress,
    clock: Clock,
    published: Callable[[], None],
) -> Sender:
    """The sender of one replica. `published` is called when results are in the outbox."""
    server = SmtpServer(settings)
    hand_over = timedelta(seconds=server.send_seconds) + MARK
    times = QueueTimes(LEASE, hand_over, SETTLE, timedelta(seconds=settings.notifier_mail_every_seconds))
    trial = TrialMails(timedelta(seconds=settings.canary_mail_every_seconds))
    queue = MailQueue(pool, settings.topic(NOTICES), published, times)
    composer = Composer(settings.smtp_sender, settings.domain, policy, links, settings.read_links)
    return Sender(queue, server, composer, MailReaders(policy), links, metrics, progress, clock, trial)


def _consumer(
    settings: NotifierSettings,
    pool: Pool,
    handle: Handle,
    consumed: Mapping[str, ConsumerMetrics],
    progress: Progress,
) -> Consumer:
    names = [settings.topic(topic) for topic in (TICKETS, NOW)]
    return Consumer(
        Subscription(KafkaAccess.of(settings), names, settings.topic("andon-notifier"), max_records=100),
        handle,
        StoredPositions(pool, names),
        {topic: consumed[topic] for topic in names},
        progress,
    )


def application(settings: NotifierSettings, routes: Sequence[BaseRoute]) -> Starlette:
    """Answers to its own host names only: nobody signs in at `/addresses`."""
    known = Middleware(
        KnownHosts,
        hosts=settings.hosts,
        setting="ANDON_NOTIFIER_URL",
        are_machines_free=settings.host not in LOOPBACK,
    )
    return Starlette(routes=routes, middleware=[known, Middleware(PageBodyLimit, max_bytes=MAX_BODY_BYTES)])


@asynccontextmanager
async def build(settings: NotifierSettings) -> AsyncIterator[Service]:
    """Connect and wire the parts."""
    if settings.sends_password_in_clear:
        _log.warning(
            "the password for the mail server crosses the network unencrypted: set ANDON_SMTP_SECURITY to starttls or"
            " tls, or remove ANDON_SMTP_USERNAME"
        )
    if settings.takes_returned_mails and not settings.notifier_bounce_domain:
        _log.warning("no mail is returned to the bounce port or mailbox: set ANDON_NOTIFIER_BOUNCE_DOMAIN, too")
    policies.check_file(settings)
    pool = await open_pool(settings.dsn, "notices")
    try:
        await check_schema(pool, "notices")
        found = await policies.policy_in_force(settings, pool)
        registry, renewal = new_registry(settings.revision), ServiceRenewal()
        links = Links(await signing_key(pool), settings.notifier_url, settings.notifier_bounce_domain)
        watch = PolicyWatch(pool, renewal, found.version, registry)
        notifier = Notifier(settings, found.policy, pool, registry, links, watch)
        pages = PreferencePages(notifier.preferences)
        health = health_routes(notifier.progress, notifier.dependencies, registry)
        stuck = StuckWatch(notifier.progress, notifier.dependencies, settings.stuck_seconds)
        loops = [*notifier.loops(), stuck.run]
        yield Service(application(settings, [*health, *pages.routes()]), loops, renewal)
    finally:
        await pool.close()


def main() -> None:
    """`andon notifier`."""
    run_service("notifier", NotifierSettings, build)
