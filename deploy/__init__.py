"""Rollcall's command line program and the local stack: it composes the other packages.

Nothing imports this package.
"""

from pathlib import Path
from typing import Final

_HOME = Path(__file__).parents[1]

CHECKOUT: Final = _HOME if (_HOME / "requirements-dev.lock").is_file() else None
"""The folder of the checkout that this is run from; None where Rollcall was installed."""
