"""Mechanisms of the product that are taken out, one after another: a named test fails without each.

``python -m tests.support.mutants [NAME …]`` (`just mutants`) plants each in a copy of the checkout,
runs its test there and fails where that passes.
The table is ARCHITECTURE's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.checkout import CHECKOUT
from tests.support.servers.surroundings import shared_surroundings

_ACCEPT_RULE: Final = "processor/decoding/accept_rule.py"
_ACCEPT_TEST: Final = "tests/unit/processor/decoding/test_accept_rule.py"
_TRANSACTION: Final = "processor/projection/transaction.py"
_HISTORIES: Final = "tests/integration/projection/test_projection_histories.py"
_FAILED: Final = 1
"""pytest's exit code where tests have failed, or what they need; another: they were not run."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mechanism, where it stands, what stands there without it, and the test that then fails."""

    mechanism: str
    instead: str
    file: str
    old: str
    new: str
    test: str

    def planted(self) -> str:
        """The file's text without the mechanism.

        Raises:
            ValueError: what is to be replaced is not there exactly once.
        """
        text = (CHECKOUT / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.instead}: {self.file} has changed: adapt the mutant")
        return text.replace(self.old, self.new)


MUTANTS: Final = (
    Mutant(
        "the fence stops a superseded worker",
        "no fence",
        _TRANSACTION,
        "if moved.rowcount != 1:",
        "if moved.rowcount > 1:",
        f"{_HISTORIES}::test_a_superseded_worker_changes_nothing",
    ),
    Mutant(
        "a worker goes on from the stored `next_offset`",
        "Kafka's offsets",
        "processor/worker/group_consumer.py",
        "        for partition, state in states.items():\n",
        "        for partition, state in states.items():\n"
        "            known = self._consumer.committed([self._at(partition)])[0].offset\n"
        "            object.__setattr__(state, 'next_offset', max(known, 0))\n",
        "tests/acceptance/faults/test_kafka_offsets.py"
        "::test_what_the_group_has_committed_decides_nothing",
    ),
    Mutant(
        "a row counts in its sequence",
        "no sequence check",
        _ACCEPT_RULE,
        "own = own[in_sequence(batch.sequences[own], state.next_sequence)]",
        "del in_sequence",
        f"{_ACCEPT_TEST}::test_each_row_counts_once_whichever_pass_brings_it",
    ),
    Mutant(
        "`JobSealed` says how many rows, and their digest",
        "JobSealed unchecked",
        _ACCEPT_RULE,
        "if not seal.is_abandoned and seal.digest != state.digest:",
        "if seal.digest < 0:",
        f"{_ACCEPT_TEST}::test_a_wrong_digest_is_an_alarm_and_seals_nothing",
    ),
    Mutant(
        "a delsert fills a generation of its own",
        "TRUNCATE for delsert",
        _TRANSACTION,
        "        self.generation_of[partition] = generation\n",
        "        self._execute('TRUNCATE {schema}.user_row', {})\n"
        "        self.generation_of[partition] = generation\n",
        f"{_HISTORIES}::test_readers_see_a_delsert_only_when_it_is_whole",
    ),
    Mutant(
        "events of one key are applied in their order",
        "events of one key out of order",
        "processor/projection/staging.py",
        "nth = np.arange(len(ordered)) - np.repeat(starts, run_lengths)",
        "nth = np.repeat(starts + run_lengths - 1, run_lengths) - np.arange(len(ordered))",
        "tests/unit/processor/projection/test_rounds.py"
        "::test_each_row_of_a_key_is_in_the_round_after_the_one_before_it",
    ),
    Mutant(
        "times come from the log",
        "the clock in the projection",
        "processor/projection/staging.py",
        '        jsonb(attributes_json(rows.column("attributes"), step.attributes)),\n'
        '        rows.column("occurred_at"),\n',
        '        jsonb(attributes_json(rows.column("attributes"), step.attributes)),\n'
        "        pc.add(rows.column('occurred_at'), __import__('datetime').timedelta("
        "microseconds=__import__('time').time_ns() % 1000)),\n",
        "tests/integration/builds/test_replays.py::test_a_replay_is_what_the_live_projection_is",
    ),
    Mutant(
        "keys have the partitions that Java's producers give them",
        "CRC32 partitioner",
        "schemas/log/topics.py",
        "    return partition_of_number(murmur2(key), partitions)",
        "    return partition_of_number(__import__('zlib').crc32(key), partitions)",
        "tests/unit/schemas/log/test_topics.py::test_all_at_once_is_one_by_one",
    ),
    Mutant(
        "200 waits for the acknowledgement",
        "200 before the acknowledgement",
        "ingest_api/event_log/job_events.py",
        "        decision: Decision | None = None\n"
        "        if await self._is_settled(event):\n"
        "            decision =",
        "        decision: Decision | None = 'accepted'\n"
        "        with contextlib.suppress(TimeoutError):\n"
        "            await asyncio.wait_for(self._is_settled(event), 0.2)\n"
        "            decision =",
        "tests/integration/log/test_job_events.py"
        "::test_an_acknowledgement_that_does_not_come_leaves_nothing_open",
    ),
    Mutant(
        "a job is opened only where the one before it is sealed",
        "next job before the last is sealed",
        _ACCEPT_RULE,
        "if state.open_job_id is not None or job.previous_job_id != state.sealed_job_id:",
        "if state.open_job_id is not None:",
        f"{_ACCEPT_TEST}::test_a_later_job_waits_for_the_one_before_it",
    ),
    Mutant(
        "the outbox leaves in order",
        "outbox out of order",
        "processor/worker/outbox.py",
        "WHERE bytes - COALESCE(octet_length(value), 0) < %(bytes)s\nORDER BY id\n",
        "WHERE bytes - COALESCE(octet_length(value), 0) < %(bytes)s\nORDER BY id DESC\n",
        "tests/integration/projection/test_outbox.py"
        "::test_a_status_too_large_for_its_topic_is_sent_with_shorter_texts",
    ),
    Mutant(
        "opt-outs outlive their users, in a replay too",
        "consent forgotten on replay",
        _TRANSACTION,
        "each.after.partition for each in batches if each.after.has_opt_outs",
        "each.after.partition for each in batches\n"
        "            if each.after.has_opt_outs and not self._projection.is_silent",
        "tests/integration/builds/test_whole_histories.py"
        "::test_every_history_comes_to_the_model_without_what_is_undone",
    ),
    Mutant(
        "in a signed log what only Rollcall sends has a digest",
        "digests unchecked in user-events",
        "processor/decoding/decode_records.py",
        "if is_control and self._signed.is_required and not is_right:",
        "if is_control and self._signed.is_required and is_right is False:",
        "tests/unit/processor/decoding/test_forged_records.py"
        "::test_a_forged_record_has_no_effect_wherever_the_log_is_cut",
    ),
    Mutant(
        "a batch that can't be decompressed is stepped over",
        "such a batch is read again for ever",
        "schemas/clients/unreadable.py",
        "if time.monotonic() >= self._again_s.get(place, 0) else None",
        "if time.monotonic() < 0 else None",
        "tests/integration/log/test_unreadable_batches.py"
        "::test_uploads_are_taken_behind_one_in_job_events",
    ),
)


