"""Passwords are hashed alike, whoever asks."""

from __future__ import annotations

from argon2 import extract_parameters

from ingest_api.auth.password_hashing import PasswordHashing, hash_password


def test_a_name_without_an_account_costs_the_same_work() -> None:
    """Its hash names the same kind, version, costs and lengths, and is another in each process."""
    first, second = PasswordHashing(), PasswordHashing()
    assert extract_parameters(first.dummy_hash) == extract_parameters(hash_password("any"))
    assert first.dummy_hash != second.dummy_hash
    for each in (first, second):
        each.close()
