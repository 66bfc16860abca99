"""Excel workbooks as Excel writes them, in little: sheets with cells of each kind."""

from __future__ import annotations

import datetime
import io
import zipfile
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Sheets = Mapping[str, Iterable[Sequence[object]]]

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_EPOCH = datetime.datetime(1899, 12, 30)  # noqa: DTZ001 - a workbook knows no zone
_STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/>'
    '<xf numFmtId="22"/></cellXfs></styleSheet>'
)


def workbook(sheets: Sheets, *, hidden: Iterable[str] = (), first_row: int = 1) -> bytes:
    """A workbook with these sheets, whose cells begin in this row."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        names = dict(enumerate(sheets, 1))
        archive.writestr("[Content_Types].xml", _content_types(names))
        archive.writestr("_rels/.rels", _relations({"rId1": ("officeDocument", "xl/workbook.xml")}))
        listed = "".join(
            f'<sheet name={quoteattr(name)} sheetId="{at}" r:id="rId{at}"'
            f' state="{"hidden" if name in hidden else "visible"}"/>'
            for at, name in names.items()
        )
        head = f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        archive.writestr("xl/workbook.xml", f"{head}{listed}</sheets></workbook>")
        parts = {f"rId{at}": ("worksheet", f"worksheets/sheet{at}.xml") for at in names}
        parts["rId99"] = ("styles", "styles.xml")
        archive.writestr("xl/_rels/workbook.xml.rels", _relations(parts))
        archive.writestr("xl/styles.xml", _STYLES)
        for at, name in names.items():
            archive.writestr(f"xl/worksheets/sheet{at}.xml", _sheet(sheets[name], first_row))
    return out.getvalue()


def _content_types(names: Iterable[int]) -> str:
    parts = {"workbook": "workbook", "styles": "styles"}
    parts |= {f"worksheets/sheet{at}": "worksheet" for at in names}
    overrides = "".join(
        f'<Override PartName="/xl/{part}.xml" ContentType="{_TYPES}.'
        f'{"sheet.main" if kind == "workbook" else kind}+xml"/>'
        for part, kind in parts.items()
    )
    return (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'
    )


def _relations(parts: Mapping[str, tuple[str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for name, (kind, target) in parts.items()
    )
    return f'<Relationships xmlns="{_PACKAGE}">{listed}</Relationships>'


def _sheet(rows: Iterable[Sequence[object]], first_row: int) -> str:
    lines = (
        f'<row r="{at}">{"".join(_cell(at, column, value) for column, value in enumerate(row))}'
        "</row>"
        for at, row in enumerate(rows, first_row)
    )
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def _cell(row: int, column: int, value: object) -> str:
    place = f'r="{chr(ord("A") + column)}{row}"'
    match value:
        case None:
            return ""
        case bool():
            return f'<c {place} t="b"><v>{int(value)}</v></c>'
        case int() | float():
            return f"<c {place}><v>{value!r}</v></c>"
        case datetime.datetime():
            return f'<c {place} s="2"><v>{(value - _EPOCH) / datetime.timedelta(1)}</v></c>'
        case datetime.date():
            return f'<c {place} s="1"><v>{(value - _EPOCH.date()).days}</v></c>'
        case _:
            return f'<c {place} t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'
