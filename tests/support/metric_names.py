"""All metrics of the product, as its modules ``metrics`` declare them, and their table."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.metrics import MetricWrapperBase

from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT: Final = CHECKOUT / "docs" / "metrics.md"
_BEGIN: Final = "<!-- metrics: begin -->\n"
_END: Final = "<!-- metrics: end -->"
_PROCESSES: Final = {
    "ingest_api.app.metrics": "API",
    "ingest_api.imports.metrics": "API",
    "ingest_api.notices.metrics": "API",
    "ingest_api.postgres.metrics": "API",
    "ingest_api.publisher.metrics": "publisher",
    "ingest_api.web.metrics": "API",
    "processor.runtime.metrics": "processor, builder",
    "schemas.clients.metrics": "all",
}
"""By module: the processes that show its metrics."""


def modules() -> list[str]:
    """Every module of the product that declares metrics."""
    found = (
        path.relative_to(CHECKOUT).with_suffix("").parts
        for package in ("ingest_api", "processor", "schemas/clients")
        for path in (CHECKOUT / package).rglob("metrics.py")
    )
    return sorted(".".join(parts) for parts in found)


def metrics_of(module: str) -> Iterator[Any]:
    """The metrics that a module declares, in the order of its text."""
    declared = vars(importlib.import_module(module)).values()
    yield from (each for each in declared if isinstance(each, MetricWrapperBase))


def metrics_table() -> str:
    """A Markdown table of all metrics."""
    lines = ["| metric | kind | labels | shown by | what it is |", "|---|---|---|---|---|"]
    for module in modules():
        for metric in metrics_of(module):
            (family,) = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            shown_by = _PROCESSES[module]
            lines.append(
                f"| `{name}` | {family.type} | {labels} | {shown_by} | {family.documentation} |"
            )
    return "\n".join(lines) + "\n"


def document() -> str:
    """docs/metrics.md as it must be."""
    before, _, rest = DOCUMENT.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + metrics_table() + _END + after


def names() -> set[str]:
    """The names of all metrics, as samples have them."""
    return {line.split("`")[1] for line in metrics_table().splitlines()[2:]}
