"""Dry runs and ``maxDeletePercent`` from end to end; whatever becomes of them, nothing changes."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from schemas.read_model.tables import schema_name
from tests.support.clients.client import BASE, counts
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import end_of
from tests.support.models.verdict import select
from tests.support.servers.breaking import frozen
from tests.support.servers.rig import installation
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deploy.local_stack.stack import LocalStack
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Surroundings

_ROWS = 200_000
"""Compared for seconds, so that there is time to break something."""
_BOUNDARY = "rollcall-dry-run-61c0"
_COMPARING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND query LIKE '%compared_line%' AND state <> 'idle'
"""
_OUTBOX = f"SELECT id FROM {schema_name(1)}.outbox"
_TEMPORARY = """
SELECT relname FROM pg_class
WHERE relpersistence = 't' AND relname = ANY('{compared_line,compared_outcome,repeated_key}')
"""


def form(content: bytes, before: Mapping[str, str], after: Mapping[str, str]) -> bytes:
    """The body of an upload with fields before and after the file."""

    def fields(values: Mapping[str, str]) -> bytes:
        return "".join(
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in values.items()
        ).encode()

    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="uploadFile"; '
        'filename="users.csv"\r\n\r\n'
    ).encode()
    return b"".join(
        [fields(before), head, content, b"\r\n", fields(after), f"--{_BOUNDARY}--\r\n".encode()]
    )


