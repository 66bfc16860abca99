"""The alert rules of ``deploy/monitoring``, and the sections of the runbook."""

from __future__ import annotations

import re
from typing import Final

from tests.support.checkout import CHECKOUT

MONITORING: Final = CHECKOUT / "deploy" / "monitoring"
RULES: Final = MONITORING / "alerts.yml"
RUNBOOK: Final = CHECKOUT / "docs" / "runbook.md"


def alert_names() -> list[str]:
    """Every alert, in the order of the file."""
    return re.findall(r"- alert: (\w+)", RULES.read_text())


def sections() -> set[str]:
    """What the headings of the runbook name, as they stand there, each code by itself."""
    headings = re.findall(r"^#+ (.*)$", RUNBOOK.read_text(), re.MULTILINE)
    return {name.strip("` ") for heading in headings for name in heading.split(",")}


def named_metrics(text: str) -> set[str]:
    """Every metric of Rollcall that an expression names, by the name in docs/metrics.md."""
    found = re.findall(r"\brollcall_\w+", text)
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in found}
