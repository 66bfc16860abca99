"""Kafka's jars are the locked ones or none."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local_stack import kafka_jars
from deploy.local_stack.kafka_jars import LOCK_PATH, JarError, ensure_jars, parse_lock

_GENUINE = b"genuine"
_LOCK = f"# a comment\norg.example:tool:1.0 sha256:{hashlib.sha256(_GENUINE).hexdigest()} 7\n"


class _FakeRepository:
    """Stands for jgo: writes a jar with this content, or fails first."""

    def __init__(self, staging: Path, content: bytes, failures: int) -> None:
        self.staging = staging
        self.content = content
        self.failures = failures

    def project(self, group: str, artifact: str) -> "_FakeRepository":
        """Takes the first half of a coordinate."""
        assert (group, artifact) == ("org.example", "tool")
        return self

    def at_version(self, version: str) -> "_FakeRepository":
        """Takes the second half of a coordinate."""
        assert version == "1.0"
        return self

    def artifact(self) -> "_FakeRepository":
        """The jar of the coordinate."""
        return self

    def resolve(self) -> Path:
        """Fetches it."""
        if self.failures:
            self.failures -= 1
            raise OSError("no route")
        path = self.staging / "downloaded.jar"
        path.write_bytes(self.content)
        return path


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, int], Path]:
    """Makes a repository that serves this content after so many failures; the jar's place."""

    def make(content: bytes, failures: int) -> Path:
        def fake(staging: Path, _advance: object) -> _FakeRepository:
            return _FakeRepository(staging, content, failures)

        monkeypatch.setattr(kafka_jars, "maven_context", fake)
        return tmp_path / "cache" / "kafka-jars" / "tool-1.0.jar"

    def cache(_application: str) -> Path:
        return tmp_path / "cache"

    def sleep(_seconds: float) -> None:
        return

    lock = tmp_path / "kafka-jars.lock"
    lock.write_text(_LOCK)
    monkeypatch.setattr(kafka_jars, "LOCK_PATH", lock)
    monkeypatch.setattr(kafka_jars.platformdirs, "user_cache_path", cache)
    monkeypatch.setattr(kafka_jars.time, "sleep", sleep)
    return make


def test_the_lock_names_every_jar_once() -> None:
    """The committed lock can be read, and no jar is in it twice."""
    jars = parse_lock(LOCK_PATH.read_text())

    assert any(jar.coordinate.startswith("org.apache.kafka:kafka_2.13:4.") for jar in jars)
    assert len({jar.file_name for jar in jars}) == len(jars)
    assert all(len(jar.sha256) == 64 and jar.size_bytes > 0 for jar in jars)


def test_a_missing_jar_is_fetched(repository: Callable[[bytes, int], Path]) -> None:
    """What is not in the cache folder is fetched, also where the network fails for a moment."""
    path = repository(_GENUINE, 2)

    assert ensure_jars(Console(quiet=True)) == [path]
    assert path.read_bytes() == _GENUINE


def test_a_damaged_jar_is_fetched_again(repository: Callable[[bytes, int], Path]) -> None:
    """A jar in the cache folder is used only with the hash of the lock."""
    path = repository(_GENUINE, 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"genui")

    ensure_jars(Console(quiet=True))

    assert path.read_bytes() == _GENUINE


def test_a_jar_with_another_hash_is_refused(repository: Callable[[bytes, int], Path]) -> None:
    """What the repository serves is not kept, nor run, where it is not what the lock names."""
    path = repository(b"forged", 0)

    with pytest.raises(JarError, match=r"org\.example:tool:1\.0: expected sha256"):
        ensure_jars(Console(quiet=True))

    assert not path.exists()


def test_a_jar_that_cannot_be_had_is_named(repository: Callable[[bytes, int], Path]) -> None:
    """Without a network the error says which jar is missing and why."""
    repository(_GENUINE, 3)

    with pytest.raises(JarError, match=r"org\.example:tool:1\.0 could not be fetched: no route"):
        ensure_jars(Console(quiet=True))
