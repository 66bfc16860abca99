"""What `described_answers.py` tests, in a session of its own.

Else each process of the suite would import schemathesis, for seconds.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT


@pytest.mark.timeout(1800)  # it is a session of over a hundred tests
def test_every_operation_answers_as_it_is_described() -> None:
    """Whatever is sent to it, and with what there is."""
    tests = Path(__file__).with_name("described_answers.py")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-p", "schemathesis", "-q", tests],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
