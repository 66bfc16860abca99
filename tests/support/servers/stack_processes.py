"""Which processes belong to a local stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from deploy.local_stack.data_dir import DataDir
from deploy.processes.child import TOKEN_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """All that run for the stack of this folder; a zombie has no environment and is none."""
    token = DataDir(data_dir).token()
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(TOKEN_VARIABLE) == token:
                found.append(process)
        except psutil.Error:
            continue
    return found
