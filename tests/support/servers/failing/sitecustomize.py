"""Loaded by Python when a process under test starts: SIGUSR1 has one of its threads or tasks fail.

Which one is the name in the file that ``TEST_FAILING`` names; its error is a ``MadeToFailError``.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import threading
from pathlib import Path
from typing import Any


class MadeToFailError(Exception):
    """Nothing waits for this one to pass."""


def _fail(_number: int, _frame: object) -> None:
    name = Path(os.environ["TEST_FAILING"]).read_text()
    for thread in threading.enumerate():
        if thread.name == name and thread.ident is not None:
            error = ctypes.py_object(MadeToFailError)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), error)
    for task in _tasks():
        if task.get_name() == name:
            waiter: Any = getattr(task, "_fut_waiter", None)
            waiter.set_exception(MadeToFailError())


def _tasks() -> set[asyncio.Task[Any]]:
    try:
        return asyncio.all_tasks(asyncio.get_running_loop())
    except RuntimeError:
        return set()


if "TEST_FAILING" in os.environ:
    signal.signal(signal.SIGUSR1, _fail)
