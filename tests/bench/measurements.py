"""What one run has measured, and how it is shown."""

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from tests.bench.exports import PSQL

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
DRY_RUN_YARDSTICK: Literal["insert", "upsert"] = "upsert"
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
    dry_run_s: list[float] = field(default_factory=list[float])
    export_s: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    page_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    page_baseline_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    create_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    creates_per_s: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    look_back_s: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    look_back_events: dict[str, int] = field(default_factory=dict[str, int])
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

    def events_per_s(self, what: str) -> float:
        """How fast the log was read again, at the median of the repetitions."""
        return self.look_back_events[what] / median(self.look_back_s[what])

    def look_back_ratio(self, what: str) -> float:
        """How many times as fast, by the event, as the baseline's insert."""
        return self.events_per_s(what) / self.rows_per_s(self.baseline_s["insert"])

    def page_ratio(self, what: str) -> float:
        """How many times as fast as the same query on one connection, without HTTP."""
        return median(self.page_baseline_ms[what]) / median(self.page_ms[what])

    def export_ratio(self, what: str) -> float:
        r"""How many times as fast as psql's \copy of the same columns."""
        return median(self.export_s[PSQL]) / median(self.export_s[what])

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
            "dry_run_median_s": round(median(self.dry_run_s), 3),
            "dry_run_ratio": round(self.ratio(self.dry_run_s, DRY_RUN_YARDSTICK), 3),
            "export_median_s": _medians(self.export_s),
            "export_ratio": {what: round(self.export_ratio(what), 3) for what in self.export_s},
            "look_back_median_s": _medians(self.look_back_s),
            "look_back_ratio": {
                what: round(self.look_back_ratio(what), 3) for what in self.look_back_s
            },
            "page_median_ms": _medians(self.page_ms),
            "page_ratio": {what: round(self.page_ratio(what), 3) for what in self.page_ms},
            "create_median_ms": _medians(self.create_ms),
            "creates_median_per_s": _medians(self.creates_per_s),
        }

    def print(self, console: Console) -> None:
        """Prints the tables for people."""
        console.print(self._speed())
        console.print(self._requests())
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
        self._add(table, "dry run, upsert", self.dry_run_s, DRY_RUN_YARDSTICK)
        table.add_section()
        for stage, seconds in self.stage_s.items():
            self._add(table, f"alone: {stage}", seconds, STAGE_YARDSTICK.get(stage))
        table.add_section()
        for what, seconds in self.export_s.items():
            rate, ratio = self.rows_per_s(seconds), self.export_ratio(what)
            table.add_row(what, f"{median(seconds):.2f}", f"{rate:,.0f}", f"{ratio:.2f}")
        table.add_section()
        for what, seconds in self.look_back_s.items():
            table.add_row(
                f"{what}, {self.look_back_events[what]:,} events",
                f"{median(seconds):.2f}",
                f"{self.events_per_s(what):,.0f}",
                f"{self.look_back_ratio(what):.2f}",
            )
        return table

    def _add(self, table: Table, what: str, seconds: list[float], yardstick: str | None) -> None:
        table.add_row(
            what,
            f"{median(seconds):.2f}",
            f"{self.rows_per_s(seconds):,.0f}",
            f"{self.ratio(seconds, yardstick):.2f}" if yardstick else "",
        )

    def _requests(self) -> Table:
        table = Table(title="Single requests, medians")
        table.add_column("what")
        for heading in ("ms", "a second", "of the baseline"):
            table.add_column(heading, justify="right")
        for what, times in self.page_ms.items():
            table.add_row(what, f"{median(times):.1f}", "", f"{self.page_ratio(what):.2f}")
        table.add_section()
        for what, times in self.create_ms.items():
            rate = median(self.creates_per_s[what])
            table.add_row(f"create a user, {what}", f"{median(times):.1f}", f"{rate:.0f}", "")
        return table

    def _memory(self) -> Table:
        table = Table(title="Peak memory")
        table.add_column("process")
        table.add_column("MB", justify="right")
        for name, peak in self.peak_memory_bytes.items():
            table.add_row(name, f"{peak / _MEGABYTE:,.0f}")
        return table


def _medians(measured: dict[str, list[float]]) -> dict[str, float]:
    return {what: round(median(values), 2) for what, values in measured.items()}
