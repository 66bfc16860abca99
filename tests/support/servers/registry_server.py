"""A real schema registry for tests: Apicurio's, by its Confluent-compatible API.

The distribution is fetched once into the user's cache folder and must have the hash below.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2
import platformdirs

from deploy.local_stack import kafka_jars
from deploy.local_stack.java import find_java
from deploy.local_stack.ports import HOST, free_ports
from deploy.processes.child import Child, ChildSpec
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

_GROUP: Final = "io.apicurio"
_ARTIFACT: Final = "apicurio-registry-app"
_VERSION: Final = "3.3.3"
_SHA256: Final = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
_START_TIMEOUT_S: Final = 120
_STOP_TIMEOUT_S: Final = 15
_API: Final = "/apis/ccompat/v7"
_JVM_OPTIONS: Final = (
    "-Xmx384m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
)


class RegistryServer:
    """One registry; what it holds is kept when it is started again, on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_ports(1)[0]
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """What ``ROLLCALL_SCHEMA_REGISTRY_URL`` is set to."""
        return f"http://{HOST}:{self._port}{_API}"

    def start(self) -> None:
        """It answers on return."""
        properties = {
            "quarkus.http.host": HOST,
            "quarkus.http.port": self._port,
            "quarkus.management.host": HOST,
            "quarkus.management.port": 0,
            "apicurio.storage.kind": "sql",
            "apicurio.storage.sql.kind": "h2",
            "apicurio.datasource.url": f"jdbc:h2:file:{self._folder / 'registry'}",
        }
        options = [f"-D{name}={value}" for name, value in properties.items()]
        jar = str(_ensure_distribution() / "quarkus-run.jar")
        self._child = Child(
            ChildSpec(
                name="schema registry",
                command=[str(find_java()), *_JVM_OPTIONS, *options, "-jar", jar],
                environment={"PATH": os.environ["PATH"]},
                log_path=self._folder / "registry.log",
                cwd=self._folder,
            )
        )
        wait_until(self._answers, _START_TIMEOUT_S, saying="the schema registry answers")

    def _answers(self) -> bool:
        child = self._child
        if child is None or child.poll() is not None:
            log = (self._folder / "registry.log").read_text(errors="replace")
            raise AssertionError(f"the schema registry has ended: {log[-3000:]}")
        with contextlib.suppress(httpx2.HTTPError):
            return httpx2.get(f"{self.url}/subjects", timeout=60).status_code == 200
        return False

    def stop(self) -> None:
        """It refuses connections on return."""
        if self._child is not None:
            self._child.stop(_STOP_TIMEOUT_S)

    def subjects(self) -> set[str]:
        """The subjects that it holds."""
        return set(httpx2.get(f"{self.url}/subjects", timeout=60).raise_for_status().json())

    def register(self, subject: str, schema: str) -> int:
        """The id of a schema, registered under this subject."""
        return int(self.offer(subject, schema).raise_for_status().json()["id"])

    def offer(self, subject: str, schema: str) -> httpx2.Response:
        """The answer to registering a schema under this subject."""
        path = f"{self.url}/subjects/{subject}/versions"
        return httpx2.post(path, json={"schema": schema}, timeout=60)

    def hold_to(self, subject: str, level: str) -> None:
        """Hold a subject's versions to this level of compatibility."""
        body: dict[str, Any] = {"compatibility": level}
        httpx2.put(f"{self.url}/config/{subject}", json=body, timeout=60).raise_for_status()


@contextlib.contextmanager
def registry_server() -> Generator[RegistryServer]:
    """A registry that answers, and is gone afterwards with all that it held."""
    with tempfile.TemporaryDirectory(prefix="rollcall-registry-") as folder:
        server = RegistryServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _ensure_distribution() -> Path:
    """The folder of the unpacked distribution; there as a whole or not at all."""
    home = platformdirs.user_cache_path("rollcall") / "schema-registry" / _SHA256[:16]
    if home.exists():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="fetching-") as staging:
        archive = _fetch(Path(staging))
        unpacked = Path(staging, "unpacked")
        with tarfile.open(archive) as tar:
            tar.extractall(unpacked, filter="data")
        with contextlib.suppress(FileExistsError, OSError):  # another process was faster
            shutil.move(unpacked, home)
    assert home.exists()
    return home


def _fetch(staging: Path) -> Path:
    maven = kafka_jars.maven_context(staging, lambda _bytes: None)
    project = maven.project(_GROUP, _ARTIFACT).at_version(_VERSION)
    path = project.artifact(classifier="all", packaging="tar.gz").resolve()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    assert digest == _SHA256, f"{_ARTIFACT} {_VERSION} has another hash: {digest}"
    return path
