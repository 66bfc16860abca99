"""The commands of Rollcall's own processes, as the supervisor runs them."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy import CHECKOUT
from deploy.processes.child import Child, ChildSpec
from deploy.processes.supervisor import Supervised
from schemas.config.declared import name_of
from schemas.config.environment import read
from schemas.config.metrics import MetricsSettings


def api_and_publisher(
    environment: Mapping[str, str], *, log_dir: Path | None = None
) -> list[Supervised]:
    """Return the HTTP API and its publisher."""
    return [
        _service("ingest_api", "ingest_api", environment, log_dir),
        _service("publisher", "ingest_api.publisher", _with_metrics(environment, 0), log_dir),
    ]


def processors(
    environment: Mapping[str, str], *, count: int, log_dir: Path | None = None
) -> list[Supervised]:
    """Return this number of processors, which share the work."""
    return [
        _service(
            f"processor-{number}", "processor", _with_metrics(environment, number + 1), log_dir
        )
        for number in range(1, count + 1)
    ]


def builder(environment: Mapping[str, str], *, log_dir: Path | None = None) -> Supervised:
    """Return the builder, which makes projections for rebuilds, undos and as-of reads."""
    return _service("builder", "processor.builder", _with_metrics(environment, 1), log_dir)


def _with_metrics(environment: Mapping[str, str], nth: int) -> dict[str, str]:
    """Return the environment with a port of its own for metrics, where one is set."""
    name = name_of(MetricsSettings, "metrics_port")
    first = read(MetricsSettings, environment).metrics_port
    return {**environment, name: str(first + nth)} if first else dict(environment)


def _service(
    name: str, module: str, environment: Mapping[str, str], log_dir: Path | None
) -> Supervised:
    checkout = {} if CHECKOUT is None else {"PYTHONPATH": _path_with(CHECKOUT, environment)}
    spec = ChildSpec(
        name=name,
        # -P keeps files in the user's current folder from shadowing ours.
        command=[sys.executable, "-P", "-m", module],
        environment={**environment, **checkout, "PYTHONUNBUFFERED": "1"},
        log_path=None if log_dir is None else log_dir / f"{name}.log",
    )
    return Supervised(name, lambda: Child(spec), is_ours=True)


def _path_with(checkout: Path, environment: Mapping[str, str]) -> str:
    return os.pathsep.join(filter(None, (str(checkout), environment.get("PYTHONPATH"))))
