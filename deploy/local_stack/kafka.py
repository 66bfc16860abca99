"""Runs Apache Kafka as a child process: one node, broker and KRaft controller in one."""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local_stack.ports import HOST, keep_or_choose_ports
from deploy.processes.child import Child, ChildSpec
from schemas.clients.kafka import make_admin

STOP_TIMEOUT_S = 15

_CLUSTER_ID = "Um9sbGNhbGwtbG9jYWwtMQ"  # any 16 bytes; these are "Rollcall-local-1"

JVM_OPTIONS = (
    # 512 MB is twice what a broker under full load of one machine came to use.
    "-Xmx512m",
    # On two cores the broker is ready in 2.7 s with these and in 4.0 s without, and takes as
    # many records a second: its work is in the kernel, not in compiled code.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)

PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=BROKER://{host}:{broker_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=BROKER://{host}:{broker_port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
# A broker that was killed may register again only after its session has ended (default 9 s).
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
# The default takes 128 MB of heap from the start.
log.cleaner.dedupe.buffer.size=16777216
"""

_LOGGING = """\
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={log}
appender.file.filePattern={log}.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %p %c{{1}} %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
"""


class KafkaError(Exception):
    """The broker cannot be started."""


@dataclass(frozen=True, slots=True)
class KafkaFiles:
    """The paths of a broker's files."""

    folder: Path
    log_path: Path
    java: Path
    jars: tuple[Path, ...]

    @property
    def data(self) -> Path:
        """The log itself; there once it has been formatted as a whole."""
        return self.folder / "data"

    @property
    def properties(self) -> Path:
        """The broker's configuration, written anew at each start."""
        return self.folder / "server.properties"

    @property
    def unfinished(self) -> Path:
        """The folder where the log is formatted: one cut short is never taken for a whole one."""
        return self.folder / "data.new"


class KafkaServer:
    """One broker and its data.

    Usage: `begin_format()` and `end_format()`, then `launch()` and `wait_ready()`; after `stop()`
    or a death it can be launched again, on the same port.
    """

    def __init__(
        self,
        files: KafkaFiles,
        environment: Mapping[str, str],
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """``properties`` of the broker that take the place of ours."""
        self._files = files
        self._environment = environment
        self._properties = properties or {}
        self._child: Child | None = None
        ports = keep_or_choose_ports(files.folder / "ports.json", 2)
        self._broker_port, self._controller_port = ports

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address, as `host:port`."""
        return f"{HOST}:{self._broker_port}"

    @property
    def child(self) -> Child:
        """The broker's process.

        Raises:
            KafkaError: It was not launched.
        """
        if self._child is None:
            raise KafkaError("Kafka was not launched")
        return self._child

    def begin_format(self) -> None:
        """Begin to format the log, where it has never been used, and returns at once."""
        if self._files.data.exists():
            return
        shutil.rmtree(self._files.unfinished, ignore_errors=True)
        properties = self._write_properties(self._files.unfinished)
        arguments = ("format", "--cluster-id", _CLUSTER_ID, "--config", str(properties))
        self._child = self._run_java("kafka.tools.StorageTool", *arguments)

    def end_format(self) -> None:
        """Wait until what `begin_format` began is done.

        Raises:
            KafkaError: It failed; the broker's log says why.
        """
        if self._files.data.exists():
            return
        status = self.child.wait()
        if status != 0:
            raise KafkaError(self._failure("formatting its log", status))
        self._files.unfinished.rename(self._files.data)

    def launch(self) -> Child:
        """Start the broker and returns its process at once."""
        properties = self._write_properties(self._files.data)
        self._child = self._run_java("kafka.Kafka", str(properties))
        return self._child

    def wait_ready(self, timeout_s: float) -> None:
        """Return once the broker answers.

        Raises:
            KafkaError: It ended instead, or did not answer in time.
        """
        deadline = time.monotonic() + timeout_s
        # librdkafka would print each refused connection; until the broker is up they are expected.
        quiet = {"log_level": 0, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 50}
        admin = make_admin({"bootstrap.servers": self.bootstrap_servers}, quiet)
        while not _answers(admin):
            status = self.child.poll()
            if status is not None:
                raise KafkaError(self._failure("starting", status))
            if time.monotonic() > deadline:
                message = f"Kafka did not answer within {timeout_s} s; see {self._files.log_path}"
                raise KafkaError(message)

    def stop(self) -> None:
        """End the broker in order, or by force where that takes too long; may be repeated."""
        if self._child is not None:
            self._child.stop(STOP_TIMEOUT_S)

    def _write_properties(self, data: Path) -> Path:
        text = PROPERTIES.format(
            host=HOST,
            broker_port=self._broker_port,
            controller_port=self._controller_port,
            data=data,
        )
        # Of a name that comes twice Java takes the last.
        own = "".join(f"{name}={value}\n" for name, value in self._properties.items())
        self._files.properties.write_text(text + own)
        return self._files.properties

    def _run_java(self, *arguments: str) -> Child:
        logging = self._files.folder / "log4j2.properties"
        logging.write_text(_LOGGING.format(log=self._files.log_path))
        class_path = os.pathsep.join(str(jar) for jar in self._files.jars)
        logging_option = f"-Dlog4j2.configurationFile={logging.as_uri()}"
        command = [str(self._files.java), *JVM_OPTIONS, logging_option, "-cp", class_path]
        return Child(
            ChildSpec(
                name="kafka",
                command=[*command, *arguments],
                environment=self._environment,
                log_path=self._files.log_path.with_suffix(".out"),
                cwd=self._files.folder,
            )
        )

    def _failure(self, doing: str, status: int) -> str:
        logs = f"{self._files.log_path} and {self._files.log_path.with_suffix('.out')}"
        return f"Kafka ended with status {status} while {doing}; see {logs}"


def _answers(admin: AdminClient) -> bool:
    try:
        return bool(admin.list_topics(timeout=0.5).brokers)
    except KafkaException:
        return False
