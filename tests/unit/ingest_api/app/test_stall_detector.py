"""Readiness says when accepted jobs wait for nothing that moves."""

from __future__ import annotations

from ingest_api.app.stall_detector import StallDetector


def test_a_job_that_waits_while_nothing_moves_is_told() -> None:
    """Not before its time, and from then on for as long as it stays so."""
    stall_detector = StallDetector(60)
    assert stall_detector.reason(0, 7, (1, 2)) is None
    assert stall_detector.reason(59, 7, (1, 2)) is None
    assert "Jobs wait" in (stall_detector.reason(60, 7, (1, 2)) or "")
    assert "for 90 s" in (stall_detector.reason(90, 7, (1, 2)) or "")


def test_whatever_moves_begins_the_time_anew() -> None:
    """Offsets applied, records published, or another job that is the last one."""
    stall_detector = StallDetector(60)
    assert stall_detector.reason(0, 7, (1, 2)) is None
    assert stall_detector.reason(50, 7, (1, 3)) is None
    assert stall_detector.reason(100, 7, (1, 3)) is None
    assert stall_detector.reason(105, 8, (1, 3)) is None
    assert stall_detector.reason(160, 8, (1, 3)) is None
    assert stall_detector.reason(165, 8, (1, 3)) is not None


def test_where_no_job_is_open_nothing_need_move() -> None:
    """An idle service is a ready one, and time does not add up over it."""
    stall_detector = StallDetector(60)
    assert stall_detector.reason(0, 7, (1,)) is None
    assert stall_detector.reason(1000, None, (1,)) is None
    assert stall_detector.reason(2000, 7, (1,)) is None
