"""The ground that a test stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from confluent_kafka.admin import AdminClient

if TYPE_CHECKING:
    from tests.support.servers.surroundings import Ground


def test_each_test_has_an_empty_database_of_its_own(env: Ground) -> None:
    """Nothing of another test is in it."""
    with psycopg.connect(env.conninfo) as connection:
        tables = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone()
    assert tables == (0,)


def test_each_test_has_topic_names_of_its_own(env: Ground) -> None:
    """None of its topics is there before it makes them."""
    admin = AdminClient({"bootstrap.servers": env.surroundings.bootstrap_servers})
    ours = {topic.name for topic in env.settings.topics.all()}
    assert not ours & set(admin.list_topics(timeout=60).topics)
