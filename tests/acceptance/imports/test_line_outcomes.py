"""What lines and repeated uploads come to over HTTP, exactly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.support.clients.client import BASE, Client, counts
from tests.support.clients.raw_http import (
    curl_form,
)
from tests.support.data.corpus.values import INCOMPLETE, REFUSED, TAKEN
from tests.support.data.files import csv_of, tidy_csv
from tests.support.data.log_reading import accepted_jobs
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig
    from tests.support.servers.services import Services


LINES = [{header: cell} for header, cell, _ in REFUSED] + [cells for cells, *_ in INCOMPLETE]


def test_bad_values_are_rejections_of_their_lines(emptied: Rig) -> None:
    """200, and each line is listed with its column, code and text; the tidy ones go in."""
    rig = emptied
    keys = [f"line{number}@example.com" for number in range(len(LINES))]
    lines = [{"Email": key} | cells for key, cells in zip(keys, LINES, strict=True)]
    content = csv_of({}, *lines, {"Email": "last@example.com"})

    status = rig.run(content)
    errors = rig.client.errors(int(status["id"]))

    assert counts(status) == (2, 0, 0, len(lines))
    expected = [(header, code) for header, _, code in REFUSED]
    expected += [(header, code) for _, header, code in INCOMPLETE]
    assert [(error["column"], error["code"]) for error in errors] == expected
    assert [error["errorMessage"].split(",", 1)[0] for error in errors] == [
        f"Line {number}" for number in range(2, len(lines) + 2)
    ]
    assert all(error["reason"] in error["errorMessage"] for error in errors)


def test_a_key_comes_once_in_a_file(emptied: Rig) -> None:
    """Case and spaces make no other key; too few and too many fields are no key at all."""
    rig = emptied
    content = csv_of({}, {"Email": " ADA@example.COM"}, {"Email": "ada@example.com "})
    content += b'"x"\r\n' + b",".join([b'"x"'] * 11) + b"\r\n"

    for mode, expected in {"insert": (1, 0, 0, 4), "delsert": (1, 0, 0, 4)}.items():
        status = rig.run(content, mode)
        codes = [error["code"] for error in rig.client.errors(int(status["id"]))]
        assert counts(status) == expected
        assert codes == [*["DUPLICATE_IN_FILE"] * 2, "TOO_FEW_FIELDS", "TOO_MANY_FIELDS"]
    assert select(rig.env, "SELECT email FROM users") == [{"email": "ada@example.com"}]


def test_values_are_kept_as_they_are(emptied: Rig) -> None:
    """Formulas, SQL, HTML, templates and control characters come out as they went in."""
    rig = emptied
    lines = [
        {"Email": f"line{number}@example.com", header: cell}
        for number, (header, cell, *_) in enumerate(TAKEN)
        if header != "Email"
    ]

    status = rig.run(csv_of(*lines))

    assert counts(status) == (len(lines), 0, 0, 0)
    rows = {row["email"]: row for row in select(rig.env, "SELECT * FROM users")}
    for number, (_, _, name, value) in enumerate(TAKEN):
        if name != "email":
            assert rows[f"line{number}@example.com"][name] == value
    assert not {"\x01", "\x1b"} & set("".join(s.log_text() for s in rig.services.started))


def test_the_same_file_twice(rig: Rig) -> None:
    """A second insert is rejected line by line, a second upsert changes nothing."""
    content = tidy_csv(range(50))
    runs = [rig.run(content, mode) for mode in ("insert", "insert", "upsert", "upsert")]

    assert [counts(status) for status in runs[:2]] == [(50, 0, 0, 0), (0, 0, 0, 50)]
    assert [counts(status) for status in runs[2:]] == [(0, 0, 50, 0)] * 2
    rig.assert_as_modelled()


def test_uploads_at_one_instant_are_jobs_one_after_another(rig_of_two: Rig) -> None:
    """Inserts with the same keys, inserts during delserts, two delserts: some order of them."""
    rig = rig_of_two
    modes = ["insert", "insert", "delsert", "insert", "delsert", "upsert", "insert", "delsert"]
    contents = [tidy_csv(range(200 * (n % 2), 3000), word=f"w{n}") for n in range(len(modes))]
    with ThreadPoolExecutor(len(modes)) as threads:
        for job in threads.map(rig.submit, contents, modes):
            assert job
    model = rig.assert_as_modelled()

    assert len(model.outcomes) == len(modes)


def test_fifty_retries_on_two_instances_and_across_a_crash_are_one_job(
    services: Services, rig: Rig
) -> None:
    """Whoever was not answered asks again, elsewhere too, and is told the same id."""
    content = tidy_csv(range(100))
    rig.files.append(content)
    _, other = services.api()
    wait_until(other.is_ready, 40)
    urls = [rig.client.url, other.url]

    def upload(url: str) -> int | None:
        with Client(url, rig.env.password) as client:
            try:
                return client.submit(content, headers={"Idempotency-Key": "one night"})
            except httpx2.TransportError:
                return None

    with ThreadPoolExecutor(50) as threads:
        answers = [threads.submit(upload, urls[number % 2]) for number in range(50)]
        wait_until(lambda: any(answer.done() for answer in answers), 30, every_s=0)
        rig.api.kill()
        answered: list[Any] = [answer.result(60) for answer in answers]
    retried = [upload(other.url) for answer in answered if answer is None]
    rig.restart_api()
    again = upload(rig.client.url)
    other.close()

    assert len({*answered, *retried, again} - {None}) == 1
    assert None not in {*retried, again}
    assert [job.job_id for job in accepted_jobs(rig.env.settings)] == [again]
    rig.assert_as_modelled()


def test_an_answer_that_a_crash_swallows_is_given_to_the_retry(rig: Rig) -> None:
    """Kill -9 between an acceptance and the answers: the job is there, once."""
    content = tidy_csv(range(10))
    rig.files.append(content)
    headers = {"Idempotency-Key": "swallowed"}

    def upload() -> int | None:
        with Client(rig.client.url, rig.env.password) as client:
            try:
                return client.submit(content, headers=headers)
            except httpx2.TransportError:
                return None

    with ThreadPoolExecutor(20) as threads:
        # Only the first of them is in the log by then; it may have been answered or not.
        answers = [threads.submit(upload) for _ in range(20)]
        wait_until(lambda: bool(accepted_jobs(rig.env.settings)), 30, every_s=0)
        rig.api.kill()
        answered = {answer.result(60) for answer in answers}
    rig.restart_api()
    retried = upload()

    assert answered <= {None, retried}
    assert [job.job_id for job in accepted_jobs(rig.env.settings)] == [retried]
    rig.assert_as_modelled()


@pytest.mark.parametrize("job_id", ["\N{ARABIC-INDIC DIGIT FIVE}", str(2**64), "letters", "1e3"])
def test_what_is_no_id_is_of_no_job(client: Client, job_id: str) -> None:
    """For status and errors alike, never a failure."""
    for kind in ("status", "errors"):
        answer = client.http.get(f"{BASE}/batchinfo/{kind}/{job_id}")
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("Invalid request ID.")


@pytest.mark.parametrize("start", [0, 10**9])
def test_pages_beyond_the_end_are_empty(client: Client, start: int) -> None:
    """Of the errors of a job, of jobs and of users."""
    job_id = curl_form(client).json()["id"]
    for path, name in ((f"batchinfo/errors/{job_id}", "Errors"), ("audience", "audience")):
        page = client.http.get(f"{BASE}/{path}?start={start}&pageSize=20").json()
        assert (page["total"], page[name]) == (0, [])
