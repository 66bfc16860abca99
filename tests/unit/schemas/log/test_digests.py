"""A digest is right for one topic, key and value, by any key of the log, and for nothing else."""

from __future__ import annotations

import itertools

import pytest

from schemas.log.digests import HEADER, keyring_fault, keyring_of

OLD, NEW = "a:" + "1" * 32, "b:" + "2" * 32
RECORD = ("job-events", b"41", b"value")


@pytest.mark.parametrize("key", [b"41", b"", None])
@pytest.mark.parametrize("value", [b"value", b"", None])
def test_a_digest_is_of_topic_key_and_value(key: bytes | None, value: bytes | None) -> None:
    """None is another key or value than an empty one, and no border between them can be moved."""
    keyring = keyring_of(NEW)
    assert keyring is not None
    headers = keyring.headers("job-events", key, value)

    assert keyring.is_right("job-events", key, value, headers)
    for topic in ("job-events", "job-events.2", "job-event"):
        for other_key in (b"41", b"", None, b"41v"):
            for other_value in (b"value", b"", None, b"alue"):
                is_same = (topic, other_key, other_value) == ("job-events", key, value)
                assert keyring.is_right(topic, other_key, other_value, headers) is is_same


def test_the_first_key_signs_and_all_verify() -> None:
    """So a new key is added behind the old one, then put before it, then the old one is dropped."""
    steps = [keyring_of(text) for text in (OLD, f"{OLD},{NEW}", f"{NEW},{OLD}", NEW)]
    rings = [ring for ring in steps if ring is not None]
    assert len(rings) == len(steps)
    for before, after in itertools.pairwise(rings):
        assert after.is_right(*RECORD, before.headers(*RECORD))
        assert before.is_right(*RECORD, after.headers(*RECORD))
    assert not rings[0].is_right(*RECORD, rings[3].headers(*RECORD))


@pytest.mark.parametrize(
    "given", [None, b"", b"a", b"a:", b"a:" + b"0" * 64, b"\xff:\xff", "a:ß", b"c:" + b"0" * 64]
)
def test_what_is_no_digest_is_not_right(given: str | bytes | None) -> None:
    """Whatever stands in the header."""
    keyring = keyring_of(OLD)
    assert keyring is not None
    assert not keyring.is_right(*RECORD, [(HEADER, given), ("other", b"a")])
    assert keyring.is_right(*RECORD, [(HEADER, given), *keyring.headers(*RECORD)])


@pytest.mark.parametrize(
    "text", ["a", "a:short", f"{OLD},{OLD}", f"{OLD},", ":" + "1" * 32, "a b:" + "1" * 32]
)
def test_settings_that_are_no_keys_are_refused(text: str) -> None:
    """Also a secret that is too short to be one."""
    assert keyring_fault(text)
    assert keyring_fault(OLD) is keyring_fault("") is None
