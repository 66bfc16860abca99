r"""The audience as a file over HTTP, beside psql's \copy of the same columns; and a whole diff."""

import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from deploy.local_stack.postgres import binary
from tests.bench.client import RefusedError
from tests.bench.services import Installation

_COPY = r"""\copy (
    SELECT first_name, last_name, email, mobile_number, country, state, last_active_date,
           sms_subscription::text, email_subscription::text, voice_subscription::text
    FROM users
) TO '%s' WITH (FORMAT csv, HEADER)"""
PSQL = r"psql, \copy to"
_POLL_S = 0.5


def measured_exports(installed: Installation) -> Generator[tuple[str, float]]:
    """What was written of all users, and its seconds, psql's first."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "users")
        yield PSQL, _psql_s(installed, path)
        for name in ("csv", "ndjson", "parquet"):
            begin = time.perf_counter()
            installed.client.download(f"/audience/export?format={name}", path)
            yield f"export, {name}", time.perf_counter() - begin


def diff_s(installed: Installation, job_id: str) -> float:
    """Seconds of all differences as CSV since the job, once what was then is built."""
    path = f"/audience/diff?from={job_id}&to=now"
    while not _is_built(installed, path):
        time.sleep(_POLL_S)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        installed.client.download(path, Path(folder, "diff.csv"), "text/csv")
        return time.perf_counter() - begin


def _is_built(installed: Installation, path: str) -> bool:
    try:
        installed.client.get(f"{path}&pageSize=1")
    except RefusedError:
        return False
    return True


def _psql_s(installed: Installation, path: Path) -> float:
    # In one line, as psql's commands are.
    statement = " ".join((_COPY % str(path).replace("'", "''")).split())
    command = [str(binary("psql")), "--no-psqlrc", "--quiet", "--command", statement]
    begin = time.perf_counter()
    subprocess.run([*command, "--dbname", installed.settings.database_url], check=True)
    return time.perf_counter() - begin
