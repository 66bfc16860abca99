"""Every version of every schema: released ones in their order, then the one that stands."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

Schema = dict[str, Any]


def _versions() -> dict[str, list[Schema]]:
    folder = resources.files("schemas").joinpath("avro")
    current = [file for file in folder.iterdir() if file.name.endswith(".avsc")]
    earlier = [file for file in folder.joinpath("earlier").iterdir() if file.name.endswith(".avsc")]
    found: dict[str, list[Schema]] = {}
    for file in [*sorted(earlier, key=lambda file: _number_of(file.name)), *current]:
        found.setdefault(file.name.partition(".")[0], []).append(json.loads(file.read_text()))
    return found


def _number_of(name: str) -> int:
    return int(name.split(".")[1])


VERSIONS = _versions()
"""By the name of the type; files are found, so a new one is held to the same at once."""
