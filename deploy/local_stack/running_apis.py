"""Records where the stacks of this user answer, so that commands on this machine find them."""

import contextlib
import hashlib
import json
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from deploy.local_stack.data_dir import DataDir, NoStackError, read_record, write_private

ADMIN = "admin"
"""The account that a stack makes at its first start."""


@dataclass(frozen=True, slots=True)
class RunningApi:
    """The HTTP API of a stack on this machine."""

    url: str
    data_dir: str
    password_path: str
    """The file of the administrator's password; empty where none keeps the right one."""

    @property
    def is_running(self) -> bool:
        """False where its stack was killed."""
        try:
            DataDir(Path(self.data_dir)).running_stack()
        except NoStackError:
            return False
        return True

    def admin_password(self) -> str | None:
        """Return the administrator's password, where it is kept."""
        return Path(self.password_path).read_text() if self.password_path else None


@contextlib.contextmanager
def recorded(api: RunningApi) -> Generator[None]:
    """Record the API while the context lasts."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Of a folder there is one stack, so what one that was killed has left is replaced.
    path = folder / f"{hashlib.sha256(api.data_dir.encode()).hexdigest()[:16]}.json"
    write_private(path, json.dumps(asdict(api)))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running_apis() -> list[RunningApi]:
    """Return the APIs of this user's stacks that run now."""
    found = (read_record(path, RunningApi) for path in _folder().glob("*.json"))
    return [api for api in found if api is not None and api.is_running]


def _folder() -> Path:
    return platformdirs.user_state_path("rollcall") / "stacks"
