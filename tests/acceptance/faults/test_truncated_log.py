"""A log whose first records are gone, as by a wrong retention: what needs them says so.

The records are removed by the broker itself (DeleteRecords). Nothing is changed by any of the
commands, and the live tables, which have read past what is gone, go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.clients.client import BASE, counts
from tests.support.clients.projections import active, request, wait_built
from tests.support.clients.shell import Shell
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import end_of
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from schemas.log.topics import Topic
    from tests.support.clients.client import Json
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground

_TIMEOUT_S = 60
_TOPICS = ("user_events", "job_events")
_GONE = 2
_INSTANCES = "SELECT number, state FROM projection_instance ORDER BY number"


@pytest.fixture
def shell(rig: Rig, tmp_path: Path) -> Shell:
    """A shell beside the installation."""
    return Shell(rig, tmp_path)


def topic_of(env: Ground, name: str) -> Topic:
    """One of the two that nothing can be built without."""
    return getattr(env.settings.topics, name)


def cut(env: Ground, topic: Topic) -> None:
    """Have the broker remove the first records of partition 0."""
    admin = AdminClient({"bootstrap.servers": env.surroundings.bootstrap_servers})
    place = TopicPartition(topic.name, 0, _GONE)
    for done in admin.delete_records([place]).values():  # pyright: ignore[reportUnknownVariableType]
        done.result(_TIMEOUT_S)


def seen(rig: Rig) -> dict[str, Any]:
    """All that a refused command could have changed."""
    env = rig.env
    admin = AdminClient({"bootstrap.servers": env.surroundings.bootstrap_servers})
    prefix = env.environ["ROLLCALL_TOPIC_PREFIX"]
    topics = env.settings.topics
    return {
        "users": select(env, "SELECT * FROM users ORDER BY key"),
        "jobs": select(env, "SELECT * FROM jobs ORDER BY job_id"),
        "instances": select(env, _INSTANCES),
        "ends": [end_of(env.settings, each) for each in (topics.job_events, topics.user_events)],
        "topics": {name for name in admin.list_topics().topics if name.startswith(prefix)},
    }


def assert_refused(done: subprocess.CompletedProcess[str], topic: Topic) -> None:
    """Fail unless it says which records of which partition are gone, and the way out."""
    told = done.stdout + done.stderr
    assert done.returncode not in {0, 130}, told
    assert f"LOG_TRUNCATED: topic {topic.name}, partition 0 begins at offset {_GONE}" in told
    assert f"from offset 0 to {_GONE - 1} are gone" in told
    assert "Restore the topic from a copy" in told
    assert "Traceback" not in told


def assert_live_goes_on(rig: Rig) -> None:
    """Fail unless users are read, written and imported as before."""
    job = rig.run(tidy_csv(range(35, 45), word="live"), "upsert")
    assert counts(job) == (5, 5, 0, 0)
    assert rig.client.http.get(f"{BASE}/audience").json()["total"] == 45


@pytest.mark.parametrize("name", _TOPICS)
def test_whatever_is_made_from_the_log_is_refused(rig: Rig, shell: Shell, name: str) -> None:
    """Each with what is gone and what can be done; nothing is changed."""
    rig.services.builder()
    first = int(rig.run(tidy_csv(range(30)))["id"])
    undone = int(rig.run(tidy_csv(range(20, 40), word="b"), "upsert")["id"])
    topic = topic_of(rig.env, name)
    cut(rig.env, topic)
    before = seen(rig)
    ours = {name: text for name, text in rig.env.environ.items() if "ROLLCALL" in name}

    for command in (
        ("rebuild",),
        ("rebuild", "--verify-only"),
        ("undo", str(undone), "--dry-run"),
        ("undo", str(undone), "--yes"),
        ("users", "--as-of", str(first)),
        ("diff", str(first), "now"),
    ):
        assert_refused(shell.run(*command), topic)
    for command in (
        ("erase", "user1@example.com", "--yes"),
        ("rekey", "--partitions", "5", "--yes"),
        *([("verify",)] if name == "user_events" else []),
    ):
        assert_refused(shell.run(*command, **ours), topic)

    assert seen(rig) == before
    assert rig.client.status(undone)["state"] == "COMPLETED"
    assert_live_goes_on(rig)


def test_what_was_built_before_is_read_on(rig: Rig, shell: Shell) -> None:
    """An audience as it was needs the log only once."""
    rig.services.builder()
    first = int(rig.run(tidy_csv(range(30)))["id"])
    rig.run(tidy_csv(range(20, 40), word="b"), "upsert")
    assert shell.json("users", "--as-of", str(first))["total"] == 30
    cut(rig.env, rig.env.settings.topics.user_events)
    assert shell.json("users", "--as-of", str(first))["total"] == 30
    assert shell.json("diff", str(first), "now")["entries"]


def _failed(rig: Rig, job_id: int, *, failures: int = 1) -> Json:
    """The status of the job once so many tries have failed."""

    def status() -> Json | None:
        found = rig.client.status(job_id)
        failure: Json = found["undoFailure"] or {}
        is_there = failure.get("failures", 0) >= failures and failure["nextTryDate"] is not None
        return found if is_there else None

    found = wait_until(status, _TIMEOUT_S, saying="the try has failed", every_s=0.2)
    assert found is not None
    return found


def test_an_undo_that_fails_says_so_wherever_it_is_looked_for(rig: Rig, shell: Shell) -> None:
    """The status, the lists and the commands say why, and when it is tried again."""
    undone = int(rig.run(tidy_csv(range(40)))["id"])
    assert rig.client.change("undo", undone).status_code == 200
    cut(rig.env, rig.env.settings.topics.user_events)
    rig.services.builder()

    status = _failed(rig, undone)
    failure = status["undoFailure"]
    (listed,) = [each for each in rig.client.statuses()["statuses"] if each["undoFailure"]]
    told = shell.run("status", str(undone)).stdout
    (instance,) = [
        each
        for each in shell.json("projections")["projections"]
        if each["failure"] == failure["reason"]
    ]
    table = shell.run("projections").stdout

    assert status["state"] == "REVERTING"
    assert "the last try failed" in status["statusMessage"]
    assert failure["reason"].startswith("LOG_TRUNCATED: ")
    assert listed["id"] == str(undone)
    assert "LOG_TRUNCATED" in told
    assert failure["nextTryDate"] in told
    assert (instance["purpose"], instance["failedDate"]) == ("undo", failure["date"])
    assert f"(undo) failed: {instance['failure']}\nIt is tried again at " in table


def test_an_undo_that_fails_is_tried_ever_later_and_can_be_taken_back(rig: Rig) -> None:
    """Then the job is as it was; nothing is built for that."""
    undone = int(rig.run(tidy_csv(range(40)))["id"])
    assert rig.client.change("undo", undone).status_code == 200
    cut(rig.env, rig.env.settings.topics.user_events)
    rig.services.builder()
    _failed(rig, undone, failures=2)
    first, second = select(
        rig.env,
        "SELECT (result -> 'retry' ->> 'nextTryAt')::timestamptz"
        "     - (result -> 'retry' ->> 'failedAt')::timestamptz AS pause"
        " FROM projection_instance WHERE purpose = 'undo' AND state = 'failed'"
        " ORDER BY number LIMIT 2",
    )
    assert second["pause"] == 2 * first["pause"]

    answer = rig.client.change("redo", undone)
    assert answer.status_code == 200, answer.text
    status = rig.client.status(undone)
    assert (status["state"], status["undoFailure"]) == ("COMPLETED", None)
    assert counts(status) == (40, 0, 0, 0)
    assert_live_goes_on(rig)


def test_a_redo_that_fails_can_be_taken_back(rig: Rig) -> None:
    """The job is then undone as it was, with the counts that it had."""
    rig.run(tidy_csv(range(40)))
    undone = int(rig.run(tidy_csv(range(30, 45), word="b"), "upsert")["id"])
    builder = rig.services.builder()
    assert rig.client.change("undo", undone).status_code == 200
    rig.client.wait_state(undone, "REVERTED")
    builder.kill()
    assert rig.client.change("redo", undone).status_code == 200
    cut(rig.env, rig.env.settings.topics.user_events)
    rig.services.builder()
    status = _failed(rig, undone)
    assert status["state"] == "PROCESSING"

    answer = rig.client.change("undo", undone)
    assert answer.status_code == 200, answer.text
    status = rig.client.status(undone)
    assert (status["state"], status["undoFailure"]) == ("REVERTED", None)
    assert counts(status) == (5, 10, 0, 0)


def test_what_was_undone_stays_undone_where_the_log_no_longer_says_it(rig: Rig) -> None:
    """A builder that starts then builds nothing, and tells whoever asks; live work goes on."""
    undone = int(rig.run(tidy_csv(range(40, 60)))["id"])
    rig.run(tidy_csv(range(40)))
    builder = rig.services.builder()
    assert rig.client.change("undo", undone).status_code == 200
    rig.client.wait_state(undone, "REVERTED")
    builder.kill()
    was_active = active(rig.env)
    topic = rig.env.settings.topics.job_events
    admin = AdminClient({"bootstrap.servers": rig.env.surroundings.bootstrap_servers})
    whole = TopicPartition(topic.name, 0, end_of(rig.env.settings, topic))
    for done in admin.delete_records([whole]).values():  # pyright: ignore[reportUnknownVariableType]
        done.result(_TIMEOUT_S)
    rig.services.builder()

    failed = wait_built(rig.env, request(rig.env, "rebuild"))
    assert failed["state"] == "failed"
    assert failed["failure"].startswith(f"LOG_TRUNCATED: topic {topic.name}, partition 0")
    assert active(rig.env) == was_active
    rig.processors[0].kill()
    rig.restart_processor()
    assert_live_goes_on(rig)
    assert active(rig.env) == was_active


def test_an_api_that_starts_without_the_beginning_of_the_jobs_is_not_ready(rig: Rig) -> None:
    """It says why, takes no upload, and does not begin the log anew; users are read."""
    rig.run(tidy_csv(range(45)))
    topic = rig.env.settings.topics.job_events
    cut(rig.env, topic)
    end = end_of(rig.env.settings, topic)
    _, client = rig.services.api()
    with client:
        wait_until(
            lambda: "LOG_TRUNCATED" in client.http.get("/health/ready").text,
            _TIMEOUT_S,
            saying="it says why it is not ready",
        )
        assert client.upload(tidy_csv(range(3))).status_code == 503
        assert client.http.get(f"{BASE}/audience").json()["total"] == 45
    assert end_of(rig.env.settings, topic) == end
