"""What an undo is refused for, and what the log then has of it.

No builder runs here, so what is undone stays ``REVERTING``.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import psycopg
import pytest
from psycopg.types.json import Jsonb

from schemas.codec import codec
from schemas.events import JobRestored, JobReverted
from tests.support.clients.client import BASE, TLS, counts
from tests.support.clients.speech import UNKNOWN_JOB
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import read_topic
from tests.support.servers.breaking import killed
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from deploy.local_stack.stack import LocalStack
    from tests.support.clients.client import Client, Json
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground

MANAGER_NEEDED = {
    "message": "The role manager is needed for this request",
    "code": "ROLE_TOO_LOW",
}
ADMIN_NEEDED = {"message": "The role admin is needed for this request", "code": "ROLE_TOO_LOW"}
BUILT_ON = {
    **ADMIN_NEEDED,
    "message": f"{ADMIN_NEEDED['message']}: others have changed the audience since the job",
}
PREVIEW = """
INSERT INTO public.projection_instance
    (purpose, state, preview_revert, requested_by, ready_at, result)
VALUES ('preview', 'ready', %s, 'admin', now(), %s)
"""
BUILD = """
INSERT INTO public.projection_instance (purpose, state, records_done, records_total, requested_by)
VALUES ('rebuild', 'building', 3, 8, 'admin')
"""
BUILD_ENDS = """
UPDATE public.projection_instance SET state = 'failed', failure = 'for the test'
WHERE purpose = 'rebuild'
"""
KINDS = ("restored", "removed", "changedBack", "kept")
RESULT: Json = {
    **dict.fromkeys(KINDS, 0),
    **dict.fromkeys(("usersBefore", "usersAfter"), 5),
    "samples": {kind: [] for kind in KINDS},
    "laterJobs": [],
}


def execute(env: Ground, statement: str, *values: object) -> None:
    """Run one statement as the builder's stand-in."""
    with psycopg.connect(env.conninfo) as connection:
        connection.execute(statement.encode(), values or None)


def changes(env: Ground) -> list[JobReverted | JobRestored]:
    """What the log has of undos, whether it counts or not."""
    records = read_topic(env.settings, env.settings.topics.job_events)[0]
    events = [codec.decode(record.value()) for record in records]
    return [event for event in events if isinstance(event, JobReverted | JobRestored)]


@pytest.mark.parametrize("change", ["undo", "redo"])
@pytest.mark.parametrize("job_id", ["1", "letters", str(2**64), "\u0665"])
def test_a_job_that_there_is_not_is_unknown(rig_of_module: Rig, change: str, job_id: str) -> None:
    """In the contract's words, whatever is asked; nothing is in the log."""
    for query in ({}, {"dryRun": "true"}):
        answer = rig_of_module.client.change(change, job_id, **query)
        assert (answer.status_code, answer.json()) == (400, UNKNOWN_JOB)


def test_the_undo_of_a_job_that_runs_is_queued_and_not_previewed(rig: Rig) -> None:
    """What it would do isn't known before the job has ended; once asked for it is in the log."""
    rig.processors[0].freeze()
    job_id = rig.submit(tidy_csv(range(100)))
    answer = rig.client.change("undo", job_id, dryRun="true")
    assert answer.status_code == 409
    assert "ACCEPTED: wait" in answer.json()["message"]
    assert changes(rig.env) == []
    for _ in range(2):
        assert rig.client.change("undo", job_id, key="one").status_code == 200
    assert rig.client.status(job_id)["state"] == "REVERTING"
    assert changes(rig.env) == []
    rig.processors[0].thaw()
    wait_until(lambda: [event.job_id for event in changes(rig.env)] == [job_id], 60)
    (event,) = changes(rig.env)
    assert isinstance(event, JobReverted)
    assert (event.inserted, event.requested_by) == (100, "admin")
    assert rig.client.change("undo", job_id, key="one").status_code == 200
    assert rig.client.status(job_id)["state"] == "REVERTING"


def test_an_undo_is_in_the_log_once_it_is_answered(rig: Rig, other: Client) -> None:
    """With the job's counts; every instance knows it, and only its reverse is left to ask for."""
    rig.run(tidy_csv(range(3)))
    job_id = int(rig.run(tidy_csv(range(10)), "upsert")["id"])
    assert rig.client.change("redo", job_id).status_code == 409

    answer = rig.client.change("undo", job_id)
    assert (answer.status_code, answer.json()["id"]) == (200, str(job_id))
    (event,) = changes(rig.env)
    assert isinstance(event, JobReverted)
    assert (event.job_id, event.requested_by) == (job_id, "admin")
    assert (event.inserted, event.updated, event.unchanged, event.rejected) == (7, 0, 3, 0)
    for client in (rig.client, other):
        status = client.wait_state(job_id, "REVERTING")
        assert counts(status) == (7, 0, 3, 0)
        assert status["revertedBy"] == "admin"
        again = client.change("undo", job_id)
        assert (again.status_code, again.json()) == (
            409,
            {"message": "The job is being undone already", "code": "CONFLICT"},
        )

    answer = other.change("redo", job_id)
    assert (answer.status_code, answer.json()["id"]) == (200, str(job_id))
    status = rig.client.wait_state(job_id, "COMPLETED")
    assert counts(status) == (7, 0, 3, 0)
    assert rig.client.change("redo", job_id).status_code == 409
    assert [type(event) for event in changes(rig.env)] == [JobReverted, JobRestored]
    rig.assert_as_modelled()


