"""`python -m ingest_api`: the API process."""

from __future__ import annotations

import asyncio
import os
import sys

from ingest_api.memory import bound_allocators
from ingest_api.server import serve
from ingest_api.settings import read_api_settings
from schemas.logs import configure_logging
from schemas.settings import SettingsError


def main() -> None:
    """Serve until told to stop; exit code 2 and a line for each mistake in the settings."""
    bound_allocators()
    try:
        settings = read_api_settings(os.environ)
        configure_logging()
        asyncio.run(serve(settings))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
