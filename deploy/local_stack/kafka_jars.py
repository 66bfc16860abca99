"""Fetches the jars of a lock file, once, into the user's cache folder.

Kafka's are those of `kafka-jars.lock`.
"""

import contextlib
import functools
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import truststore
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK_PATH = Path(__file__).with_name("kafka-jars.lock")

_FETCH_ATTEMPTS = 3
_PARALLEL_FETCHES = 6
_FETCH_TIMEOUT_S = 30


class JarError(Exception):
    """Jars cannot be had, or are not the ones that the lock names."""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str
    size_bytes: int

    @property
    def coordinate(self) -> str:
        """`group:artifact:version`."""
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        """The jar's name in the cache folder, the same as in a Maven repository."""
        return f"{self.artifact}-{self.version}.jar"


def parse_lock(text: str) -> list[LockedJar]:
    """Return the jars in the order of the lock; lines that begin with `#` say nothing."""
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return [_parse_line(*words) for words in lines]


def _parse_line(coordinate: str, digest: str, size: str) -> LockedJar:
    group, artifact, version = coordinate.split(":")
    return LockedJar(group, artifact, version, digest.removeprefix("sha256:"), int(size))


def ensure_jars(console: Console) -> list[Path]:
    """Return the paths of Kafka's jars; see `ensure_locked`."""
    return ensure_locked(LOCK_PATH, "Apache Kafka", console)


def ensure_locked(lock: Path, what: str, console: Console) -> list[Path]:
    """Return the paths of all jars, each with the hash that the lock names, in the lock's order.

    Fetches what is missing or damaged, with a progress bar.
    Several processes may do so at once: a jar appears in the cache folder whole or not at all.

    Raises:
        JarError: A jar cannot be fetched, or what was fetched has another hash.
    """
    jars = parse_lock(lock.read_text())
    folder = platformdirs.user_cache_path("rollcall") / "kafka-jars"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if _digest(folder / jar.file_name) != jar.sha256]
    if missing:
        _fetch_all(missing, folder, _progress(what, missing, console))
    return [folder / jar.file_name for jar in jars]


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


_Progress = contextlib.AbstractContextManager[Callable[[int], None]]


def _fetch_all(jars: list[LockedJar], folder: Path, progress: _Progress) -> None:
    with (
        progress as advance,
        tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as staging,
        ThreadPoolExecutor(_PARALLEL_FETCHES) as pool,
    ):
        fetch = functools.partial(
            _fetch, maven=maven_context(Path(staging), advance), folder=folder
        )
        for _ in pool.map(fetch, jars):
            pass


@contextlib.contextmanager
def _progress(
    what: str, jars: list[LockedJar], console: Console
) -> Generator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console) as progress:
        total = sum(jar.size_bytes for jar in jars)
        task = progress.add_task(f"Fetching {what} (once)", total=total)
        yield lambda count: progress.advance(task, count)


def maven_context(staging: Path, advance: Callable[[int], None]) -> "MavenContext":
    """Resolve artifacts into this folder; ``advance`` is told of the bytes that come."""
    # Imported here, because it takes a quarter of a second and is needed on the first start only.
    from jgo.config import GlobalSettings  # noqa: PLC0415 - see above
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - see above
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - see above

    # An authority of a company's proxy is known to the system, not to what comes with requests.
    truststore.inject_into_ssl()

    @contextlib.contextmanager
    def report(_name: str, _size_bytes: int) -> Generator[Callable[[int], None]]:
        yield advance

    # A mirror that the user has configured for jgo is asked before Maven Central.
    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    return MavenContext(
        resolver=PythonResolver(progress_callback=report),
        repo_cache=staging,
        remote_repos=repositories,
        timeout=_FETCH_TIMEOUT_S,
    )


def _fetch(jar: LockedJar, *, maven: "MavenContext", folder: Path) -> None:
    artifact = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    path = _with_retries(jar, artifact.resolve)
    digest = _digest(path)
    if digest != jar.sha256:
        message = f"{jar.coordinate}: expected sha256 {jar.sha256}, got {digest}; it was not kept"
        raise JarError(message)
    # jgo writes in place, so a jar is fetched elsewhere and moved here once its hash is known.
    shutil.move(path, folder / jar.file_name)


def _with_retries(jar: LockedJar, resolve: Callable[[], Path]) -> Path:
    for attempt in range(1, _FETCH_ATTEMPTS + 1):
        try:
            return resolve()
        except (OSError, RuntimeError) as error:  # what requests and jgo raise
            if attempt == _FETCH_ATTEMPTS:
                raise JarError(f"{jar.coordinate} could not be fetched: {error}") from error
            time.sleep(attempt)
    raise AssertionError