def post(
    rig: Rig,
    content: bytes,
    *,
    before: Mapping[str, str] | None = None,
    after: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx2.Response:
    """The answer to an upload that says its options in these places."""
    return rig.client.http.post(
        f"{BASE}/audience/import",
        params=query,
        content=form(content, before or {}, after or {}),
        headers={
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
            **(headers or {}),
        },
    )


def traces(rig: Rig) -> dict[str, Any]:
    """All that an upload which is taken would change."""
    wait_until(lambda: not select(rig.env, _OUTBOX), 10, saying="all statuses have left")
    topics = rig.env.settings.topics
    kept = [topic for topic in topics.all() if topic != topics.uploads]
    return {
        **{topic.name: end_of(rig.env.settings, topic) for topic in kept},
        "users": select(rig.env, "SELECT * FROM users ORDER BY key"),
        "jobs": select(rig.env, "SELECT * FROM jobs ORDER BY job_id"),
        "rejections": select(rig.env, "SELECT * FROM rejections ORDER BY job_id, record_number"),
        "statuses": rig.client.statuses(),
    }


def found(answer: httpx2.Response) -> tuple[int, ...]:
    """Insert, update, unchanged, delete, reject."""
    assert answer.status_code == 200, answer.text
    counted = answer.json()
    assert counted["dryRun"] is True
    names = ("insert", "update", "unchanged", "delete", "reject")
    return tuple(counted[name] for name in names)


def test_dry_runs_leave_no_trace(emptied: Rig) -> None:
    """No record but chunks, no row, no job, in no mode and from no place that says it."""
    rig = emptied
    rig.run(tidy_csv(range(100)))
    before = traces(rig)
    some = tidy_csv(range(90, 120), word="b")
    places: list[dict[str, Mapping[str, str]]] = [
        {"query": {"dryRun": "true", "importType": "insert"}},
        {"before": {"dryRun": "true", "importType": "upsert"}},
        {"before": {"importType": "delsert"}, "after": {"dryRun": "true"}},
        {"query": {"dryRun": "true"}, "after": {"dryRun": "false", "importType": "delsert"}},
    ]
    answers = [found(post(rig, some, **place)) for place in places]
    assert answers == [
        (20, 0, 0, 0, 10),
        (20, 10, 0, 0, 0),
        (20, 10, 0, 90, 0),
        (20, 10, 0, 90, 0),
    ]
    assert traces(rig) == before
    assert counts(rig.run(some, "upsert")) == (20, 10, 0, 0)
    rig.assert_as_modelled()


def test_a_dry_run_is_refused_as_the_upload_would_be(
    emptied: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same codes of a file, a guard and an option; who may import may see any import."""
    rig = emptied
    dry = {"dryRun": "true"}
    unknown = post(rig, b"Email,Nonsense\na@b.co,1\n", query=dry)
    assert (unknown.status_code, unknown.json()["details"][0]["code"]) == (400, "UNKNOWN_COLUMN")
    invalid = post(rig, b"Email\nnone\n", query={**dry, "importType": "delsert"})
    assert (invalid.status_code, invalid.json()["details"][0]["code"]) == (400, "NO_VALID_LINE")
    for value in ("yes", "TRUE", "1", ""):
        other = post(rig, tidy_csv([1]), before={"dryRun": value})
        assert (other.status_code, other.json()["details"][0]["column"]) == (400, "dryRun")
    body = {"name": "mover", "role": "importer", "password": "moves quietly 1"}
    assert rig.client.http.post(f"{BASE}/admin/accounts", json=body).status_code == 200
    monkeypatch.setattr(rig.client.http, "auth", httpx2.BasicAuth("mover", body["password"]))
    delsert = post(rig, tidy_csv([1]), after={"importType": "delsert"})
    assert (delsert.status_code, "manager" in delsert.json()["message"]) == (403, True)
    assert found(post(rig, tidy_csv([1]), after={**dry, "importType": "delsert"})) == (
        1,
        0,
        0,
        0,
        0,
    )
    assert found(post(rig, tidy_csv([1]), after=dry)) == (1, 0, 0, 0, 0)


def test_a_dry_run_means_nothing_to_its_idempotency_key(emptied: Rig) -> None:
    """Before, and after, the key was used for an upload that was taken."""
    rig = emptied
    key = {"Idempotency-Key": "monday"}
    dry = {"dryRun": "true"}
    assert found(post(rig, tidy_csv([1, 2]), query=dry, headers=key)) == (2, 0, 0, 0, 0)
    taken = post(rig, tidy_csv([1]), headers=key)
    assert taken.status_code == 200
    rig.files.append(tidy_csv([1]))
    rig.wait_ended(int(taken.json()["id"]))
    assert found(post(rig, tidy_csv([1, 2]), query=dry, headers=key)) == (1, 0, 0, 0, 1)
    assert found(post(rig, tidy_csv([1, 2]), before=dry, headers=key)) == (1, 0, 0, 0, 1)
    # Of a file that has gone by, too large for one piece, nothing was kept to be compared.
    late = post(rig, tidy_csv(range(60_000)), after=dry, headers=key)
    assert (late.status_code, late.json()["details"][0]["column"]) == (400, "dryRun")
    assert post(rig, tidy_csv([1]), headers=key).json() == taken.json()
    assert post(rig, tidy_csv([1, 2]), headers=key).status_code == 409
    rig.assert_as_modelled()


def test_jobs_that_are_not_finished_are_counted_and_not_seen(emptied: Rig) -> None:
    """The audience is the one that is projected; how much is to come is said."""
    rig = emptied
    rig.run(tidy_csv([1]))
    rig.processors[0].freeze()
    for number in (2, 3):
        rig.submit(tidy_csv([number]))
    answer = post(rig, tidy_csv([1, 2]), query={"dryRun": "true"})
    rig.processors[0].thaw()
    assert found(answer) == (1, 0, 0, 0, 1)
    assert answer.json()["pendingJobs"] == 2
    rig.assert_as_modelled()


def test_a_delsert_that_removes_too_many_is_refused(emptied: Rig) -> None:
    """With the numbers; the limit itself is allowed, and other modes remove nobody."""
    rig = emptied
    delsert = {"importType": "delsert"}
    first = post(rig, tidy_csv(range(8)), before={**delsert, "maxDeletePercent": "0"})
    assert first.status_code == 200, "of nobody, nobody is removed"
    rig.files.append(tidy_csv(range(8)))
    rig.wait_ended(int(first.json()["id"]))
    before = traces(rig)
    for dry in ({}, {"dryRun": "true"}):
        places: list[dict[str, Mapping[str, str]]] = [
            {"query": {"maxDeletePercent": "37.4"}, "after": {"maxDeletePercent": "100", **dry}},
            {"after": {"maxDeletePercent": "0", **dry}},
        ]
        for place in places:
            refused = post(rig, tidy_csv(range(5)), before=delsert, **place)
            assert refused.status_code == 400
            (detail,) = refused.json()["details"]
            assert detail["code"] == "MAX_DELETE_PERCENT"
            assert "3 of the 8 users, 37.5 %" in detail["message"]
    limit = {"maxDeletePercent": "37.5"}
    dry_run = post(rig, tidy_csv(range(5)), before={**delsert, **limit, "dryRun": "true"})
    assert found(dry_run) == (0, 0, 5, 3, 0)
    assert traces(rig) == before
    upsert = post(rig, tidy_csv(range(5)), before={"importType": "upsert", "maxDeletePercent": "0"})
    assert upsert.status_code == 200
    rig.files.append(tidy_csv(range(5)))
    taken = post(rig, tidy_csv(range(5)), before={**delsert, **limit})
    assert taken.status_code == 200
    rig.wait_ended(int(taken.json()["id"]))
    rig.assert_as_modelled()


def test_the_share_is_that_of_the_users_after_all_jobs_before(emptied: Rig) -> None:
    """A delsert waits until they are projected, and is refused for now where that takes long."""
    rig = emptied
    rig.run(tidy_csv(range(2)))
    limited = {"importType": "delsert", "maxDeletePercent": "50"}
    rig.processors[0].freeze()
    rig.submit(tidy_csv(range(2, 10)))
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(post, rig, tidy_csv(range(2)), before=limited)
        time.sleep(1)
        assert not waiting.done(), "of two users nobody would be removed"
        rig.processors[0].thaw()
        refused = waiting.result()
    assert refused.status_code == 400
    assert "8 of the 10 users, 80 %" in refused.json()["details"][0]["message"]
    rig.processors[0].freeze()
    rig.submit(tidy_csv(range(10, 12)))
    late = post(rig, tidy_csv(range(2)), before=limited)
    rig.processors[0].thaw()
    assert late.status_code == 503
    assert int(late.headers["Retry-After"]) > 0
    assert "1 are not finished" in late.json()["message"]
    rig.assert_as_modelled()


@pytest.fixture(scope="module")
def rig_of_module(
    breakable_surroundings: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """An installation on servers that one of the tests freezes."""
    with installation(breakable_surroundings, tmp_path_factory.mktemp("logs")) as started:
        yield started


@pytest.fixture(scope="module")
def large(rig_of_module: Rig) -> bytes:
    """A file whose comparison takes a while, with as many users there."""
    rig_of_module.run(tidy_csv(range(_ROWS)))
    return tidy_csv(range(_ROWS), word="b")


def comparing(rig: Rig) -> bool:
    """Whether a file is being compared."""
    return bool(select(rig.env, _COMPARING))


def is_clean(rig: Rig) -> bool:
    """Whether neither a session nor a table of a comparison is left."""
    return not comparing(rig) and not select(rig.env, _TEMPORARY)


def begin(rig: Rig, content: bytes) -> socket.socket:
    """A dry run that is being compared, and the connection that asked for it."""
    body = form(content, {"dryRun": "true", "importType": "upsert"}, {})
    url = httpx2.URL(rig.client.url)
    request = rig.client.http.build_request(
        "POST",
        f"{BASE}/audience/import",
        headers={
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
            "Content-Length": str(len(body)),
        },
    )
    auth = httpx2.BasicAuth("admin", rig.env.password)
    request = next(auth.auth_flow(request))
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    connection = socket.create_connection((url.host, url.port or 80))
    connection.sendall(f"POST {request.url.raw_path.decode()} HTTP/1.1\r\n{head}\r\n".encode())
    connection.sendall(body)
    wait_until(lambda: comparing(rig), 30, saying="a file is being compared")
    return connection


def test_a_client_that_goes_away_ends_its_dry_run(rig_of_module: Rig, large: bytes) -> None:
    """Nothing of it is left; the next one is answered."""
    rig = rig_of_module
    begin(rig, large).close()
    wait_until(lambda: is_clean(rig), 30, saying="nothing is left")
    assert found(post(rig, tidy_csv([1]), query={"dryRun": "true"})) == (0, 0, 0, 0, 1)


def test_an_api_killed_during_a_dry_run_leaves_nothing(rig_of_module: Rig, large: bytes) -> None:
    """Postgres notices by itself, also in the middle of a statement."""
    rig = rig_of_module
    with begin(rig, large):
        rig.api.kill()
        wait_until(lambda: is_clean(rig), 10, saying="nothing is left")
    rig.restart_api()
    rig.assert_as_modelled()


def test_an_api_that_is_stopped_gives_its_dry_runs_up(rig_of_module: Rig, large: bytes) -> None:
    """It ends in order and in time, and nothing is left."""
    rig = rig_of_module
    with begin(rig, large):
        assert rig.api.terminate() == 0
        wait_until(lambda: is_clean(rig), 10, saying="nothing is left")
    rig.restart_api()


def test_a_dry_run_on_a_frozen_database_is_given_up(
    rig_of_module: Rig, large: bytes, stack: LocalStack
) -> None:
    """503 within some seconds; nothing is left once it wakes, and the next one is answered."""
    rig = rig_of_module
    with begin(rig, large) as connection:
        connection.settimeout(40)
        with frozen(stack.postgres.child.pid):
            answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ")
    wait_until(lambda: is_clean(rig), 20, saying="nothing is left")
    rig.wait_ready()
    assert found(post(rig, tidy_csv([1]), query={"dryRun": "true"})) == (0, 0, 0, 0, 1)


def test_dry_runs_take_turns_and_each_is_answered(rig: Rig) -> None:
    """More than work at once wait for each other; other requests go on."""
    rig.run(tidy_csv(range(20_000)))
    file = tidy_csv(range(10_000, 30_000), word="b")
    with ThreadPoolExecutor(6) as threads:
        answers = [
            threads.submit(post, rig, file, before={"dryRun": "true", "importType": "upsert"})
            for _ in range(6)
        ]
        assert rig.client.is_ready()
        assert {found(answer.result()) for answer in answers} == {(10_000, 10_000, 0, 0, 0)}
    assert is_clean(rig)