def test_of_undos_at_one_instant_one_is_taken(rig: Rig, other: Client) -> None:
    """The others are told that it was, on whatever instance they ask."""
    job_id = int(rig.run(tidy_csv(range(3)))["id"])
    with ThreadPoolExecutor(16) as pool:
        asked = [
            pool.submit(client.change, "undo", job_id)
            for _ in range(8)
            for client in (rig.client, other)
        ]
        codes = sorted(each.result().status_code for each in asked)
    assert codes == [200] + [409] * 15


def test_a_retry_with_its_key_gets_the_same_answer(rig: Rig, other: Client) -> None:
    """Also at the same instant, also after the undo was undone; nothing is changed again."""
    job_id = int(rig.run(tidy_csv(range(3)))["id"])
    with ThreadPoolExecutor(6) as pool:
        clients = [rig.client, other] * 3
        asked = [pool.submit(client.change, "undo", job_id, key="k") for client in clients]
        assert {each.result().status_code for each in asked} == {200}
    assert rig.client.change("redo", job_id, key="k").status_code == 200
    answer = other.change("undo", job_id, key="k")
    assert (answer.status_code, answer.json()["id"]) == (200, str(job_id))
    assert rig.client.wait_state(job_id, "COMPLETED")
    assert other.change("undo", job_id, key="another").status_code == 200
    rig.client.wait_state(job_id, "REVERTING")


def test_an_api_killed_before_its_answer_has_undone_or_not(rig: Rig) -> None:
    """A retry with the same key ends in one undo."""
    job_id = int(rig.run(tidy_csv(range(3)))["id"])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(rig.client.change, "undo", job_id, key="k")
        wait_until(lambda: changes(rig.env), 30, saying="the undo is in the log")
        rig.api.kill()
        with contextlib.suppress(httpx2.TransportError):  # where it had no time to answer
            assert asked.result().status_code == 200
    rig.restart_api()
    assert rig.client.change("undo", job_id, key="k").status_code == 200
    assert len(changes(rig.env)) == 1
    assert rig.client.status(job_id)["state"] == "REVERTING"


def test_without_kafka_nothing_is_undone(rig: Rig, stack: LocalStack) -> None:
    """503 with Retry-After; once Kafka is back, it can be."""
    job_id = int(rig.run(tidy_csv(range(3)))["id"])
    with killed(stack.kafka):
        answers = [rig.client.change("undo", job_id, **query) for query in ({}, {"dryRun": "true"})]
    assert answers[0].status_code == 503
    assert "nothing was kept" in answers[0].json()["message"]
    assert int(answers[0].headers["Retry-After"]) > 0
    rig.wait_ready()
    assert changes(rig.env) == []
    assert rig.client.status(job_id)["state"] == "COMPLETED"
    assert rig.client.change("undo", job_id).status_code == 200


def test_an_undo_waits_for_no_build(rig: Rig) -> None:
    """It is refused while one is at work that could end in a switch; which one is said."""
    job_id = int(rig.run(tidy_csv(range(3)))["id"])
    execute(rig.env, BUILD)
    answer = rig.client.change("undo", job_id)
    assert answer.status_code == 409
    assert "(rebuild) is being built, 37 % of it is done" in answer.json()["message"]
    assert changes(rig.env) == []
    execute(rig.env, BUILD_ENDS)
    assert rig.client.change("undo", job_id).status_code == 200


def test_a_dry_run_is_one_wherever_it_says_so(rig: Rig) -> None:
    """In the query, a form or JSON; what cannot be understood is refused, for it may have."""
    job_id = int(rig.run(tidy_csv(range(5)))["id"])
    execute(rig.env, PREVIEW, job_id, Jsonb(RESULT))
    path = f"{BASE}/batchinfo/undo/{job_id}"
    http = rig.client.http

    for answer in (
        http.post(path, params={"dryRun": "true"}),
        http.post(path, params={"dryRun": "true"}, json={"dryRun": False}),
        http.post(path, data={"dryRun": "true"}),
        http.post(path, json={"dryRun": True}),
    ):
        assert (answer.status_code, answer.json()["dryRun"]) == (200, True), answer.text
    for answer, code in (
        (http.post(path, params={"dryRun": "yes"}), 400),
        (http.post(path, params=[("dryRun", "true"), ("dryRun", "true")]), 400),
        (http.post(path, data={"dryrun": "true"}), 400),
        (http.post(path, data={"dryRun": "1"}), 400),
        (http.post(path, json={"dry_run": True}), 400),
        (http.post(path, json={"dryRun": "true"}), 400),
        (http.post(path, content=b"{", headers={"Content-Type": "application/json"}), 400),
        (http.post(path, files={"dryRun": (None, "true")}), 415),
        (http.post(path, content=b"dryRun=true"), 415),
    ):
        assert answer.status_code == code, answer.text
    assert changes(rig.env) == []
    assert rig.client.status(job_id)["state"] == "COMPLETED"


