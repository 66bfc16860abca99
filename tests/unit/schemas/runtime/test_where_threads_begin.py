"""No thread and no task begins anywhere that nobody has thought of its end."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PACKAGES = ("ingest_api", "processor", "schemas", "deploy")
_BEGINNING = {
    "Thread", "Timer", "ThreadPoolExecutor", "ProcessPoolExecutor", "Process", "Pool",
    "start_new_thread", "create_task", "ensure_future", "TaskGroup", "shared_task",
    "run_coroutine_threadsafe",
}  # fmt: skip
_HOME = "schemas/runtime/essential.py"
_ALLOWED = {
    # Pools: the error of what a request asked for goes to the request, which is answered with 500.
    ("ingest_api/auth/password_hashing.py", "ThreadPoolExecutor"),
    ("ingest_api/imports/file_parts.py", "ThreadPoolExecutor"),
    ("ingest_api/kafka/reading_threads.py", "ThreadPoolExecutor"),
    ("ingest_api/notices/sender.py", "ThreadPoolExecutor"),
    ("ingest_api/postgres/read_ahead.py", "ThreadPoolExecutor"),
    ("ingest_api/postgres/row_stream.py", "ThreadPoolExecutor"),
    ("ingest_api/uploads/receiver.py", "ThreadPoolExecutor"),
    # Tasks of a request, or of those who watch a job: whoever waits gets the error.
    ("ingest_api/auth/authenticator.py", "create_task"),
    ("ingest_api/auth/jwks.py", "shared_task"),
    ("ingest_api/dry_runs/audience_keys.py", "create_task"),
    ("ingest_api/dry_runs/service.py", "create_task"),
    ("ingest_api/dry_runs/service.py", "ensure_future"),
    ("ingest_api/jobs/status_watch.py", "shared_task"),
    ("ingest_api/postgres/pool.py", "create_task"),
    ("ingest_api/postgres/row_stream.py", "create_task"),
    ("ingest_api/producers/dead_letters.py", "create_task"),
    ("ingest_api/users/history.py", "run_coroutine_threadsafe"),
    ("ingest_api/web/streaming.py", "create_task"),
    # Begins that of many requests, for those who are named here.
    ("schemas/runtime/abandoned.py", "create_task"),
    # Nobody waits for the note of a token's use: the next use makes it again.
    ("ingest_api/auth/api_tokens.py", "shared_task"),
    # Ends the process, whatever hangs.
    ("ingest_api/app/late_end.py", "Timer"),
    ("ingest_api/app/late_end.py", "Thread"),
    # Only tells that an installer is still at work.
    ("deploy/install.py", "Thread"),
    # Work shared for a while: the caller waits for the results and gets the error.
    ("deploy/local_stack/kafka_jars.py", "ThreadPoolExecutor"),
    ("deploy/python/rollcall/client/asynchronous.py", "ThreadPoolExecutor"),
    ("processor/builder/build.py", "ThreadPoolExecutor"),
    ("processor/runtime/child_process.py", "Process"),
}  # fmt: skip
_PROCESSES = (
    "ingest_api/__main__.py",
    "ingest_api/publisher/main.py",
    "processor/worker/main.py",
    "processor/builder/main.py",
    "processor/runtime/child_process.py",
    "deploy/cli/commands/stack/services.py",
    "deploy/cli/commands/stack/up.py",
)


def test_every_thread_and_task_is_essential_or_somebody_waits_for_it() -> None:
    """A new one is begun by ``EssentialThread`` or ``essential_task``, or is named above."""
    found = {(place, name) for place, tree in _modules() for name in _begun(tree)}
    begun = {(place, name) for place, name in found if place != _HOME}
    assert begun == _ALLOWED


def test_every_process_ends_with_its_threads() -> None:
    """Each has the failure of any thread end it, before the first one is started."""
    calls = {place for place, tree in _modules() if "end_process_on_failure" in _called(tree)}
    assert calls == set(_PROCESSES)


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package in _PACKAGES:
        for path in (CHECKOUT / package).rglob("*.py"):
            yield _place(path), ast.parse(path.read_text())


def _place(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def _begun(tree: ast.Module) -> set[str]:
    bases = (
        base for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases
    )
    return (_called(tree) | {_last_name(base) for base in bases}) & _BEGINNING


def _called(tree: ast.Module) -> set[str]:
    return {_last_name(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
