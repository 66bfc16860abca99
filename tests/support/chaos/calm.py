"""What histories that share servers tell each other."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Calm:
    """When nobody breaks the servers any more; when the history that broke them has been judged."""

    is_there: threading.Event = field(default_factory=threading.Event)
    is_judged: threading.Event = field(default_factory=threading.Event)
    is_given_up: threading.Event = field(default_factory=threading.Event)
    """It has failed, or is stopped: then the other two are set, too."""
