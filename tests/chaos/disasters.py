"""What befalls the world during one wave of live webhooks, beyond kills."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path

import asyncpg
import psutil
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from shared.contracts.topics import ALL_TOPICS, EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import partitions_of
from tests.chaos.world import REPLICATED, World
from tests.support.processes import ServiceProcess
from tests.support.topics import make_anew

# Longer than a transaction may rest, and longer than a member of a group may be silent.
FROZEN_SECONDS = 50.0
AHEAD_SECONDS = 25.0
# Intake by less than the age at which HubSpot's signatures expire.
CLOCKS_AHEAD = {"intake": 120} | dict.fromkeys(REPLICATED, 3600)
AHEAD_FOLDER = Path(__file__).parent / "ahead"
TRIES = 60
IDLE = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND client_port = ANY($1)"
Step = Callable[[], Awaitable[None]]


class Disaster(StrEnum):
    """The value is the option's."""

    FROZEN = "frozen"
    CLOCK = "clock"
    NEW_TOPIC = "new-topic"
    PARTITIONS = "partitions"
    SET_BACK = "set-back"


class Disasters:
    """Each takes `post`, which posts a wave of webhooks, and `settle`, which waits until it shows in the tickets."""

    def __init__(self, world: World, show: Callable[[str], None]) -> None:
        self._world, self._show = world, show
        self.of: Mapping[Disaster, Callable[[Step, Step], Awaitable[None]]] = {
            Disaster.FROZEN: self.freeze,
            Disaster.CLOCK: self.clocks_ahead,
            Disaster.NEW_TOPIC: self.new_topic,
            Disaster.PARTITIONS: self.more_partitions,
            Disaster.SET_BACK: self.set_back,
        }

    async def freeze(self, post: Step, settle: Step) -> None:
        """Freeze the first replicas, each in a transaction where it can be caught in one; the second ones take over."""
        self._world.spared.update(REPLICATED)
        freezing = asyncio.gather(*(self._freeze(self._world.services[name]) for name in REPLICATED))
        _, frozen = await asyncio.gather(post(), freezing)
        thaw_at = time.monotonic() + FROZEN_SECONDS
        self._show(f"frozen, in a transaction: {sum(frozen)} of {len(frozen)}")
        await settle()
        await asyncio.sleep(max(0.0, thaw_at - time.monotonic()))
        for name in REPLICATED:
            self._world.services[name].send_signal(signal.SIGCONT)
        self._world.spared.clear()

    async def clocks_ahead(self, post: Step, settle: Step) -> None:
        """Set the clocks of the first replicas ahead for a while."""
        self._world.spared.update(CLOCKS_AHEAD)
        path = os.pathsep.join([str(AHEAD_FOLDER), os.environ.get("PYTHONPATH", "")])
        for name, seconds in CLOCKS_AHEAD.items():
            ahead = {"PYTHONPATH": path, "CHAOS_CLOCK_AHEAD": str(seconds)}
            await asyncio.to_thread(self._world.replace, name, ahead)
        self._show("clocks are ahead")
        await asyncio.gather(post(), asyncio.sleep(AHEAD_SECONDS))
        for name in CLOCKS_AHEAD:
            await asyncio.to_thread(self._world.replace, name, {})
        self._world.spared.clear()
        await settle()

    async def new_topic(self, post: Step, settle: Step) -> None:
        """Delete `pipeline.events` while webhooks come in, create it again, and have them all posted again."""
        (of_events,) = (topic for topic in ALL_TOPICS if topic.name == EVENTS)
        topic = NewTopic(EVENTS, of_events.partitions, 1, topic_configs=of_events.config)
        self._show("making the topic anew")
        await asyncio.gather(post(), make_anew(self._world.kafka.bootstrap, topic))
        await post()
        await settle()

    async def more_partitions(self, post: Step, settle: Step) -> None:
        """Add two partitions to `pipeline.events` while webhooks come in."""
        bootstrap = self._world.kafka.bootstrap
        count = len(await partitions_of(KafkaAccess(bootstrap), EVENTS)) + 2
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await asyncio.gather(post(), admin.create_partitions({EVENTS: NewPartitions(count)}))
        finally:
            await admin.close()
        assert len(await partitions_of(KafkaAccess(bootstrap), EVENTS)) == count
        await settle()

    async def set_back(self, post: Step, settle: Step) -> None:
        """Set Postgres back to before the webhooks once all of them show."""
        await asyncio.to_thread(self._world.back_up)
        await post()
        await settle()
        self._show("setting Postgres back")
        await asyncio.to_thread(self._world.restore)
        await settle()

    async def _freeze(self, service: ServiceProcess) -> bool:
        """Stop a process; whether it holds a transaction open."""
        connection = await asyncpg.connect(self._world.postgres.dsn)
        try:
            for _ in range(TRIES):
                service.send_signal(signal.SIGSTOP)
                ports = [c.laddr.port for c in psutil.Process(service.pid).net_connections() if c.raddr]
                # The server may still be at work on its last command.
                await asyncio.sleep(0.02)
                if await connection.fetchval(IDLE, ports):
                    return True
                service.send_signal(signal.SIGCONT)
                await asyncio.sleep(self._world.chance.uniform(0, 0.1))
            service.send_signal(signal.SIGSTOP)
            return False
        finally:
            await connection.close()
