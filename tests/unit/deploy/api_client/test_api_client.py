"""What the commands make of the API's answers."""

import httpx2
import pytest

from deploy.api_client.client import (
    ApiError,
    RefusedError,
    UnreachableError,
    event_data,
    path_of,
    refusal_text,
)
from deploy.api_client.job import JobCounts
from deploy.api_client.retry import RetryPolicy, with_retries


def test_a_job_has_ended_once_its_state_is_final() -> None:
    """Progress is the sum of the outcomes; the state alone says that it is over."""
    running = JobCounts("PROCESSING", 4, 1, 1, 1, 1)
    ended = JobCounts("COMPLETED_WITH_ERRORS", 4, 1, 1, 1, 1)

    assert running.done == 4
    assert not running.has_ended
    assert ended.has_ended


def test_counts_that_a_job_does_not_have_yet_are_none() -> None:
    """A job that nobody has opened has no counts."""
    status = {"state": "ACCEPTED", "total": None, "inserted": 2}

    assert JobCounts.of(status) == JobCounts("ACCEPTED", 0, 2, 0, 0, 0)


def test_a_refusal_names_each_fault() -> None:
    """A refused file's faults are shown with their places."""
    answer = {
        "message": "Please upload a valid CSV file",
        "details": [{"line": 3, "column": 7, "code": "X", "message": "An unclosed quote."}],
    }

    text = refusal_text(400, answer)

    assert text == "400: Please upload a valid CSV file\n  line 3: column 7: An unclosed quote."


def test_a_refusal_without_details_is_one_line() -> None:
    """Most refusals are a message only."""
    assert refusal_text(401, {"message": "Unauthorized request"}) == "401: Unauthorized request"


def test_a_part_of_a_path_stays_one() -> None:
    """A name with a slash or a question mark names the same thing still."""
    assert (
        path_of("admin", "accounts", "a/b?c d", "delete") == "/admin/accounts/a%2Fb%3Fc%20d/delete"
    )


def test_events_are_read_by_their_data() -> None:
    """Names, ids and comments are no data; several lines of data are one event's."""
    lines = [
        ": hello",
        "",
        "event: status",
        "id: 7",
        "data: {",
        "data:}",
        "",
        "data: 2",
        "",
        "data: 3",
    ]

    response = httpx2.Response(
        200,
        headers={"Content-Type": "text/event-stream"},
        text="\n".join(lines),
        request=httpx2.Request("GET", "http://localhost/events"),
    )

    assert list(event_data(response)) == ["{\n}", "2"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_delays_double_up_to_the_longest(status: int) -> None:
    """An answer that will pass is waited for, ever longer."""
    policy = RetryPolicy(for_s=60, longest_delay_s=4)
    error = RefusedError(status, "busy", None)

    delays = [policy.delay_s(error, attempt=n, elapsed_s=0) for n in range(1, 6)]

    assert delays == [0.5, 1, 2, 4, 4]


def test_what_the_server_asks_for_is_waited() -> None:
    """Retry-After is a lower bound, and no reason to wait beyond the policy."""
    policy = RetryPolicy(for_s=60)
    error = RefusedError(503, "not now", 20)

    assert policy.delay_s(error, attempt=1, elapsed_s=0) == 20
    assert policy.delay_s(error, attempt=1, elapsed_s=41) is None


@pytest.mark.parametrize(
    "error", [RefusedError(400, "no", None), RefusedError(500, "no", None), ApiError("no TLS")]
)
def test_what_is_refused_is_not_tried_again(error: ApiError) -> None:
    """The same request would be refused again."""
    calls: list[int] = []

    def action() -> None:
        calls.append(1)
        raise error

    with pytest.raises(ApiError):
        with_retries(action, RetryPolicy(for_s=60))
    assert len(calls) == 1


def test_what_fails_for_a_while_is_told_and_tried_again() -> None:
    """The answer is that of the first attempt that succeeds."""
    told: list[str] = []
    answers = iter([UnreachableError("gone"), RefusedError(503, "not yet", None), "done"])

    def action() -> str:
        answer = next(answers)
        if isinstance(answer, ApiError):
            raise answer
        return answer

    policy = RetryPolicy(
        for_s=60, longest_delay_s=0.01, report=lambda error, _delay_s: told.append(str(error))
    )

    assert with_retries(action, policy) == "done"
    assert told == ["gone", "not yet"]
