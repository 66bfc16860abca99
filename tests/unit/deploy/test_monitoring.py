"""Alert rules and dashboard name what there is, and the runbook has a section of each alert."""

from __future__ import annotations

import re

import pytest

from tests.support import dashboard
from tests.support.metric_names import names
from tests.support.monitoring import MONITORING, RULES, alert_names, named_metrics, sections


@pytest.mark.parametrize("text", [RULES.read_text(), dashboard.dashboard_text()])
def test_every_metric_that_is_named_exists(text: str) -> None:
    """In the code, as docs/metrics.md lists it."""
    named = named_metrics(text)
    assert len(named) > 15
    assert named - names() == set()


def test_the_dashboard_is_made_of_its_list() -> None:
    """`just docs` makes it anew."""
    assert dashboard.DASHBOARD.read_text() == dashboard.dashboard_text()


def test_every_metric_is_looked_at() -> None:
    """By a panel or an alert: what nobody looks at need not be counted."""
    assert names() - named_metrics(RULES.read_text() + dashboard.dashboard_text()) == set()


def test_every_alert_has_its_section_of_the_runbook() -> None:
    """And its link leads there."""
    alerts = alert_names()
    links = re.findall(r"runbook_url: docs/runbook\.md#(\w+)$", RULES.read_text(), re.MULTILINE)
    assert links == [name.lower() for name in alerts]
    assert set(alerts) - sections() == set()


def test_every_alert_has_a_test_of_its_rule() -> None:
    """That `promtool test rules` runs (.ci/monitoring)."""
    tested = re.findall(r"alertname: (\w+)", (MONITORING / "alerts.test.yml").read_text())
    assert set(alert_names()) == set(tested)
