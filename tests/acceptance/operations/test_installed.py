"""Rollcall as it is installed: a wheel in an environment of its own, away from any checkout.

An environment holds what the wheel's own requirements come to and nothing else. The packages are
those of the tests' environment, linked, so that nothing is fetched.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from deploy.local_stack.ports import free_ports
from schemas import __version__
from tests.support.checkout import CHECKOUT
from tests.support.clients.client import Client
from tests.support.servers.stack_processes import processes_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from pathlib import Path

    from tests.support.servers.surroundings import Ground

_LOCAL_MISSING = "uv tool install 'rollcall-import[local]'"
_ONE_USER = b"First Name,Last Name,Email,Country\nAda,Lovelace,ada@example.com,UK\n"
_READY_S = 90
_STOP_S = 40


@dataclass(frozen=True, slots=True)
class _Installed:
    """An environment with the program in it, and an empty folder to run it in."""

    program: Path
    folder: Path

    @contextmanager
    def running(self, command: str, environ: Mapping[str, str]) -> Generator[None]:
        """A command that runs until it is stopped, as an operator does in the end."""
        log = self.folder.with_name(f"{command}.log")
        with log.open("w") as output:
            process = subprocess.Popen(
                [self.program, command],
                cwd=self.folder,
                env=_without_checkout(environ),
                stdout=output,
                stderr=output,
            )
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(_STOP_S) == 128 + signal.SIGTERM, log.read_text()

    def run(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Its exit status and all that it printed, once it has ended."""
        ended = subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env=_without_checkout(os.environ | environ),
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return ended.returncode, ended.stdout


def _without_checkout(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environ.items() if not name.startswith("PYTHON")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def services_only(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> _Installed:
    """Installed without extras."""
    return _install(wheel, tmp_path_factory.mktemp("plain"), extras=set())


@pytest.fixture(scope="module")
def with_stack(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> _Installed:
    """Installed with the extra `local`."""
    return _install(wheel, tmp_path_factory.mktemp("local"), extras={"local"})


def _install(wheel: Path, folder: Path, *, extras: set[str]) -> _Installed:
    home = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    command = ["uv", "pip", "install", "--offline", "--no-deps", "--python", python, wheel]
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
    packages = next((home / "lib").glob("python*/site-packages"))
    metadata = next(packages.glob("rollcall_import-*.dist-info"))
    _link(_needed(_requirements(metadata), extras), packages)
    (folder / "empty").mkdir()
    return _Installed(home / "bin" / "rollcall", folder / "empty")


def _requirements(metadata: Path) -> list[str]:
    lines = (metadata / "METADATA").read_text().splitlines()
    return [
        line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist")
    ]


def _needed(requirements: Iterable[str], extras: set[str]) -> set[str]:
    """The names of all packages that these requirements come to on this system."""
    found: set[tuple[str, str]] = set()
    left = [(text, extra) for text in requirements for extra in extras | {""}]
    while left:
        text, extra = left.pop()
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in requirement.extras | {""}:
            if (requirement.name, wanted) not in found:
                found.add((requirement.name, wanted))
                further = distribution(requirement.name).requires or []
                left += [(text, wanted) for text in further]
    return {name for name, _ in found}


def _link(names: Iterable[str], packages: Path) -> None:
    for name in names:
        installed = distribution(name)
        tops = {file.parts[0] for file in installed.files or () if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(str(installed.locate_file(top)))


def test_the_wheel_holds_what_runs_and_no_more(wheel: Path) -> None:
    """The data files of the packages are in it; tests, bench and tools are not."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert names >= {
        "deploy/local_stack/kafka-jars.lock",
        "deploy/samples/insert.csv",
        "deploy/samples/producers/SendUsers.java",
        "ingest_api/auth/tables.sql",
        "ingest_api/openapi/pages/index.md",
        "rollcall/client/__init__.py",
        "ingest_api/openapi/viewer/swagger-ui/LICENSE",
        "ingest_api/openapi/viewer/swagger-ui/swagger-ui-bundle.js",
        "schemas/avro/UserRow.avsc",
        "schemas/py.typed",
        "schemas/read_model/tables.sql",
    }
    folders = {name.partition("/")[0] for name in names}
    metadata = f"rollcall_import-{__version__}.dist-info"
    assert folders == {"deploy", "ingest_api", "processor", "rollcall", "schemas", metadata}


def test_the_program_knows_its_version_and_the_commands_that_work(
    services_only: _Installed,
) -> None:
    """Tests and bench need a checkout, so they are no commands here."""
    assert services_only.run("--version") == (0, f"rollcall, version {__version__}\n")

    status, shown = services_only.run("--help")
    commands = {line.split()[0] for line in shown.partition("Commands:")[2].splitlines() if line}
    assert (status, {"up", "demo", "serve", "import"} - commands) == (0, set())
    assert not commands & {"test", "bench", "chaos"}
    assert services_only.run("bench")[0] == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(services_only: _Installed, shell: str) -> None:
    """Without the packages of a command, too."""
    status, script = services_only.run(_ROLLCALL_COMPLETE=f"{shell}_source")
    assert (status, "rollcall" in script) == (0, True)

    def completed(words: str, current: str) -> str:
        at = str(len(words.split())) if shell != "fish" else current
        asked = {"COMP_WORDS": f"{words} {current}", "COMP_CWORD": at}
        return services_only.run(_ROLLCALL_COMPLETE=f"{shell}_complete", **asked)[1]

    assert {"process", "proof"} <= set(completed("rollcall", "pro").replace(",", "\n").split())
    assert "--processors" in completed("rollcall process", "--p")
    assert "Traceback" not in completed("rollcall up", "--d")


def test_what_needs_the_local_stack_says_how_to_install_it(services_only: _Installed) -> None:
    """One sentence, no traceback."""
    for command in ("up", "demo", "psql"):
        status, said = services_only.run(command)
        assert (status, _LOCAL_MISSING in said, "Traceback" in said) == (1, True, False), said


def test_the_services_run_without_the_local_stack(services_only: _Installed, env: Ground) -> None:
    """`serve` and `process` take an import with nothing but the wheel's plain requirements."""
    port = free_ports(1)[0]
    environ = {**env.environ, "ROLLCALL_PORT": str(port)}
    with (
        services_only.running("serve", environ),
        services_only.running("process", environ),
        Client(f"http://127.0.0.1:{port}", env.password) as client,
    ):
        wait_until(client.is_ready, _READY_S, saying="the services are ready")
        assert client.wait_ended(client.submit(_ONE_USER))["inserted"] == 1


def test_demo_runs_away_from_a_checkout(with_stack: _Installed, tmp_path: Path) -> None:
    """Kafka, Postgres, the samples and the services: all come with the wheel."""
    status, shown = with_stack.run("demo", "--exit", "--data-dir", str(tmp_path))

    assert status == 0, shown
    assert shown.count("All counts are as expected.") == 4
    assert not processes_of(tmp_path)
