"""Tables built anew beside the live ones, by the real builder, while all goes on."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from tests.support.clients.projections import active, instance, request, wait_built
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground

_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'projection_')"


def tables(env: Ground) -> dict[str, Any]:
    """What readers see."""
    return {
        "users": select(env, "SELECT * FROM users ORDER BY key"),
        "jobs": select(env, "SELECT * FROM jobs ORDER BY job_id"),
        "rejections": select(env, "SELECT * FROM rejections ORDER BY job_id, record_number"),
        "attributes": select(env, "SELECT * FROM attributes ORDER BY name"),
        "total": select(env, "SELECT total FROM user_total"),
    }


def without_versions(found: dict[str, Any]) -> dict[str, Any]:
    """The same without how often a job's row was written."""
    jobs = [{**job, "version": None} for job in found["jobs"]]
    return {**found, "jobs": jobs}


def some_jobs(rig: Rig) -> None:
    """A delsert among them, and rejections."""
    rng = random.Random(5)
    for mode in ("insert", "upsert", "delsert", "upsert", "insert"):
        rig.run(dirty_csv(rng, 3000, keys=5000), mode)


def test_a_rebuild_is_proved_equal_and_takes_the_live_ones_place(rig: Rig) -> None:
    """The same rows, ids and times; imports go on into the new tables."""
    rig.services.builder()
    some_jobs(rig)
    before = tables(rig.env)
    found = wait_built(rig.env, request(rig.env, "rebuild"))
    assert (found["state"], found["failure"]) == ("active", None)
    assert found["result"]["isEqual"]
    assert {table["table"]: table["rowsLive"] for table in found["result"]["tables"]}["job"] == 5
    assert without_versions(tables(rig.env)) == without_versions(before)
    versions = zip(before["jobs"], tables(rig.env)["jobs"], strict=True)
    assert all(old["version"] < new["version"] for old, new in versions), "no status goes back"
    rig.run(tidy_csv(range(100), word="after"), "upsert")
    rig.assert_as_modelled()


def test_imports_go_on_while_tables_are_built(rig: Rig) -> None:
    """Several rebuilds under load; the model decides."""
    rig.services.builder()
    rng = random.Random(6)
    for _ in range(3):
        jobs = [rig.submit(dirty_csv(rng, 8000, keys=20_000), "upsert") for _ in range(3)]
        number = request(rig.env, "rebuild")
        jobs.append(rig.submit(dirty_csv(rng, 4000, keys=20_000), "delsert"))
        found = wait_built(rig.env, number)
        assert found["state"] == "active", found["failure"]
        for job_id in jobs:
            rig.wait_ended(job_id)
    rig.assert_as_modelled()


def test_a_builder_killed_goes_on_when_it_is_started_again(rig: Rig) -> None:
    """Wherever it died; nothing is switched twice, and nothing half."""
    rig.run(tidy_csv(range(60_000)))
    rig.run(tidy_csv(range(30_000, 90_000), word="b"), "upsert")
    number = request(rig.env, "rebuild")
    done = 0
    while instance(rig.env, number)["state"] in {"requested", "building"}:
        builder = rig.services.builder()
        wait_until(
            lambda at=done: (
                instance(rig.env, number)["records_done"] > at
                or instance(rig.env, number)["state"] == "active"
            ),
            60,
        )
        builder.kill()
        done = instance(rig.env, number)["records_done"] + 20_000
    assert active(rig.env)["number"] == number
    rig.assert_as_modelled()


def test_a_builder_that_died_when_a_build_had_failed_says_so_later(rig: Rig) -> None:
    """The tables are gone by then, and the next build is done."""
    rig.run(tidy_csv(range(50)))
    number = request(rig.env, "rebuild")
    with psycopg.connect(rig.env.conninfo) as connection:
        connection.execute(
            "UPDATE projection_instance SET state = 'building', reverted_job_ids = '{}'"
            " WHERE state = 'requested'"
        )
    builder = rig.services.builder()
    failed = wait_built(rig.env, number)
    assert (failed["state"], failed["failure"]) == (
        "failed",
        "it has failed before; the builder's log says why",
    )
    assert wait_built(rig.env, request(rig.env, "rebuild"))["state"] == "active"
    assert builder.is_running


