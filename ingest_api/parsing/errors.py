"""The errors of a file that is refused as a whole, so that no line of it is taken."""

from __future__ import annotations


class FileFault(ValueError):  # noqa: N818 - it is the file's fault, and "details" of the answer say so
    """The file is refused: where, why, and what to do about it.

    ``line`` is a physical line, the first is 1.
    ``column`` is the header as uploaded, or None where no column is at fault.
    ``others`` are further faults that one look found, so that one round mends them all.
    ``depends_on_delimiter`` is False where the file is refused whatever its delimiter is.
    Message and column may quote the file, so logs take the exception's text, which doesn't.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        line: int = 1,
        column: str | None = None,
        depends_on_delimiter: bool = True,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.line = line
        self.column = column
        self.depends_on_delimiter = depends_on_delimiter
        self.others: list[FileFault] = []

    def __str__(self) -> str:
        return f"{self.code} in line {self.line}"


class TextDamage(Exception):  # noqa: N818 - records.py makes it a FileFault, which knows the line
    """The file can't be decoded from here on: ``code`` and ``message`` say why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