def account_of(rig: Rig, name: str, role: str = "importer") -> httpx2.Client:
    """A new account with this role."""
    body = {"name": name, "role": role}
    made = rig.client.http.post(f"{BASE}/admin/accounts", json=body)
    account = (name, made.json()["password"])
    return httpx2.Client(
        base_url=rig.client.url, auth=account, timeout=60, trust_env=False, verify=TLS
    )


def imported_by(rig: Rig, http: httpx2.Client, numbers: range) -> int:
    """The id of a job that this account sent and that has ended."""
    job_id = sent_by(http, numbers)
    rig.client.wait_ended(job_id)
    return job_id


def sent_by(http: httpx2.Client, numbers: range) -> int:
    """The id of a job that this account sent."""
    files = {"uploadFile": ("users.csv", tidy_csv(numbers))}
    answer = http.post(f"{BASE}/audience/import", files=files, data={"importType": "upsert"})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["id"])


def test_importers_cancel_their_own_jobs_and_managers_all(rig: Rig) -> None:
    """Whoever else has changed the audience since: what has not ended is nobody's ground."""
    rig.publisher.freeze()
    with (
        account_of(rig, "crm") as crm,
        account_of(rig, "other") as other,
        account_of(rig, "lead", "manager") as manager,
    ):
        first, second = sent_by(crm, range(3)), sent_by(crm, range(3, 5))
        sent_by(other, range(5, 7))
        path = f"{BASE}/batchinfo/cancel"
        refused = other.post(f"{path}/{first}")
        assert (refused.status_code, refused.json()) == (403, MANAGER_NEEDED)
        assert rig.client.status(first)["state"] == "ACCEPTED"
        assert crm.post(f"{path}/{first}").status_code == 200
        assert manager.post(f"{path}/{second}").status_code == 200
    cancelled = [rig.client.status(job_id)["cancelledBy"] for job_id in (first, second)]
    assert cancelled == ["crm", "lead"]
    rig.publisher.thaw()


def test_importers_undo_their_own_job(rig: Rig) -> None:
    """And take that back; also where they imported once more. Nobody else's."""
    with account_of(rig, "crm") as crm, account_of(rig, "other") as other:
        first = imported_by(rig, crm, range(3))
        imported_by(rig, crm, range(3, 5))
        path = f"{BASE}/batchinfo/undo/{first}"
        refused = other.post(path)
        assert (refused.status_code, refused.json()) == (403, ADMIN_NEEDED)
        assert changes(rig.env) == []
        assert crm.post(path).status_code == 200
        assert crm.post(path.replace("undo", "redo")).status_code == 200
    assert [change.requested_by for change in changes(rig.env)] == ["crm", "crm"]


def test_what_others_built_on_takes_an_administrator(rig: Rig) -> None:
    """A job of another account, a single write, or an undo; a preview is shown all the same."""
    with account_of(rig, "crm") as crm, account_of(rig, "other") as other:
        job_id = imported_by(rig, crm, range(3))
        path = f"{BASE}/batchinfo/undo/{job_id}"
        later = imported_by(rig, other, range(7, 9))
        assert refusal_of(crm, path) == BUILT_ON
        execute(rig.env, PREVIEW, job_id, Jsonb(RESULT))
        assert crm.post(path, params={"dryRun": "true"}).json()["dryRun"] is True
        assert rig.client.change("undo", later).status_code == 200  # leaves nothing behind
        user = {"firstName": "A", "lastName": "B", "email": "a@b.example", "country": "India"}
        own = imported_by(rig, crm, range(20, 22))
        assert crm.post(f"{BASE}/audience", json=user).status_code == 200
        assert refusal_of(crm, f"{BASE}/batchinfo/undo/{own}") == BUILT_ON
        last = imported_by(rig, crm, range(30, 32))
        assert rig.client.change("undo", last).status_code == 200
        assert refusal_of(crm, f"{BASE}/batchinfo/redo/{last}") == BUILT_ON
    assert [change.requested_by for change in changes(rig.env)] == ["admin", "admin"]


def refusal_of(http: httpx2.Client, path: str) -> Json:
    """The answer to a request that its account may not make."""
    answer = http.post(path)
    assert answer.status_code == 403, answer.text
    return answer.json()
