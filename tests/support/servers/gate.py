"""One or two API processes as whoever wants in sees them; no processor runs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from tests.support.clients.client import BASE, TLS
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.clients.client import Client
    from tests.support.servers.services import Service
    from tests.support.servers.surroundings import Ground, Surroundings

AUDIENCE = f"{BASE}/audience"
ACCOUNTS = f"{BASE}/admin/accounts"
TOKENS = f"{BASE}/admin/tokens"
AUDIT = f"{BASE}/admin/audit"
PROXY_SECRET = "what-only-the-proxy-knows"
DIES_WITHIN_S = 2.0
"""As promised, on an instance that isn't told of a change."""
SLACK_S = 1.0
"""What a request may take on a machine that is busy with other things."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One API process and its administrator; others come as :meth:`get` says."""

    env: Ground
    service: Service
    client: Client

    @property
    def admin(self) -> httpx2.Client:
        """The administrator ``admin``."""
        return self.client.http

    def get(
        self,
        auth: tuple[str, str] | None = None,
        *,
        bearer: str | None = None,
        address: str | None = None,
        path: str = AUDIENCE,
    ) -> httpx2.Response:
        """The answer to a read with these credentials, as if from this address."""
        headers: dict[str, str] = {}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        if address is not None:
            headers |= {"X-Forwarded-Secret": PROXY_SECRET, "X-Forwarded-For": address}
        return httpx2.get(
            self.client.url + path,
            auth=auth,
            headers=headers,
            timeout=60,
            trust_env=False,
            verify=TLS,
        )

    def status(self, auth: tuple[str, str] | None = None, *, bearer: str | None = None) -> int:
        """The status of that answer."""
        return self.get(auth, bearer=bearer).status_code

    def add_account(self, name: str, role: str = "reader") -> tuple[str, str]:
        """Name and password of a new account."""
        answer = self.admin.post(ACCOUNTS, json={"name": name, "role": role})
        assert answer.status_code == 200, answer.text
        return name, answer.json()["password"]

    def add_token(self, name: str, role: str = "reader", **more: Any) -> tuple[str, str]:
        """Id and text of a new token."""
        answer = self.admin.post(TOKENS, json={"name": name, "role": role, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"], answer.json()["token"]

    def is_set_up(self) -> bool:
        """No processor runs, so the missing read model is all that may still be missing."""
        reasons = self.admin.get("/health/ready").json()["reasons"]
        return reasons == ["No processor has made the read model yet."]


def open_gate(env: Ground, services: Services, **settings: str) -> Gate:
    """An API process with these settings, and topics and accounts made."""
    service, client = services.api(None, forwarded_secret=PROXY_SECRET, **settings)
    gate = Gate(env, service, client)
    wait_until(gate.is_set_up, 30, saying="topics and accounts are there")
    return gate


@contextlib.contextmanager
def gates(of: Surroundings, logs: Path, number: int, **settings: str) -> Generator[list[Gate]]:
    """So many API processes of one installation."""
    with ground(of) as made, Services(made.environ, logs) as services:
        opened = [open_gate(made, services, **settings) for _ in range(number)]
        try:
            yield opened
        finally:
            for gate in opened:
                gate.client.close()
