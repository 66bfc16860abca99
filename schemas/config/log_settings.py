"""The settings of logs, which all processes share."""

from __future__ import annotations

from typing import Annotated, Literal

from schemas.config.declared import Section, text


class LogSettings(Section, frozen=True, kw_only=True):
    """What is logged, and how it looks."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], text("the least level that is logged")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "text"],
        text("of log lines; `auto` is text on a terminal, else a JSON object a line"),
    ] = "auto"
