"""The packages before the tools of their trades; `.ci/packages` fetches those, and runs this."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from ingest_api.app.settings import ApiSettings
from schemas.config.environment import read
from schemas.config.unknown import unknown_settings
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clients.client import Json

_PACKAGES: Final = CHECKOUT / "deploy" / "packages"
_CHART: Final = _PACKAGES / "helm" / "rollcall"
_EXAMPLE: Final = _PACKAGES / "examples" / "values.yaml"
_OPERATORS: Final = {"ScaledObject", "PodMonitor"}
_TIMEOUT_S: Final = 120


def _run(tool: str, *arguments: str | Path, stdin: str = "") -> str:
    """What the tool prints; it must find no fault."""
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not here: `just packages` fetches it")
    done = subprocess.run(
        [found, *arguments],
        check=False,
        capture_output=True,
        input=stdin,
        text=True,
        timeout=_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_recipe_of_the_image() -> None:
    """By hadolint."""
    _run("hadolint", "--failure-threshold", "info", _PACKAGES / "image" / "Containerfile")


def test_the_compose_file() -> None:
    """By Docker Compose itself, which knows every key."""
    _run("docker-compose", "--file", _PACKAGES / "compose" / "compose.yaml", "config", "--quiet")


def test_every_container_has_a_health_check() -> None:
    """The image's own, or one of the file; and what is mounted is there."""
    compose = yaml.safe_load((_PACKAGES / "compose" / "compose.yaml").read_text())
    others = {
        name
        for name, service in compose["services"].items()
        if service["image"] != "rollcall" and "healthcheck" not in service
    }
    mounted = [
        _PACKAGES / "compose" / volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    ]

    assert others == set()
    assert "\nHEALTHCHECK " in (_PACKAGES / "image" / "Containerfile").read_text()
    assert [path for path in mounted if not path.exists()] == []


def test_the_chart() -> None:
    """By Helm's own lint, with the values of the example."""
    _run("helm", "lint", "--strict", _CHART, "--values", _EXAMPLE)


def _rendered(*arguments: str) -> list[Json]:
    values = ("--values", _EXAMPLE, "--kube-version", "1.34.0")
    text = _run("helm", "template", "r", _CHART, *values, *arguments)
    return [each for each in yaml.safe_load_all(text) if each]


@pytest.mark.parametrize("further", [(), ("--set", "autoscaling.enabled=false")])
def test_what_the_chart_makes_is_of_kubernetes_schemas(further: tuple[str, ...]) -> None:
    """Every object but those of operators, whose schemas are elsewhere."""
    ours = [each for each in _rendered(*further) if each["kind"] not in _OPERATORS]
    assert {each["kind"] for each in ours} >= {"Deployment", "Job", "NetworkPolicy"}

    _run("kubernetes-validate", "--strict", "-", stdin=yaml.safe_dump_all(ours))


def test_settings_and_secrets_reach_the_services_that_need_them() -> None:
    """Numbers as they stand; secrets as files; the set-up with credentials of its own."""
    containers = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["containers"][0]
        for each in _rendered()
        if each["kind"] in {"Deployment", "Job"}
    }
    environ = {
        name: {each["name"]: each["value"] for each in container["env"]}
        for name, container in containers.items()
    }

    assert sorted(environ) == ["r-api", "r-builder", "r-processor", "r-publisher", "r-setup"]
    assert environ["r-api"]["ROLLCALL_MAX_UPLOAD_BYTES"] == "10000000000"
    assert "ROLLCALL_MAX_UPLOAD_BYTES" not in environ["r-processor"]
    assert environ["r-setup"]["ROLLCALL_KAFKA_SASL_USERNAME"] == "rollcall-setup"
    for of in environ.values():
        assert of["ROLLCALL_PARTITIONS"] == "12"
        assert of["ROLLCALL_DATABASE_URL_FILE"] == "/run/secrets/rollcall/ROLLCALL_DATABASE_URL"


@pytest.mark.parametrize(
    "wrong",
    [
        "settings.ROLLCALL_PARTITION=3",
        "settings.ROLLCALL_PARTITIONS=0",
        "settings.ROLLCALL_DATABASE_URL=postgresql://u:p@h/d",
        "settings.ROLLCALL_KAFKA_SASL_PASSWORD=secret",
        "settings.OTEL_EXPORTER_OTLP_HEADERS=token",
        "settings.ROLLCALL_KAFKA_BOOTSTRAP_SERVERS=",
    ],
)
def test_values_that_no_service_would_take_are_refused(wrong: str) -> None:
    """Misspelt, out of range, missing, or a secret that would stand in the manifest."""
    with pytest.raises(AssertionError, match=wrong.partition("=")[0].removeprefix("settings.")):
        _rendered("--set", wrong)


def test_the_units(tmp_path: Path) -> None:
    """By systemd itself, with a program that is there in place of the installed one."""
    for unit in (_PACKAGES / "systemd").iterdir():
        text = unit.read_text().replace("/opt/rollcall/bin/python", sys.executable)
        (tmp_path / unit.name).write_text(text)
    units = [*sorted(tmp_path.glob("*.service")), tmp_path / "rollcall.target"]
    assert len(units) == 5
    _run("systemd-analyze", "verify", "--man=no", *units)


def test_the_example_of_an_environment_is_taken() -> None:
    """With its secrets beside it, every service would start with these settings."""
    lines = (_PACKAGES / "examples" / "managed-kafka.env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    settings = read(ApiSettings, {**given, "ROLLCALL_DATABASE_URL": "host=postgres.example.com"})

    assert settings.shared.kafka["sasl.mechanism"] == "SCRAM-SHA-512"
    assert list(unknown_settings(given)) == []
