"""Fuzzes one target, guided by the lines of the product that its inputs reach (Atheris).

``python -m tests.support.fuzzing NAME CORPUS... [libFuzzer's options]``: inputs that reach
something new are added to the first folder; one that fails is written to the working directory.
Without arguments it names the targets.  Run by ``just fuzz``; ``FUZZ_COMMAND`` is the program by
which libFuzzer starts this one again, with further options.
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from typing import Any

atheris: Any = import_module("atheris")  # it is fetched by `.ci/fuzz`, and has no types

with atheris.instrument_imports(include=["ingest_api", "schemas", "processor"]):
    from tests.support.fuzzing.targets import TARGETS


def main() -> None:
    """Run until the time is over, or an input fails."""
    if not sys.argv[1:]:
        sys.stdout.write(" ".join(TARGETS) + "\n")
        return
    name, *arguments = sys.argv[1:]
    warnings.simplefilter("error")
    command = os.environ.get("FUZZ_COMMAND", sys.argv[0])
    atheris.Setup([command, *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
