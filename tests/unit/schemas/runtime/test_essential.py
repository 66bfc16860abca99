"""What the end of a thread or a task does to its process."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import weakref
from typing import Any

import pytest

from schemas.runtime.essential import TASK_FAILED, EssentialThread, essential_task
from tests.support.checkout import CHECKOUT

_PROCESS = """
import sys, threading, time
from schemas.config.logs import configure_logging
from schemas.runtime.essential import EssentialThread, end_process_on_failure

def fail(): raise ValueError("no good\\nDETAIL: ann@example.org")
def wait_for_stop(): thread.stopping.wait(30)

configure_logging()
end_process_on_failure()
thread = EssentialThread("sender", {work})
thread.start()
{then}
"""


def _run(work: str, then: str = "time.sleep(30)") -> tuple[int, str]:
    code = _PROCESS.format(work=work, then=then)
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


def _only_line(output: str) -> dict[str, Any]:
    (line,) = output.splitlines()
    return json.loads(line)


def test_an_error_that_leaves_a_thread_ends_the_process() -> None:
    """With exit code 1 and one critical line, which quotes nothing behind an error's first line."""
    code, output = _run("fail")
    line = _only_line(output)
    assert code == 1
    assert line["message"] == "process ends: a thread has failed"
    assert (line["level"], line["thread"], line["error"]) == (
        "critical",
        "sender",
        "ValueError: no good",
    )
    assert any("fail" in frame for frame in line["trace"])
    assert "ann@example.org" not in output


@pytest.mark.parametrize("work", ["int", "sys.exit"])
def test_a_thread_that_returns_unasked_ends_the_process(work: str) -> None:
    """Quietly, or by an exit that Python ignores in a thread."""
    code, output = _run(work)
    assert code == 1
    assert _only_line(output)["thread"] == "sender"


def test_a_thread_that_was_told_to_stop_ends_nothing() -> None:
    """Neither does one that was never started."""
    then = "thread.stop()\nEssentialThread('idle', fail).stop()\nassert not thread.is_alive()"
    assert _run("wait_for_stop", then) == (0, "")


def test_an_error_that_leaves_the_main_thread_is_a_line_too() -> None:
    """Not a trace of many lines on stderr; the process does not wait for its threads."""
    code, output = _run("wait_for_stop", "fail()")
    line = _only_line(output)
    assert (code, line["thread"], line["error"]) == (1, "main", "ValueError: no good")


def test_a_task_that_fails_is_told_to_the_loop() -> None:
    """At once, although nobody awaits it; one that ends or is cancelled is not."""

    async def fail() -> None:
        raise ValueError

    async def told() -> list[dict[str, Any]]:
        contexts: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        tasks = [
            essential_task(asyncio.sleep(0), "ending"),
            essential_task(asyncio.sleep(30), "cancelled"),
            essential_task(fail(), "failing"),
        ]
        tasks[1].cancel()
        await asyncio.wait(tasks)
        return contexts

    (context,) = asyncio.run(told())
    assert context["message"] == TASK_FAILED
    assert context["task"].get_name() == "failing"
    assert isinstance(context["exception"], ValueError)


class _Owner:
    """Holds a thread that runs a method of its own."""

    def __init__(self) -> None:
        self.thread = EssentialThread("owned", self._wait)

    def _wait(self) -> None:
        self.thread.stopping.wait(60)


def test_who_owns_a_thread_that_has_ended_is_freed_at_once() -> None:
    """Else each producer that is given up while Kafka is down keeps its own threads for long."""
    owner = _Owner()
    freed = weakref.ref(owner)
    owner.thread.start()
    owner.thread.stop(60)
    gc.disable()
    try:
        del owner
        assert freed() is None
    finally:
        gc.enable()
