"""What Java has loaded and linked to run Kafka, kept in a file.

With it a broker starts with half the work, and the suite starts dozens. It is made once for each
``.venv``, beside the tests; Java passes over one that does not fit its jars or its options.
Source: JDK Enhancement Proposals 483 and 514, "Ahead-of-Time Class Loading & Linking".
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from confluent_kafka.admin import NewTopic
from rich.console import Console

from deploy.local_stack import kafka, kafka_jars
from deploy.local_stack.java import find_java
from deploy.processes.child import Child, ChildSpec
from schemas.clients.kafka import make_admin, make_consumer, make_producer
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Generator

_OPTIONS: Final = "JDK_JAVA_OPTIONS"
"""Read by every ``java`` that is started."""
_QUIET: Final = "-Xlog:disable"
"""Else each broker writes of a file that is not there yet."""
_TIMEOUT_S: Final = 120


@contextlib.contextmanager
def java_cache() -> Generator[None]:
    """Brokers that are started meanwhile use the file, once it is there; it is made beside them."""
    file = _file()
    os.environ[_OPTIONS] = f"-XX:+IgnoreUnrecognizedVMOptions {_QUIET} -XX:AOTCache={file}"
    if file.exists():
        yield
        return
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=file.parent) as folder:
        making = Child(
            ChildSpec(
                name="java cache",
                command=[sys.executable, "-P", "-m", __name__, folder, str(file)],
                environment=os.environ | {"PYTHONPATH": str(CHECKOUT)},
                log_path=Path(folder, "log"),
            )
        )
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                making.wait(_TIMEOUT_S)
            making.kill()


def _file() -> Path:
    made_of = [kafka_jars.LOCK_PATH.read_text(), *kafka.JVM_OPTIONS]
    digest = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
    return Path(sys.prefix, f"kafka-{digest}.aot")


def _make(folder: Path, file: Path) -> None:
    """Run a broker in the folder for a moment, and have it write the file as it ends."""
    made = folder / file.name
    jars = tuple(kafka_jars.ensure_jars(Console(file=sys.stderr)))
    files = kafka.KafkaFiles(folder, folder / "kafka.log", find_java(), jars)
    environ = {name: value for name, value in os.environ.items() if name != _OPTIONS}
    broker = kafka.KafkaServer(files, environ)
    broker.begin_format()
    broker.end_format()
    kafka.JVM_OPTIONS = (*kafka.JVM_OPTIONS, f"-XX:AOTCacheOutput={made}")
    broker.launch()
    broker.wait_ready(_TIMEOUT_S)
    _use(broker.bootstrap_servers)
    broker.child.ask_to_stop()
    broker.child.wait(_TIMEOUT_S)
    made.rename(file)


def _use(bootstrap_servers: str) -> None:
    """Do once what services do: what is loaded for it is in the file, too."""
    servers, topic = {"bootstrap.servers": bootstrap_servers}, "any"
    admin = make_admin(servers)
    admin.create_topics([NewTopic(topic, 1)])[topic].result(_TIMEOUT_S)
    producer = make_producer(servers)
    producer.produce(topic, b"any")
    producer.flush(_TIMEOUT_S)
    consumer = make_consumer(servers, "any", {"auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    message = consumer.poll(_TIMEOUT_S)
    assert message is not None
    consumer.commit(message=message, asynchronous=False)
    consumer.close()


if __name__ == "__main__":
    _make(*map(Path, sys.argv[1:]))
