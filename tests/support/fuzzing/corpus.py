"""The inputs that are kept of each target: those that together reach all that was reached.

``python -m tests.support.fuzzing.corpus unpack|pack NAME FOLDER`` writes them to a folder as
files, for the fuzzer, and keeps what is in a folder.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path

from tests.support.checkout import CHECKOUT

_FOLDER = CHECKOUT / "tests" / "support" / "fuzzing" / "kept"


def kept_inputs(name: str) -> list[bytes]:
    """Return the inputs, the short ones first."""
    return [base64.b64decode(line) for line in _path(name).read_bytes().splitlines()]


def keep(name: str, inputs: set[bytes]) -> None:
    """Keep these inputs, one a line in base64."""
    lines = [base64.b64encode(each) + b"\n" for each in sorted(inputs, key=lambda x: (len(x), x))]
    _path(name).write_bytes(b"".join(lines))


def _path(name: str) -> Path:
    return _FOLDER / f"{name}.b64"


def main() -> None:
    """Do what the command line says."""
    _, verb, name, folder_name = sys.argv
    folder = Path(folder_name)
    if verb == "pack":
        keep(name, {path.read_bytes() for path in folder.iterdir()})
        return
    for number, content in enumerate(kept_inputs(name)):
        (folder / f"kept-{number}").write_bytes(content)


if __name__ == "__main__":
    main()
