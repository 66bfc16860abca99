"""The settings of a publisher."""

from __future__ import annotations

from typing import Annotated

from schemas.config.declared import Section, whole
from schemas.config.settings import Settings


class PublisherSettings(Section, frozen=True, kw_only=True):
    """The settings of one publisher."""

    shared: Settings
    watchdog_s: Annotated[
        int,
        whole(
            1,
            86_400,
            "that a job may stay incomplete after the processors have read all of it; then it is"
            " published again",
            unit="seconds",
        ),
    ] = 30
    give_up_s: Annotated[
        int,
        whole(
            1,
            604_800,
            "for which a job that can't be published, because its file is lost, is tried again;"
            " then it is `FAILED`, and those behind it go on",
            unit="seconds",
        ),
    ] = 120
