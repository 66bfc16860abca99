"""Fixtures of the whole suite: one broker and one database for all, names of its own a test."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import settings

from deploy.local_stack import kafka_jars, postgres
from tests.support.scheduling import FewServers
from tests.support.servers.busy_loops import busy_loops
from tests.support.servers.java_cache import java_cache
from tests.support.servers.registry_server import registry_server
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import (
    ground,
    own_servers,
    shared_surroundings,
    surroundings,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import FrameType

    from deploy.local_stack.stack import LocalStack
    from tests.support.servers.registry_server import RegistryServer
    from tests.support.servers.services import Service
    from tests.support.servers.surroundings import Ground, Surroundings

_LOG_TAIL_CHARACTERS = 6000
_TESTS = Path(__file__).parent
_UNITS = _TESTS / "unit"
_FILES = pytest.StashKey[str]()
"""The folder of the session's temporary files."""

# How long an example takes is the machine's matter, and no fact of what is tested.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--under-load``: the tests must pass beside four busy loops; others: see .ci/versions."""
    parser.addoption("--under-load", action="store_true", help="run beside four busy loops")
    parser.addoption("--postgres", type=Path, help="the folder of another PostgreSQL's programs")
    parser.addoption("--kafka", type=Path, help="the lock file of another Kafka's jars")


@pytest.hookimpl(tryfirst=True)  # before the folder is read
def pytest_configure(config: pytest.Config) -> None:
    """SIGTERM ends the session like Ctrl-C, so that no process is left behind.

    A shell has its background jobs ignore Ctrl-C, and so would the commands under test.
    """
    if programs := config.getoption("--postgres"):
        postgres.binary = programs.joinpath
        postgres.LOCALE = ("--locale=C.UTF-8",)  # before version 17 none is built in
    if jars := config.getoption("--kafka"):
        kafka_jars.LOCK_PATH = jars
    signal.signal(signal.SIGTERM, _end_session)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Commands find stacks of the user who runs the tests, and those of other tests' processes.
    state = tempfile.TemporaryDirectory(prefix="rollcall-state-")
    config.add_cleanup(state.cleanup)
    os.environ["XDG_STATE_HOME"] = state.name
    # Each of hundreds of processes would compile all of its libraries again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if hasattr(config, "workerinput"):
        return  # of xdist; the session that started it has what follows
    if config.option.basetemp is None:
        # Root's sessions share a folder else, which each closes to others as it starts: a Postgres
        # that runs as another user could then not reach its files.
        config.stash[_FILES] = tempfile.mkdtemp(prefix="rollcall-tests-")
        config.option.basetemp = config.stash[_FILES]
    if config.getoption("under_load"):
        stack = ExitStack()
        stack.enter_context(busy_loops())
        config.add_cleanup(stack.close)


@pytest.hookimpl(trylast=True)  # once the processes of xdist have ended
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """The files of a session that failed stay, to be looked at."""
    if exitstatus == pytest.ExitCode.OK and (files := session.config.stash.get(_FILES, None)):
        shutil.rmtree(files, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """The processes of xdist share one broker and one database; unit tests need none."""
    if all(Path(name.partition("::")[0]).resolve().is_relative_to(_UNITS) for name in config.args):
        return
    stack = ExitStack()
    config.add_cleanup(stack.close)
    stack.enter_context(java_cache())
    stack.enter_context(shared_surroundings())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FewServers | None:
    """Where files are handed out whole, those that break servers are kept together."""
    return FewServers(config, log) if config.getoption("dist") == "loadfile" else None


def _end_session(_signal: int, _frame: FrameType | None) -> None:
    pytest.exit("terminated", returncode=143)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays: the garbage collector looks through none of it, now and later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder, or by the fixtures it uses where they say more."""
    for item in items:
        item.add_marker(_marker_of(item))


def _marker_of(item: pytest.Item) -> str:
    fixtures: list[str] = getattr(item, "fixturenames", [])
    folder = item.path.relative_to(_TESTS).parts[0]
    if folder in {"acceptance", "chaos"} or "services" in fixtures:
        return "acceptance"
    if folder == "integration" or {"env", "surroundings_of_session", "registry"} & set(fixtures):
        return "integration"
    return "unit"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A test may configure the logs of its process, as commands do: they are as before afterwards.

    Else a later test would write to a stream that was closed with this one.
    """
    handlers, level = list(logging.root.handlers), logging.root.level
    yield
    logging.root.handlers = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def surroundings_of_session() -> Iterator[Surroundings]:
    """The real broker and the real database."""
    with surroundings() as found:
        yield found


@pytest.fixture(scope="session")
def breakable_surroundings() -> Iterator[Surroundings]:
    """A broker and a database that tests of other processes don't notice the end of."""
    with own_servers() as found:
        yield found


@pytest.fixture
def stack(breakable_surroundings: Surroundings) -> LocalStack:
    """The servers that the test breaks: its database and its topics are on them."""
    assert breakable_surroundings.stack is not None
    return breakable_surroundings.stack


@pytest.fixture
def env(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """A database, topic names and a group of the test's own."""
    is_breaking = "stack" in request.fixturenames
    of = "breakable_surroundings" if is_breaking else "surroundings_of_session"
    with ground(request.getfixturevalue(of)) as made:
        yield made


@pytest.fixture
def services(env: Ground, tmp_path: Path) -> Iterator[Services]:
    """The test's processes; whatever still runs at the end is killed."""
    with Services(env.environ, tmp_path) as started:
        yield started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its processes wrote last."""
    report = yield
    if report.failed:
        for service in _services_of(item):
            text = service.log_end(_LOG_TAIL_CHARACTERS)
            report.sections.append((f"log of {service.name}", text))
    return report


def _services_of(item: pytest.Item) -> list[Service]:
    """The processes of the test, or of the installation that it shares with others."""
    used: dict[str, Any] = getattr(item, "funcargs", {})
    found = {id(value): value for value in used.values() if isinstance(value, Services)}
    shared = [value.services for value in used.values() if isinstance(value, Rig)]
    found |= {id(services): services for services in shared}
    return [service for services in found.values() for service in services.started]


@pytest.fixture(scope="session")
def registry() -> Iterator[RegistryServer]:
    """A real schema registry; each test has subjects of its own by its topics' names."""
    with registry_server() as started:
        yield started
