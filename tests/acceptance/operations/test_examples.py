"""The examples of deploy/packages, run as their systems run them, against an installation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.checkout import CHECKOUT
from tests.support.data.files import tidy_csv

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig

EXAMPLES = CHECKOUT / "deploy" / "packages" / "examples"
AIRFLOW = os.environ.get("ROLLCALL_TEST_AIRFLOW")
"""An environment with Airflow and Rollcall, which `.ci/airflow` makes."""


def run_action(folder: Path, given: dict[str, str], environ: dict[str, str]) -> Any:
    """What a runner does with a composite action: its one step, with the inputs; its output."""
    action = yaml.safe_load((EXAMPLES / "github-action" / "action.yml").read_text())
    defaults = {name: each.get("default", "") for name, each in action["inputs"].items()}
    inputs = {**defaults, **given}
    (step,) = action["runs"]["steps"]

    def value(text: str) -> str:
        return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], text)

    output = folder / "output"
    output.write_text("")
    environ |= {name: value(text) for name, text in step["env"].items()}
    subprocess.run(
        ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={**os.environ, **environ, "GITHUB_OUTPUT": str(output)},
        check=True,
    )
    return json.loads(output.read_text().partition("summary=")[2])


def test_the_github_action_imports_once(rig_of_module: Rig, tmp_path: Path) -> None:
    """A run that is tried again has the same job; a dry run has none; a refused file fails it."""
    rig = rig_of_module
    file = tmp_path / "users.csv"
    file.write_bytes(tidy_csv(range(30)))
    token = rig.client.http.post(
        "/vpns/api/v1/admin/tokens", json={"name": "ci", "role": "importer"}
    ).json()["token"]
    given = {
        "url": rig.client.url,
        "token": token,
        "file": str(file),
        "rollcall": f"{sys.executable} -P -m deploy",
    }
    environ = {
        "GITHUB_REPOSITORY": "acme/crm",
        "GITHUB_RUN_ID": "1",
        "GITHUB_ACTION": "__self",
        "PYTHONPATH": str(CHECKOUT),
    }

    planned = run_action(tmp_path, {**given, "dry-run": "true"}, environ)
    first, again = (run_action(tmp_path, given, environ) for _ in range(2))

    assert (planned["insert"], first["inserted"], again["id"]) == (30, 30, first["id"])
    file.write_bytes(tidy_csv(range(30, 35)) + b"nobody,,,,\n")
    with pytest.raises(subprocess.CalledProcessError):
        run_action(tmp_path, {**given, "max-rejected": "0"}, {**environ, "GITHUB_RUN_ID": "2"})
    done = run_action(tmp_path, {**given, "max-rejected": "1"}, {**environ, "GITHUB_RUN_ID": "3"})
    assert (done["inserted"], done["rejected"]) == (5, 1)


@pytest.mark.skipif(AIRFLOW is None, reason="Airflow is large: .ci/airflow runs this")
def test_the_airflow_operator_imports(rig_of_module: Rig, tmp_path: Path) -> None:
    """As a run of its DAG, whose task hands the counts on."""
    rig = rig_of_module
    file = tmp_path / "users.csv"
    file.write_bytes(tidy_csv(range(100, 120)) + b"nobody,,,,\n")
    login = {"conn_type": "http", "host": rig.client.url, "login": "admin"}
    connection = json.dumps({**login, "password": rig.env.password})
    environ = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_ROLLCALL_DEFAULT": connection,
    }

    def airflow(*command: str) -> str:
        done = subprocess.run(
            [f"{AIRFLOW}/bin/airflow", *command],
            env=environ,
            cwd=tmp_path,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    airflow("db", "migrate")
    ran = airflow("dags", "test", "rollcall_import", "--conf", json.dumps({"file": str(file)}))
    assert "state=success" in ran
    (job,) = rig.client.http.get("/vpns/api/v1/batchinfo/status?pageSize=1").json()["statuses"]
    assert (job["inserted"], job["rejected"]) == (20, 1)
