"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

State = Literal["fine", "todo", "unseen", "unreachable"]
_EXITS: Final[dict[State, int]] = {"fine": 0, "unseen": 0, "todo": 1, "unreachable": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One subject: what was seen of it, and what to do where it is not fine.

    ``unseen`` is what can't be looked at from here, ``unreachable`` a server without which most
    can't.
    """

    subject: str
    state: State
    seen: str
    remedy: str = ""


def judged(subject: str, fine: str, fault: str | None, remedy: str = "") -> Finding:
    """Return the finding that there is this fault, or none and all is ``fine``."""
    if fault is None:
        return Finding(subject, "fine", fine)
    return Finding(subject, "todo", fault, remedy)


def exit_status(findings: list[Finding]) -> int:
    """Return 0 where all is fine, 1 where something is to be done, 2 where nobody can look."""
    return max((_EXITS[finding.state] for finding in findings), default=0)
