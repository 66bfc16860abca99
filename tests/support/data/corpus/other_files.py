"""Files of other kinds than CSV, and text called by another charset's name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile

from tests.support.data.corpus.files import GOOD, GZIP, HEADER, PACKED, BadFile


def _tar(name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


TEXT = (HEADER + GOOD).encode()
OTHER_FILES = (
    BadFile("gzip twice", gzip.compress(PACKED), "NOT_CSV", described=GZIP),
    BadFile("7z", b"7z\xbc\xaf\x27\x1c\0\4", "NOT_CSV"),
    BadFile("bzip2", bz2.compress(TEXT), "NOT_CSV"),
    BadFile("xz", lzma.compress(TEXT), "NOT_CSV"),
    BadFile("tar in gzip", gzip.compress(_tar("users.csv")), "NOT_CSV", described=GZIP),
    BadFile("Parquet", b"PAR1" + b"\0" * 40, "NOT_CSV"),
    BadFile("RTF", b"{\\rtf1\\ansi Email}", "NOT_CSV"),
    BadFile("HTML", b"\xef\xbb\xbf\r\n<!DOCTYPE html>\n<title>Email</title>", "NOT_CSV"),
    BadFile("HTML table called .xls", b"<table border=1><tr><td>Email", "NOT_CSV"),
    BadFile("XML", b'<?xml version="1.0"?>\n<users/>', "NOT_CSV"),
    BadFile("JSON", b'[\n  {"Email": "ada@example.com"}]', "NOT_CSV"),
    BadFile("NDJSON by another name", b'{"email":"ada@example.com"}\n', "NOT_CSV"),
    BadFile("vCard", b"BEGIN:VCARD\r\nVERSION:3.0\r\n", "NOT_CSV"),
    BadFile(
        "UTF-8 called Latin-1",
        TEXT + "Zoë,A,b@example.com,UK\n".encode(),
        "CHARSET_CONTRADICTED",
        4,
        described={"charset": "iso8859-1"},
    ),
    BadFile(
        "UTF-8 called windows-1252",
        TEXT + "Zoë €,A,b@example.com,UK\n".encode(),
        "CHARSET_CONTRADICTED",
        4,
        described={"charset": "cp1252"},
    ),
    BadFile(
        "a byte that Latin-1 has on no system",
        TEXT + b"O\x81,A,b@example.com,UK\n",
        "INVALID_BYTES",
        3,
        described={"charset": "iso8859-1"},
    ),
)
"""Refused as a whole, by name."""
