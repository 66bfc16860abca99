"""One history of everything: live = rebuilt = folded = the sequential model, whatever happens.

Jobs in passes that break off and come again, other producers' events between their lines, writes
of the API, workers that take over, undos and redos, builders that are killed, rebuilds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings

from tests.support.data.history_steps import histories
from tests.support.servers.one_process import OneProcess
from tests.support.servers.surroundings import ground

if TYPE_CHECKING:
    from tests.support.data.history_steps import Step
    from tests.support.servers.surroundings import Surroundings


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # An example takes seconds: to make one simpler takes longer than a test may.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    report_multiple_bugs=False,
)
@given(steps=histories())
def test_every_history_comes_to_the_model_without_what_is_undone(
    surroundings_of_session: Surroundings, steps: list[Step]
) -> None:
    """After each build that was switched, and at the end: every column, ids and times included."""
    with ground(surroundings_of_session) as env:
        process = OneProcess.start(env)
        try:
            for step in steps:
                step.take(process)
            process.finish()
        finally:
            process.close()
