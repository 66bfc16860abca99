"""What a client of the contract says, and what it is answered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

import httpx2

from tests.support.clients.client import TLS
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

BASE = "/vpns/api/v1"
IMPORT = f"{BASE}/audience/import"
IN_PROGRESS = "File uploaded successfully, import is in progress."
INVALID_FILE = {"message": "Please upload a valid CSV file", "code": "INVALID_REQUEST"}
UNAUTHORIZED = {"message": "Unauthorized request", "code": "UNAUTHORIZED"}
UNKNOWN_JOB = {
    "message": "Invalid request ID. No request found with the provided ID",
    "code": "UNKNOWN_JOB",
}
UNKNOWN_USER = {
    "message": "Invalid audience member ID provided or no audience member found with given ID",
    "code": "UNKNOWN_USER",
}
DATE = re.compile(r"(0[1-9]|1[0-2])/[0-3]\d/\d{4} (0[1-9]|1[0-2]):[0-5]\d:[0-5]\d [AP]M GMT")
ID = re.compile(r"[1-9]\d{0,18}")
HEADER = "First Name,Last Name,Email,Mobile Number,Country,State,Last Active Date"
NO_SUCH_IDS = [
    "8999999999999999999",
    *("0", "-1", "abc", "18446744073709551616", "%D9%A5", "1.0", "1e3"),
]
"""Ids that belong to nothing, whatever their form."""


class Server:
    """An installation as one client speaks to it; close it at the end."""

    def __init__(self, url: str, account: tuple[str, str] | None) -> None:
        self.http = httpx2.Client(
            base_url=url, auth=account, timeout=60, trust_env=False, verify=TLS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def upload(
        self,
        content: str | bytes,
        *,
        file_name: str = "users.csv",
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """The answer to an upload, as a browser's form sends it."""
        return self.http.post(
            IMPORT,
            params=query or {},
            headers=headers or {},
            data=fields or {},
            files={"uploadFile": (file_name, content, "text/csv")},
        )

    def job(self, content: str | bytes, **how: Any) -> str:
        """The id of the job of an upload, which must be taken."""
        answer = self.upload(content, **how)
        assert (answer.status_code, set(answer.json())) == (200, {"id", "message"}), answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def status(self, job_id: str) -> Json:
        """The job's status, which must be known."""
        answer = self.http.get(f"{BASE}/batchinfo/status/{job_id}")
        assert answer.status_code == 200, answer.text
        status: Json = answer.json()
        return status

    def ended(self, job_id: str) -> Json:
        """The job's last status."""
        wait_until(
            lambda: self.status(job_id)["statusMessage"] != IN_PROGRESS, 60, saying="it ends"
        )
        return self.status(job_id)

    def imported(self, content: str | bytes, mode: str = "insert", **how: Any) -> Json:
        """The last status of an upload in this mode, which must be taken."""
        return self.ended(self.job(content, fields={"importType": mode}, **how))

    def errors(self, job_id: str, **query: str | int) -> Json:
        """A page of the job's errors."""
        answer = self.http.get(f"{BASE}/batchinfo/errors/{job_id}", params=query)
        assert answer.status_code == 200, answer.text
        page: Json = answer.json()
        return page

    def users(self, **query: str | int) -> Json:
        """A page of users."""
        answer = self.http.get(f"{BASE}/audience", params=query)
        assert answer.status_code == 200, answer.text
        page: Json = answer.json()
        return page

    def user(self, email: str) -> Json | None:
        """The user with this email, or None."""
        found = self.users(email=email)
        assert found["total"] == len(found["audience"]) <= 1
        return found["audience"][0] if found["audience"] else None

    def created(self, **fields: object) -> str:
        """The id of a new user, who has these fields."""
        answer = self.http.post(f"{BASE}/audience", json=fields)
        assert answer.status_code == 200, answer.text
        user_id: str = answer.json()["id"]
        return user_id


def line(email: str, **cells: str) -> str:
    """A line below :data:`HEADER`, right but for the cells that are named by their columns."""
    usual = {
        "First Name": "Ada",
        "Last Name": "Lovelace",
        "Email": email,
        "Mobile Number": "",
        "Country": "India",
        "State": "",
        "Last Active Date": "",
    } | {name.replace("_", " ").title(): value for name, value in cells.items()}
    return ",".join(usual[column] for column in HEADER.split(","))


def file(*lines: str) -> str:
    """A file of these lines."""
    return "\n".join([HEADER, *lines]) + "\n"


def counts(status: dict[str, Any]) -> tuple[int, ...]:
    """Total, inserted, updated, unchanged, rejected."""
    names = ("total", "inserted", "updated", "unchanged", "rejected")
    return tuple(status[name] for name in names)
