"""A real Prometheus that scrapes a test's processes, with the alert rules in seconds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final, Self

import httpx2
import pytest

from deploy.local_stack.ports import free_ports
from tests.support.monitoring import RULES
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROGRAM: Final = shutil.which("prometheus")
_SCRAPE: Final = "500ms"
_WINDOWS: Final = {
    "6h": "20s", "1h": "15s", "30m": "8s", "15m": "15s", "10m": "12s", "5m": "6s", "2m": "4s",
}  # fmt: skip
_WAITS: Final = {"1m": "1s", "5m": "10s"}  # Prometheus takes five seconds to know its targets
_THRESHOLDS: Final = {
    "> 900": "> 3", "> 120": "> 2", "> 60": "> 2", "> 10\n": "> 3\n", '"600.0"': '"0.005"',
}  # fmt: skip
"""Times and numbers in the rules, and what stands for them where a test can't wait so long."""


def shortened_rules() -> str:
    """The rules, with seconds for minutes."""
    text = re.sub(r"\[(\w+)\]", lambda found: f"[{_WINDOWS[found[1]]}]", RULES.read_text())
    text = re.sub(r"for: (\w+)", lambda found: f"for: {_WAITS[found[1]]}", text)
    for long, short in _THRESHOLDS.items():
        assert long in text, long
        text = text.replace(long, short)
    return text


class Prometheus:
    """Scrapes twice a second; leaving the context ends it."""

    def __init__(self, folder: Path, targets: Mapping[str, int]) -> None:
        """``targets`` are ports by what follows `rollcall-` in the names of their jobs."""
        (self._port,) = free_ports(1)
        self._folder = folder
        self._began_s = time.time()
        self._http = httpx2.Client(
            base_url=f"http://127.0.0.1:{self._port}", trust_env=False, timeout=10
        )
        (folder / "alerts.yml").write_text(shortened_rules())
        jobs = [
            {
                "job_name": f"rollcall-{kind}",
                "file_sd_configs": [{"files": [f"{kind}.json"], "refresh_interval": "1s"}],
            }
            for kind in targets
        ]
        times = {"scrape_interval": _SCRAPE, "scrape_timeout": _SCRAPE, "evaluation_interval": "1s"}
        config = {"global": times, "rule_files": ["alerts.yml"], "scrape_configs": jobs}
        (folder / "prometheus.yml").write_text(json.dumps(config))
        for kind, port in targets.items():
            self.set_target(kind, port)

    def __enter__(self) -> Self:
        assert PROGRAM is not None
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    PROGRAM,
                    f"--config.file={self._folder}/prometheus.yml",
                    f"--storage.tsdb.path={self._folder}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._is_ready, 30, saying="Prometheus is ready")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._http.close()

    def _is_ready(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx2.TransportError:
            return False

    def set_target(self, kind: str, port: int | None) -> None:
        """Scrape the process at this port as of its kind; None: there is none any more."""
        targets = [] if port is None else [{"targets": [f"127.0.0.1:{port}"]}]
        path = self._folder / f"{kind}.json"
        written = path.with_suffix(".new")
        written.write_text(json.dumps(targets))
        written.replace(path)

    def query(self, expression: str) -> list[Any]:
        """The series that the expression has now."""
        return self._get("query", query=expression)

    def series(self, expression: str) -> list[Any]:
        """The series that the expression has had at any time since the beginning."""
        return self._get(
            "query_range",
            query=expression,
            start=str(self._began_s),
            end=str(time.time()),
            step="1",
        )

    def _get(self, path: str, **parameters: str) -> list[Any]:
        answer = self._http.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["result"]

    def fired(self) -> set[tuple[str, str]]:
        """The alerts that have fired since the beginning, with the severity."""
        found = self.series('ALERTS{alertstate="firing"}')
        return {(each["metric"]["alertname"], each["metric"]["severity"]) for each in found}

    def wait_fired(self, *names: str) -> None:
        """Return once all of these alerts have fired."""
        missing: set[str] = set()

        def have_fired() -> bool:
            missing.clear()
            missing.update(set(names) - {name for name, _ in self.fired()})
            return not missing

        try:
            wait_until(have_fired, 60, every_s=0.3)
        except TimeoutError:
            pytest.fail(f"has not fired: {sorted(missing)}")
