"""What the commands make of the API's answers."""

from deploy.api_client.client import refusal_text
from deploy.api_client.job import JobCounts


def test_a_job_has_ended_once_its_state_is_final() -> None:
    """Progress is the sum of the outcomes; the state alone says that it is over."""
    running = JobCounts("PROCESSING", 4, 1, 1, 1, 1)
    ended = JobCounts("COMPLETED_WITH_ERRORS", 4, 1, 1, 1, 1)

    assert running.done == 4
    assert not running.has_ended
    assert ended.has_ended


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