def table() -> str:
    """A Markdown table of the mechanisms, and the tests that fail without them."""
    lines = ["| mechanism | instead of it | fails |", "|---|---|---|"]
    lines += [f"| {each.mechanism} | {each.instead} | `{each.test}` |" for each in MUTANTS]
    return "\n".join(lines) + "\n"


def survives(mutant: Mutant, copy: Path) -> bool:
    """Whether the test passes without the mechanism; the copy is as it was on return."""
    file = copy / mutant.file
    file.write_text(mutant.planted())
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-P",
                "-m",
                "pytest",
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
                mutant.test,
            ],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            check=False,
            capture_output=True,
            text=True,
        )
    finally:
        shutil.copyfile(CHECKOUT / mutant.file, file)
    is_failed = done.returncode == _FAILED and " failed" in done.stdout.splitlines()[-1]
    if done.returncode != 0 and not is_failed:
        raise RuntimeError(f"{mutant.test} was not run: {done.stdout[-2000:]}{done.stderr[-500:]}")
    return not is_failed


def main(names: list[str]) -> None:
    """Plant each, or those named, and fail where one survives."""
    survivors: list[str] = []
    planted = [each for each in MUTANTS if not names or each.instead in names]
    with contextlib.ExitStack() as stack:
        if not all(each.test.startswith("tests/unit/") for each in planted):
            stack.enter_context(shared_surroundings())
        copy = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "rollcall"
        left_out = shutil.ignore_patterns(".venv", ".git", "__pycache__", "node_modules", "dist")
        shutil.copytree(CHECKOUT, copy, ignore=left_out)
        for mutant in planted:
            began_s = time.monotonic()
            is_alive = survives(mutant, copy)
            survivors += [mutant.instead] * is_alive
            said = "SURVIVES" if is_alive else "is found"
            sys.stdout.write(f"{mutant.instead}: {said}, {time.monotonic() - began_s:.0f} s\n")
            sys.stdout.flush()
    if survivors:
        sys.exit(f"{len(survivors)} mutants survive: {', '.join(survivors)}")


if __name__ == "__main__":
    main(sys.argv[1:])
