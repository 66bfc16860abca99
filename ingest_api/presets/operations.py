"""The OpenAPI operations of the routes of presets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from ingest_api.openapi.operation import (
    JSON,
    RETRY_AFTER,
    Operation,
    answer,
    path_parameter,
    refused,
    refused_detail,
)
from ingest_api.openapi.response_types import Count, Date
from ingest_api.presets.presets import INVALID_PRESET, UNKNOWN_PRESET
from ingest_api.web.dates import date_text
from ingest_api.web.json_body import JsonBody

if TYPE_CHECKING:
    from schemas.events import PresetDefined

_NAME: Final = path_parameter("name", "Of the preset.", example="mailchimp")
_UNKNOWN: Final = refused("There is no such preset.", UNKNOWN_PRESET)
_UNAVAILABLE: Final = refused(
    "It is not known to be kept: send the same again.",
    "It is not known whether the preset is kept: send the same request again",
    headers=RETRY_AFTER,
)


class PresetBody(JsonBody, frozen=True):
    """The options of a preset."""

    options: Annotated[
        dict[str, str | list[str]],
        Meta(
            description="By the names that the form of an import has, but for `importType`,"
            " `dryRun` and `preset`: a text, or several where it may be given several times."
        ),
    ]


class PresetShown(msgspec.Struct, frozen=True, rename="camel"):
    """A preset."""

    name: str
    options: Annotated[dict[str, list[str]], Meta(description="By name all values of each.")]
    defined_date: Date
    defined_by: Annotated[str, Meta(description="The account that kept it so.")]


class PresetsShown(msgspec.Struct, frozen=True, rename="camel"):
    """All presets, by name."""

    total: Count
    presets: list[PresetShown]


class PresetDeleted(msgspec.Struct, frozen=True, rename="camel"):
    """A preset is gone."""

    name: str
    message: str


def preset_shown(event: PresetDefined) -> PresetShown:
    """Return the answer that a preset of the log is."""
    defined = date_text(event.defined_at)
    return PresetShown(event.name, event.options or {}, defined, event.defined_by)


LIST_PRESETS: Final = Operation(
    summary="Presets",
    tag="Import",
    role="reader",
    answers={200: answer("All that there are, by name.", PresetsShown)},
)
SHOW_PRESET: Final = Operation(
    summary="One preset",
    tag="Import",
    role="reader",
    parameters=(_NAME,),
    answers={200: answer("The preset.", PresetShown), 404: _UNKNOWN},
)
PUT_PRESET: Final = Operation(
    summary="Keep options of uploads under a name",
    act="preset.define",
    tag="Import",
    role="manager",
    description=(
        "An import, dry run or inspection with `preset=<name>` takes from it each option that the "
        "request itself leaves out. "
        "A job holds the options themselves: what becomes of the preset changes nothing of it."
    ),
    parameters=(_NAME,),
    body={JSON: PresetBody},
    answers={
        200: answer("The preset is kept, in place of any of that name.", PresetShown),
        400: refused(
            "The preset can't be kept.",
            refused_detail(
                INVALID_PRESET,
                "UNKNOWN_OPTION",
                "dateorder",
                "There is no option dateorder that a preset holds: do you mean dateOrder?",
            ),
        ),
        503: _UNAVAILABLE,
    },
)
DELETE_PRESET: Final = Operation(
    summary="Delete a preset",
    act="preset.delete",
    tag="Import",
    role="manager",
    parameters=(_NAME,),
    answers={
        200: answer("The name is free again.", PresetDeleted),
        404: _UNKNOWN,
        503: _UNAVAILABLE,
    },
)
