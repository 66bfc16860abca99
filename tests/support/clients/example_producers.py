"""The example producers as programs of their own, run as a reader of the guide would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.console import Console

from deploy.local_stack.java import find_java
from deploy.local_stack.kafka_jars import ensure_locked
from deploy.local_stack.lock_jars import JAVA_LOCK
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.servers.surroundings import Ground

FOLDER = JAVA_LOCK.parent
SCHEMA = CHECKOUT / "schemas" / "avro" / "UserRow.avsc"
LANGUAGES = ("python", "java")
_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that Kafka acknowledged, as the program told it."""

    event_id: str
    key: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a run of a program."""

    status: int
    sent: list[Sent]
    told: str


def sample(domain: str) -> list[dict[str, Any]]:
    """The sample users, all of this domain, with event ids of their own."""
    text = (FOLDER / "users.jsonl").read_text()
    text = text.replace("@example.com", f"@{domain}").replace("@Example.com", f"@{domain.title()}")
    return [json.loads(line.replace("crm-", f"{domain}-")) for line in text.splitlines()]


@dataclass(frozen=True, slots=True)
class ExampleProducers:
    """The programs, sending to the log of an installation; ``folder`` is for their files."""

    env: Ground
    folder: Path

    def send(self, language: str, users: Iterable[dict[str, Any]]) -> Run:
        """Run the program of that language over these users, in that order."""
        file = self.folder / "users.jsonl"
        file.write_text("".join(f"{json.dumps(user)}\n" for user in users), encoding="utf-8")
        done = _run(self._python(file) if language == "python" else self._java(file))
        sent = [
            Sent(event_id, key, int(partition), int(offset))
            for event_id, key, partition, offset in map(str.split, done.stdout.splitlines())
        ]
        return Run(done.returncode, sent, done.stderr)

    def _python(self, file: Path) -> list[str]:
        options = {
            "bootstrap-servers": self.env.surroundings.bootstrap_servers,
            "topic": self.env.settings.topics.user_events.name,
            "schema": str(SCHEMA),
        }
        # Isolated: nothing of this checkout can be imported.
        program = [sys.executable, "-I", str(FOLDER / "send_users.py"), str(file)]
        return program + [f"--{name}={value}" for name, value in options.items()]

    def _java(self, file: Path) -> list[str]:
        if not (self.folder / "SendUsers.class").exists():
            _compile(self.folder)
        options = {
            "bootstrap.servers": self.env.surroundings.bootstrap_servers,
            "topic": self.env.settings.topics.user_events.name,
            "schema": str(SCHEMA),
            "file": str(file),
        }
        class_path = os.pathsep.join([str(self.folder), _jars()])
        # Of this small program half the time goes into compiling what runs a moment.
        program = [str(find_java()), "-XX:TieredStopAtLevel=1", "-cp", class_path, "SendUsers"]
        return program + [f"{name}={value}" for name, value in options.items()]


def _compile(folder: Path) -> None:
    """SendUsers for Java 17, without a warning.

    By a compiler that is a jar, because the Java of the wheel has none.
    """
    options = ["-17", "-encoding", "UTF-8", "-failOnWarning", "-d", str(folder), "-cp", _jars()]
    program = [str(find_java()), "-cp", _jars(), _COMPILER]
    done = _run([*program, *options, str(FOLDER / "SendUsers.java")])
    assert done.returncode == 0, done.stderr


@cache
def _jars() -> str:
    jars = ensure_locked(JAVA_LOCK, "the example's jars", Console(quiet=True))
    return os.pathsep.join(str(jar) for jar in jars)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, encoding="utf-8", timeout=_TIMEOUT_S
    )
