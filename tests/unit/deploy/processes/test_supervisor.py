"""When a process that died is started again."""

import itertools
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.processes.child import Child, ChildSpec
from deploy.processes.supervisor import (
    FIRST_DELAY_S,
    HEALTHY_AFTER_S,
    LONGEST_DELAY_S,
    ServiceRefusedError,
    Supervised,
    Supervisor,
    failures_after_death,
    restart_delay_s,
)
from tests.support.servers.services import running_in
from tests.support.waiting import wait_until

jitters = st.floats(0, 1)


@given(failures=st.integers(1, 10_000), jitter=jitters)
def test_delay_is_bounded(failures: int, jitter: float) -> None:
    """However often a process died, it starts again, and never at once."""
    delay_s = restart_delay_s(failures, jitter=jitter)

    assert FIRST_DELAY_S / 2 <= delay_s <= LONGEST_DELAY_S


@given(jitter=jitters)
def test_delay_grows_with_each_death_in_a_row(jitter: float) -> None:
    """The same jitter never waits less after one death more."""
    delays = [restart_delay_s(failures, jitter=jitter) for failures in range(1, 20)]

    assert delays == sorted(delays)


def test_first_delays() -> None:
    """Without luck the delays double from half a second up to half a minute."""
    delays = [restart_delay_s(failures, jitter=1) for failures in range(1, 9)]

    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_healthy_life_forgets_earlier_deaths() -> None:
    """Deaths in a row are counted; one after a minute of life begins a new row."""
    assert failures_after_death(4, ran_s=HEALTHY_AFTER_S - 1) == 5
    assert failures_after_death(4, ran_s=HEALTHY_AFTER_S) == 1


def test_a_dead_process_is_started_again(tmp_path: Path) -> None:
    """A process that is killed is replaced by another, until the supervisor is left."""
    numbers = itertools.count()
    children: list[Child] = []

    def start() -> Child:
        children.append(_sleeper(tmp_path / f"{next(numbers)}.log"))
        return children[-1]

    with Supervisor([Supervised("sleeper", start)]):
        wait_until(lambda: len(children) == 1, 10)
        children[0].kill()
        wait_until(lambda: len(children) == 2, 10)

    assert all(child.poll() is not None for child in children)


def test_a_process_deaf_to_the_signal_is_killed(tmp_path: Path) -> None:
    """What ignores SIGTERM is gone after the time to stop, with its own children."""
    code = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)"
    log_path = tmp_path / "deaf.log"
    deaf = _python(f"{code}; time.sleep(60)", log_path)
    wait_until(lambda: log_path.stat().st_size > 0, 10)

    with Supervisor([Supervised("deaf", lambda: deaf, running=deaf)], stop_timeout_s=0.1):
        pass

    assert deaf.poll() == -9


def test_what_a_process_leaves_of_its_group_ends_with_it(tmp_path: Path) -> None:
    """At once, whoever notices first: later the group's number may mean other processes."""
    code = "import subprocess; subprocess.Popen(['sleep', '300'])"
    parents = [_python(code, tmp_path / f"{number}.log") for number in range(2)]

    assert parents[0].wait(60) == 0
    wait_until(lambda: parents[1].poll() is not None, 60)

    wait_until(lambda: not any(running_in(parent.pid) for parent in parents), 10)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('ROLLCALL_PORT is wrong.'); raise SystemExit(2)", "ROLLCALL_PORT is wrong."),
        ('print(\'{"reason": "another key"}\'); raise SystemExit(78)', "another key"),
    ],
)
def test_a_service_that_only_a_person_can_mend_is_not_started_again(
    tmp_path: Path, code: str, reason: str
) -> None:
    """Its last words say what to do; another program may mean anything by the same code."""
    children: dict[str, list[Child]] = {"ours": [], "another": []}

    def started(name: str) -> Child:
        children[name].append(_python(code, tmp_path / f"{name}.log"))
        return children[name][-1]

    services = [
        Supervised("ours", lambda: started("ours"), is_ours=True),
        Supervised("another", lambda: started("another")),
    ]
    with Supervisor(services) as supervisor:
        wait_until(lambda: len(children["another"]) > 1, 30)
        with pytest.raises(ServiceRefusedError, match=f"^ours can't run: {reason}$"):
            supervisor.check()
        assert len(children["ours"]) == 1


def _sleeper(log_path: Path) -> Child:
    return _python("import time; time.sleep(60)", log_path)


def _python(code: str, log_path: Path) -> Child:
    command = [sys.executable, "-c", code]
    return Child(ChildSpec(name="test", command=command, environment={}, log_path=log_path))