@pytest.mark.parametrize(
    ("fault", "table", "difference"),
    [
        ("UPDATE {}.user_row SET first_name = 'x' WHERE key = 'user7@example.com'", "users",
         "differs in first_name"),
        ("DELETE FROM {}.user_row WHERE key = 'user7@example.com'", "users",
         "missing in the live tables"),
        ("UPDATE {}.user_count SET users = users + 1 WHERE partition = 0", "user_count",
         "differs in users"),
        ("UPDATE {}.job_partition SET updated = updated + 1 WHERE partition = 1", "job_partition",
         "differs in updated"),
    ],
)  # fmt: skip
def test_a_fault_planted_by_hand_is_found_and_mended(
    rig: Rig, fault: str, table: str, difference: str
) -> None:
    """A rebuild names it and switches nothing; one that mends puts the log's truth in place."""
    rig.services.builder()
    rig.run(tidy_csv(range(50)))
    before = tables(rig.env)
    with psycopg.connect(rig.env.conninfo) as connection:
        connection.execute(fault.format("projection_1").encode())
    verified = wait_built(rig.env, request(rig.env, "verify"))
    rebuilt = wait_built(rig.env, request(rig.env, "rebuild"))
    assert (verified["state"], rebuilt["state"]) == ("ready", "failed")
    assert "nothing was switched" in rebuilt["failure"]
    for found in (verified, rebuilt):
        (differing,) = [one for one in found["result"]["tables"] if not one["isEqual"]]
        assert differing["table"] == table
        assert differing["differing"][0]["difference"] == difference
    assert select(rig.env, _SCHEMAS) == [{"nspname": "projection_1"}]
    assert wait_built(rig.env, request(rig.env, "rebuild", mends=True))["state"] == "active"
    assert without_versions(tables(rig.env)) == without_versions(before)
    rig.assert_as_modelled()


def turn_back(env: Ground) -> None:
    """Make the tables what version 2 left: views in ``public`` alone, and no registry."""
    with psycopg.connect(env.conninfo) as connection:
        views = "SELECT viewname FROM pg_views WHERE schemaname = 'projection_1'"
        for (name,) in connection.execute(views).fetchall():
            view = sql.Identifier(name)
            connection.execute(sql.SQL("DROP VIEW public.{}").format(view))
            connection.execute(sql.SQL("ALTER VIEW projection_1.{} SET SCHEMA public").format(view))
        connection.execute("DROP TABLE projection_instance")
        connection.execute("UPDATE projection_1.projection SET version = 2")
        connection.execute("ALTER TABLE projection_1.job_partition DROP COLUMN sealed_at CASCADE")
        connection.execute("ALTER VIEW public.user_total RENAME COLUMN total TO users")


def test_tables_of_an_earlier_version_are_upgraded_beside_their_readers(rig: Rig) -> None:
    """They are read as they are until the new ones take their place; jobs wait meanwhile."""
    rig.run(tidy_csv(range(1000)))
    rig.processors[0].terminate()
    turn_back(rig.env)
    rig.restart_processor()
    job_id = rig.submit(tidy_csv(range(500, 1500), word="b"), "upsert")
    waiting = "the tables are of an earlier version"
    wait_until(lambda: waiting in rig.processors[0].log_text(), 30)
    assert len(select(rig.env, "SELECT key FROM users")) == 1000
    rig.services.builder()
    rig.wait_ended(job_id)
    assert (active(rig.env)["purpose"], active(rig.env)["number"]) == ("upgrade", 2)
    rig.assert_as_modelled()
