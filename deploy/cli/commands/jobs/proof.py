"""`./rollcall proof`: the sums and hashes that show that nothing of a job was lost."""

import sys
from collections.abc import Mapping
from typing import Any

import click

from deploy.api_client.client import path_of
from deploy.cli.api_command import ApiCommand, call_options
from deploy.cli.output.tables import counted, output, print_json, print_line, print_table
from deploy.cli.session import api
from schemas.log.job_states import COUNTS, OUTCOMES

_NOT_PROVEN = 1
_PARTITION_COLUMNS = (
    "partition",
    "openedOffset",
    "sealedOffset",
    "events",
    "digest",
    "digestFound",
)
_FINDING_COLUMNS = ("table", "subject", "column", "expected", "found")


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall proof 5889218372019237411",
        "rollcall proof 5889218372019237411 --json | jq .isProven",
    ),
    exit_status={0: "Proven.", _NOT_PROVEN: "Not proven: what differs is named."},
)
@click.argument("job_id")
@call_options
def proof(job_id: str, *, as_json: bool, url: str) -> None:
    """Prove the job JOB_ID, once it has ended.

    Its lines are the sum of their outcomes and the number of its events in the log, and the users
    that it was the last to set are as its events set them.
    """
    with api(url) as client:
        answer = client.get(path_of("batchinfo", "proof", job_id))
    if as_json:
        print_json(answer)
    else:
        _print(answer)
    if not answer["isProven"]:
        sys.exit(_NOT_PROVEN)


def _print(answer: Mapping[str, Any]) -> None:
    console = output()
    are_outcomes = sum(answer[name] for name in OUTCOMES) != answer["sum"]
    names = COUNTS if are_outcomes else OUTCOMES
    outcomes = " + ".join(f"{answer[name]} {name}" for name in names)
    print_line(console, f"Job {answer['id']}: {answer['state']}")
    print_line(console, f"{counted(answer['lines'], 'line')} = {outcomes}: {answer['sum']}")
    print_line(console, f"{counted(answer['eventsInLog'], 'event')} in the log")
    print_line(
        console,
        f"{counted(answer['usersLeft'], 'user')} left, hash {answer['usersHash']}, of the log"
        f" {answer['logHash']}",
    )
    print_table(console, "Partitions", _PARTITION_COLUMNS, answer["partitions"])
    if answer["isProven"]:
        print_line(console, "Proven.")
    else:
        title = f"Not proven: {counted(answer['differences'], 'difference')}"
        print_table(console, title, _FINDING_COLUMNS, answer["findings"])
