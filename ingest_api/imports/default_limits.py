"""The limits of an upload: those that it names, and the settings' where it removes users."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from ingest_api.dry_runs.limits import SMALL_AUDIENCE, Share, UploadLimits
from schemas.config.declared import Section, name_of, whole
from schemas.rules.modes import REMOVING

if TYPE_CHECKING:
    from ingest_api.uploads.options import ImportOptions


class DelsertLimits(Section, frozen=True, kw_only=True):
    """What a delsert may reject, and a delsert or delete remove, where it doesn't say so itself."""

    delsert_max_rejected_percent: Annotated[
        int,
        whole(0, 100, "of a delsert's lines that may be rejected; over it: 400", unit="per cent"),
    ] = 10
    delsert_max_delete_percent: Annotated[
        int,
        whole(
            0,
            100,
            f"of more than {SMALL_AUDIENCE} users that a delsert or delete may remove;"
            " over it: 400",
            unit="per cent",
        ),
    ] = 50


def limits_of(options: ImportOptions, defaults: DelsertLimits) -> UploadLimits:
    """Return the limits of an upload with these options."""
    is_delsert = options.mode == "delsert"
    return UploadLimits(
        max_rejected=options.max_rejected,
        max_rejected_share=_share(
            options.max_rejected_percent,
            defaults.delsert_max_rejected_percent if is_delsert else 100,
            name_of(DelsertLimits, "delsert_max_rejected_percent"),
        ),
        max_deleted_share=_share(
            options.max_delete_percent,
            defaults.delsert_max_delete_percent,
            name_of(DelsertLimits, "delsert_max_delete_percent"),
        )
        if options.mode in REMOVING
        else None,
    )


def _share(asked_for: Decimal | None, default: int, setting: str) -> Share | None:
    share = Share(Decimal(default), setting) if asked_for is None else Share(asked_for)
    return None if share.is_lifted else share
