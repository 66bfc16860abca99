"""Where an upload may say what it asks for, and which place decides."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ingest_api.errors import INVALID_FILE, IngestError
from ingest_api.uploads.options import ImportOptions, options_in_head, with_fields
from ingest_api.web.idempotency_key import idempotency_key
from ingest_api.web.refused import status_of
from schemas.rules.overwrite import ALL_BITS, ATTRIBUTES_BIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def test_nothing_said_means_an_insert_of_commas_that_keeps_blank_cells() -> None:
    """The defaults of the contract."""
    options = with_fields(options_in_head([], {}), {})
    assert (options.mode, options.delimiter, options.blank_cells) == ("insert", ",", "keep")


@pytest.mark.parametrize(
    ("headers", "query", "fields", "delimiter"),
    [
        (["PIPE"], {"DELIMITER": ["HYPHEN"]}, {"DELIMITER": ["COMMA"]}, "|"),
        ([], {"DELIMITER": ["HYPHEN"]}, {"DELIMITER": ["COMMA"]}, "-"),
        ([], {}, {"DELIMITER": ["SEMI_COLON"]}, ";"),
        ([" PIPE "], {}, {}, "|"),
    ],
)
def test_the_header_decides_then_the_query_then_the_field(
    headers: Sequence[str],
    query: Mapping[str, Sequence[str]],
    fields: Mapping[str, Sequence[str]],
    delimiter: str,
) -> None:
    """The contract's order of precedence."""
    assert with_fields(options_in_head(headers, query), fields).delimiter == delimiter


def test_the_mode_is_in_the_query_or_in_a_field() -> None:
    """The query decides where both say something."""
    assert with_fields(ImportOptions(), {"importType": ["delsert"]}).mode == "delsert"
    in_query = options_in_head([], {"importType": ["upsert"]})
    assert with_fields(in_query, {"importType": ["delsert"]}).mode == "upsert"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("DELIMITER", ["PIPE", "COMMA"]),
        ("DELIMITER", ["PIPE", "PIPE", "PIPE"]),
        ("DELIMITER", ["pipe"]),
        ("DELIMITER", [","]),
        ("importType", ["merge"]),
        ("importType", [""]),
        ("importType", ["insert", "insert"]),
        ("blankCells", ["drop"]),
        ("overwrite", ["never"]),
        ("overwrite", ["Tier=blank"]),
        ("overwrite", ["blank", "blank"]),
        ("preset", [" "]),
        ("sheet", [""]),
        ("phoneRegion", ["gb"]),
        ("phoneRegion", ["XX"]),
        ("phoneRegion", ["GB", "GB"]),
        ("dateOrder", ["dmy"]),
        ("dateOrder", ["DMY", "DMY"]),
        ("dryRun", ["yes"]),
        ("dryRun", ["true", "true"]),
        ("dryRun", [""]),
        ("maxDeletePercent", ["100.1"]),
        ("maxDeletePercent", ["-1"]),
        ("maxDeletePercent", ["1e1"]),
        ("maxDeletePercent", ["\u0661"]),
        ("maxDeletePercent", ["10 %"]),
        ("maxDeletePercent", ["nan"]),
        ("maxDeletePercent", ["10", "10"]),
        ("maxRejected", ["-1"]),
        ("maxRejected", ["1.5"]),
        ("maxRejected", [""]),
        ("maxRejectedPercent", ["101"]),
        ("maxRejectedPercent", ["1", "1"]),
    ],
)
def test_a_repeated_or_unknown_value_is_refused_wherever_it_stands(
    name: str, values: list[str]
) -> None:
    """Guessing could replace an audience by mistake."""
    for refuse in (
        lambda: options_in_head([], {name: values}),
        lambda: with_fields(ImportOptions("PIPE", "insert", "keep"), {name: values}),
    ):
        with pytest.raises(IngestError) as refused:
            refuse()
        assert (status_of(type(refused.value)), refused.value.message) == (400, INVALID_FILE)
        assert refused.value.details[0].column == name


def test_a_file_overwrites_all_unless_it_says_otherwise() -> None:
    """In the query, or in a field."""
    assert ImportOptions().fills == 0
    assert with_fields(ImportOptions(), {"overwrite": ["blank"]}).fills == ALL_BITS
    in_query = options_in_head([], {"overwrite": ["attributes=blank"]})
    assert with_fields(in_query, {"overwrite": ["blank"]}).fills == ATTRIBUTES_BIT


def test_a_dry_run_and_its_limit_stand_in_the_query_or_in_a_field() -> None:
    """The query decides where both say something, also where it says no or nothing at all."""
    in_query = options_in_head([], {"dryRun": ["false"], "maxDeletePercent": ["0"]})
    both = with_fields(in_query, {"dryRun": ["true"], "maxDeletePercent": ["50"]})
    assert (both.is_dry_run, both.max_delete_percent) == (False, Decimal(0))
    in_form = with_fields(ImportOptions(), {"dryRun": ["true"], "maxDeletePercent": ["2.5"]})
    assert (in_form.is_dry_run, in_form.max_delete_percent) == (True, Decimal("2.5"))
    neither = with_fields(ImportOptions(), {})
    assert (neither.is_dry_run, neither.max_delete_percent) == (False, None)


def test_region_and_order_stand_in_the_query_or_in_a_field() -> None:
    """Without them numbers name their country, and dates begin with the month."""
    in_query = options_in_head([], {"phoneRegion": ["GB"], "dateOrder": ["DMY"]})
    both = with_fields(in_query, {"phoneRegion": ["DE"], "dateOrder": ["YMD"]})
    assert (both.phone_region, both.date_order) == ("GB", "DMY")
    in_form = with_fields(ImportOptions(), {"phoneRegion": ["DE"], "dateOrder": ["YMD"]})
    assert (in_form.phone_region, in_form.date_order) == ("DE", "YMD")
    neither = with_fields(ImportOptions(), {})
    assert (neither.phone_region, neither.date_order) == (None, "MDY")


def test_limits_of_rejected_lines_stand_in_the_query_or_in_a_field() -> None:
    """The query decides, also where it says none."""
    in_query = options_in_head([], {"maxRejected": ["0"], "maxRejectedPercent": ["0"]})
    both = with_fields(in_query, {"maxRejected": ["7"], "maxRejectedPercent": ["50"]})
    assert (both.max_rejected, both.max_rejected_percent) == (0, Decimal(0))
    in_form = with_fields(ImportOptions(), {"maxRejected": ["7"], "maxRejectedPercent": ["2.5"]})
    assert (in_form.max_rejected, in_form.max_rejected_percent) == (7, Decimal("2.5"))


def test_a_repeated_header_is_refused() -> None:
    """Two proxies may each have added one."""
    with pytest.raises(IngestError):
        options_in_head(["PIPE", "COMMA"], {})


def test_an_idempotency_key_is_one_printable_text() -> None:
    """No header at all means no key."""
    assert idempotency_key([]) is None
    assert idempotency_key(["abc-1"]) == "abc-1"
    for values in (["a", "b"], [""], ["x" * 256], ["a\x1bb"]):
        with pytest.raises(IngestError):
            idempotency_key(values)
