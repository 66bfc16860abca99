"""What histories that share servers tell each other."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

from tests.support.chaos.clients import TIMEOUT_S

_TIMEOUT_S: Final = 2 * TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Calm:
    """When nobody breaks the servers any more; when the history that broke them has been judged."""

    is_there: threading.Event = field(default_factory=threading.Event)
    is_judged: threading.Event = field(default_factory=threading.Event)
    is_given_up: threading.Event = field(default_factory=threading.Event)
    """It has failed, or is stopped: then the other two are set, too."""

    def wait(self) -> None:
        """Wait until the servers are whole.

        Raises:
            TimeoutError: they are broken for ever.
        """
        if not self.is_there.wait(_TIMEOUT_S):
            raise TimeoutError("the servers are never left alone")
