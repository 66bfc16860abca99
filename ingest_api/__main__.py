"""`python -m ingest_api`: the API process."""

from __future__ import annotations

import asyncio
import os
import sys

from ingest_api.logs import configure_logging
from ingest_api.server import serve
from ingest_api.settings import read_api_settings
from schemas.settings import SettingsError


def main() -> None:
    """Serve until told to stop; exit code 2 and a line for each mistake in the settings."""
    try:
        settings = read_api_settings(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    configure_logging()
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
