"""Imported by the process that services are forked from, for what each would do again."""

from __future__ import annotations

import gc

from ingest_api.validation.phones import load_calling_codes

load_calling_codes()
# What is imported stays; a collector that looks through it would copy its pages for each service.
gc.freeze()
