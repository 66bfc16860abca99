"""Which process of xdist runs which files."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any, Final

# xdist has no stubs.
from xdist.scheduler import LoadFileScheduling  # pyright: ignore[reportMissingTypeStubs]

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

_BREAKS_SERVERS: Final = re.compile(r'\bstack: LocalStack|usefixtures\("stack"\)')
_PLACES: Final = ("servers to break, 1", "servers to break, 2")


class FewServers(LoadFileScheduling):
    """Files whose tests break servers run in two processes, so that only those start them.

    All others are handed out one by one; they share the servers of the session.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._scopes: dict[str, str] = {}
        self._places: Iterator[str] = itertools.cycle(_PLACES)

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        if file not in self._scopes:
            text = (self.config.rootpath / file).read_text(encoding="utf-8")
            self._scopes[file] = next(self._places) if _BREAKS_SERVERS.search(text) else file
        return self._scopes[file]
