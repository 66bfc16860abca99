"""Warns of settings that there are not: what is misspelt would have no effect, in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from schemas.config.names import SETTING_NAMES
from schemas.rules.nearest import nearest, question

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PREFIX: Final = "ROLLCALL_"
_ANY_NAME_AFTER: Final = ("ROLLCALL_KAFKA_", "ROLLCALL_TEST_")
"""librdkafka refuses a property that it doesn't know; the tests have their own."""


def unknown_settings(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each variable that looks like a setting and is none, with the nearest.

    Their values are not told: one may be a secret.
    """
    for name in sorted(environ):
        is_ours = name.startswith(_PREFIX) and not name.startswith(_ANY_NAME_AFTER)
        if is_ours and name not in SETTING_NAMES:
            yield f"{name} is no setting{question(_meant(name)) or '; see `rollcall settings`.'}"


def _meant(name: str) -> list[str]:
    in_file = name.removesuffix("_FILE")
    if in_file in SETTING_NAMES:  # it is no secret, so no file is read for it
        return [in_file]
    # All begin alike, so what they begin with is no likeness.
    endings = [each.removeprefix(_PREFIX) for each in sorted(SETTING_NAMES)]
    return [_PREFIX + each for each in nearest(name.removeprefix(_PREFIX), endings)]


def warn_of_unknown_settings(environ: Mapping[str, str]) -> None:
    """Log a warning for each variable that looks like a setting and is none."""
    log = structlog.stdlib.get_logger("rollcall.settings")
    for reason in unknown_settings(environ):
        log.warning("unknown setting", reason=reason)
