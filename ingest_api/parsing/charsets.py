"""The charsets of files: which names mean one that is taken, and which marks tell of one."""

from __future__ import annotations

import codecs
import re
from typing import Final

_ASCII: Final = bytes(range(0x80))
_MARKED: Final = frozenset({
    "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"
})  # fmt: skip
_NO_CHARSETS: Final = frozenset({"idna", "raw-unicode-escape", "palmos"})
"""Codecs of Python that read ASCII as it is, and of which no text file is made."""
_MEANT: Final = {
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "utf-8-sig": "utf-8",
}
"""What a name means in practice (WHATWG, Encoding Standard, 4.2): the larger charset.

Programs on Windows write it under the name of the smaller one.
"""
_OTHER_NAMES: Final = (
    (r"^windows-31j$", "cp932"),
    (r"^windows-?(\d+)$", r"cp\1"),
    (r"^x-", ""),
)
"""Of charsets that Python knows by another."""
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    # Before UTF-16, whose mark it begins with.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def charset_named(name: str) -> str | None:
    """Return the charset that this name means, or None where it is unknown or not supported.

    Taken are UTF-8, UTF-16, UTF-32, and those that have ASCII as it is; not those that keep
    a state, so that a character may stand for another after some earlier one.
    """
    found = _python_name(name)
    for pattern, other in _OTHER_NAMES if found is None else ():
        found = found or _python_name(re.sub(pattern, other, name.lower()))
    if found is None or found in _NO_CHARSETS:
        return None
    is_taken = found in _MARKED or _has_ascii(found)
    return _MEANT.get(found, found) if is_taken else None


def _python_name(name: str) -> str | None:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return None


def _has_ascii(charset: str) -> bool:
    try:
        # One by one: with a state, the bytes after another would be read otherwise.
        return all(bytes([byte]).decode(charset) == chr(byte) for byte in _ASCII)
    except (LookupError, ValueError):
        return False


def marked_charset(head: bytes) -> tuple[str | None, int]:
    """Return the charset of the byte order mark that a file begins with, and its length."""
    for mark, charset in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return charset, len(mark)
    return None, 0
