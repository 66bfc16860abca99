"""Where measurements keep their servers and files, for as long as they run."""

import contextlib
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def work_folder() -> Generator[Path]:
    """A folder that is gone at the end, with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-bench-"))
    folder.chmod(0o755)  # where we are root, Postgres runs as another user
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
