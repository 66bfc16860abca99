"""Jobs that can't be published fail, as if they had never run, and hold up nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from schemas.clients.kafka import make_producer
from schemas.codec import codec
from tests.support.clients.client import BASE, counts
from tests.support.clients.projections import assert_proven
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import accepted_jobs
from tests.support.models.verdict import select
from tests.support.servers.rig import Reader

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig

TIMEOUT_S = 180


def forge(rig: Rig, job_id: int, **changes: Any) -> None:
    """The last file once more in `uploads`, and a JobAccepted of it that no API has sent."""
    settings, attempt = rig.env.settings, f"a{job_id}"
    accepted = accepted_jobs(settings)[-1]
    place = replace(accepted.chunks, partition=0, count=1)

    def note(error: object, message: Any) -> None:
        nonlocal place
        assert error is None
        place = replace(place, first_offset=message.offset(), last_offset=message.offset())

    producer = make_producer(settings.kafka)
    headers: list[tuple[str, str | bytes | None]] = [("attempt", attempt), ("index", "0")]
    producer.produce(
        settings.topics.uploads.name, rig.files[0], str(job_id), 0, note, headers=headers
    )
    assert producer.flush(60) == 0
    forged = replace(accepted, job_id=job_id, attempt=attempt, chunks=place, **changes)
    producer.produce(settings.topics.job_events.name, codec.encode(forged), partition=0)
    assert producer.flush(60) == 0


def test_a_job_that_fails_in_the_middle_is_as_if_it_had_never_run(rig: Rig) -> None:
    """A delsert and an upsert of more lines than there are: rows of both are applied, then not.

    What comes behind them ends, and so does it where everything is built anew.
    """
    rig.publisher.terminate()
    rig.publisher = rig.services.publisher(give_up_s="1")
    rig.run(tidy_csv(range(60)))
    with Reader(rig.env) as reader:
        forge(rig, 71, mode="delsert", lines=61)
        forge(rig, 72, mode="upsert", lines=100, delimiter=";")
        forge(rig, 73, mode="upsert", delimiter="::", lines=60)
        rig.run(tidy_csv(range(50, 70), word="b"), "upsert")
        rig.services.builder()
        for job_id in (71, 72, 73):
            status = rig.client.wait_state(job_id, "FAILED", timeout_s=TIMEOUT_S)
            assert counts(status) == (0, 0, 0, 0)
            assert "upload the file again" in status["statusMessage"]
            assert status.get("revertedDate") is status.get("cancelledDate") is None
    assert min(reader.counts) == 60
    listed = rig.client.http.get(f"{BASE}/batchinfo/status?state=FAILED").json()
    assert {each["id"] for each in listed["statuses"]} == {"71", "72", "73"}
    for change in ("undo", "redo", "cancel"):
        assert "failed" in rig.client.change(change, 71).text
    assert rig.client.http.get(f"{BASE}/batchinfo/proof/71").status_code == 409
    assert_proven(rig.env)
    assert select(rig.env, "SELECT count(*) AS n FROM users") == [{"n": 70}]
    rig.services.assert_running()
