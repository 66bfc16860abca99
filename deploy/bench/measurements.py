"""What one run has measured, and how it is shown."""

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Mode = Literal["insert", "upsert", "delsert"]

YARDSTICK: dict[Mode, Literal["insert", "upsert"]] = {
    "insert": "insert",
    "upsert": "upsert",
    "delsert": "insert",
}
"""Which baseline each mode is compared with."""
STAGE_YARDSTICK: dict[str, Literal["insert", "upsert"]] = {
    "project, insert": "insert",
    "project, upsert": "upsert",
    "project, delsert": "insert",
}
_MEGABYTE = 1_000_000


@dataclass(slots=True)
class Measurements:
    """Seconds of each repetition, by what was done; `rows` users each time."""

    rows: int
    processors: int
    baseline_s: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    import_s: dict[Mode, list[float]] = field(default_factory=dict["Mode", list[float]])
    stage_s: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    small_job_s: list[float] = field(default_factory=list[float])
    peak_memory_bytes: dict[str, int] = field(default_factory=dict[str, int])

    def note_memory(self, peaks: dict[str, int]) -> None:
        """Keeps the highest peak of each process."""
        for name, peak in peaks.items():
            self.peak_memory_bytes[name] = max(peak, self.peak_memory_bytes.get(name, 0))

    def rows_per_s(self, seconds: list[float]) -> float:
        """At the median of the repetitions."""
        return self.rows / median(seconds)

    def ratio(self, seconds: list[float], yardstick: str) -> float:
        """How many times as fast as the baseline of the same run."""
        return median(self.baseline_s[yardstick]) / median(seconds)

    def as_json(self) -> str:
        """Everything measured, with the ratios, as one JSON object."""
        return json.dumps(asdict(self) | self._summary(), indent=2)

    def _summary(self) -> dict[str, Any]:
        runs = {
            "baseline_rows_per_s": self.baseline_s,
            "import_rows_per_s": self.import_s,
            "stage_rows_per_s": self.stage_s,
        }
        return {
            **{
                name: {key: round(self.rows_per_s(seconds)) for key, seconds in run.items()}
                for name, run in runs.items()
            },
            "import_ratio": {
                mode: round(self.ratio(seconds, YARDSTICK[mode]), 3)
                for mode, seconds in self.import_s.items()
            },
            "stage_ratio": {
                stage: round(self.ratio(self.stage_s[stage], yardstick), 3)
                for stage, yardstick in STAGE_YARDSTICK.items()
                if stage in self.stage_s
            },
            "small_job_median_s": round(median(self.small_job_s), 4),
        }

    def print(self, console: Console) -> None:
        """Prints the tables for people."""
        console.print(self._speed())
        console.print(self._memory())
        milliseconds = median(self.small_job_s) * 1000
        console.print(
            f"A 10-row upload is complete after {milliseconds:.0f} ms "
            f"(median of {len(self.small_job_s)})."
        )

    def _speed(self) -> Table:
        table = Table(title=f"{self.rows:,} users, {self.processors} processors")
        table.add_column("what")
        for heading in ("seconds", "rows/s", "of the baseline"):
            table.add_column(heading, justify="right")
        for mode, seconds in self.baseline_s.items():
            self._add(table, f"psql, {mode}", seconds, None)
        table.add_section()
        for mode, seconds in self.import_s.items():
            self._add(table, f"import, {mode}", seconds, YARDSTICK[mode])
        table.add_section()
        for stage, seconds in self.stage_s.items():
            self._add(table, f"alone: {stage}", seconds, STAGE_YARDSTICK.get(stage))
        return table

    def _add(self, table: Table, what: str, seconds: list[float], yardstick: str | None) -> None:
        table.add_row(
            what,
            f"{median(seconds):.2f}",
            f"{self.rows_per_s(seconds):,.0f}",
            f"{self.ratio(seconds, yardstick):.2f}" if yardstick else "",
        )

    def _memory(self) -> Table:
        table = Table(title="Peak memory")
        table.add_column("process")
        table.add_column("MB", justify="right")
        for name, peak in self.peak_memory_bytes.items():
            table.add_row(name, f"{peak / _MEGABYTE:,.0f}")
        return table
