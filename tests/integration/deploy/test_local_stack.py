"""The local stack on this machine: what it keeps, and what it never leaves behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local_stack.data_dir import DataDir, DataDirInUseError, NoStackError
from deploy.local_stack.leftovers import has_ended
from deploy.local_stack.stack import LocalStack
from tests.support.servers.stack_processes import processes_of
from tests.support.waiting import wait_until

# A parent that says "ready" once its stack is, and then waits to be killed.
_PARENT = """
import pathlib, sys, time
from deploy.local_stack.leftovers import has_ended
from deploy.local_stack.stack import LocalStack
with LocalStack(pathlib.Path(sys.argv[1])) as stack:
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that runs a stack on `tmp_path`."""
    command = [sys.executable, "-c", _PARENT, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.send_signal(signal.SIGINT)


def test_kill_of_the_parent_loses_nothing_and_leaves_no_process(
    parent: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """After kill -9 of its parent a stack starts again with all it held."""
    addresses = DataDir(tmp_path).running_stack()
    _write_row(addresses.conninfo)
    _write_record(addresses.bootstrap_servers)
    old = processes_of(tmp_path)

    parent.kill()
    parent.wait()
    with LocalStack(tmp_path) as stack:
        assert not [process for process in old if not has_ended(process)]
        assert _read_row(stack.conninfo) == (7,)
        assert _read_record(stack.bootstrap_servers) == b"seven"
    assert not processes_of(tmp_path)


def test_servers_end_with_their_parent(parent: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """On Linux no server outlives a killed parent, even where no second start follows."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells a child that its parent has died")
    old = processes_of(tmp_path)
    assert old

    parent.kill()
    parent.wait()

    wait_until(lambda: all(has_ended(process) for process in old), 30)


def test_two_stacks_never_share_a_folder(parent: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A second start on a folder in use is refused and names the process that uses it."""
    with pytest.raises(DataDirInUseError, match=f"in use by process {parent.pid};"):
        LocalStack(tmp_path).__enter__()

    assert DataDir(tmp_path).running_stack().is_answering()


def test_killed_servers_can_be_launched_again(tmp_path: Path) -> None:
    """A broker and a database server that were killed come back with what they held."""
    with LocalStack(tmp_path) as stack:
        _write_row(stack.conninfo)
        _write_record(stack.bootstrap_servers)

        stack.postgres.child.kill()
        stack.kafka.child.kill()
        stack.postgres.launch()
        stack.kafka.launch()
        stack.postgres.wait_ready(60)
        stack.kafka.wait_ready(60)

        assert _read_row(stack.conninfo) == (7,)
        assert _read_record(stack.bootstrap_servers) == b"seven"


def test_a_stopped_stack_is_known_to_be_stopped(tmp_path: Path) -> None:
    """A folder whose stack has stopped, or never ran, says so."""
    with pytest.raises(NoStackError, match="no stack runs on"):
        DataDir(tmp_path).running_stack()


def _write_row(conninfo: str) -> None:
    with psycopg.connect(conninfo) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")


def _read_row(conninfo: str) -> tuple[int] | None:
    with psycopg.connect(conninfo) as connection:
        return connection.execute("SELECT n FROM kept").fetchone()


def _write_record(bootstrap_servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result()
    producer = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all"})
    producer.produce("kept", b"seven")
    assert producer.flush(60) == 0


def _read_record(bootstrap_servers: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "kept"})
    consumer.assign([TopicPartition("kept", 0, 0)])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    return message.value()
