"""Imported by the process that others are forked from, for what each would do again."""

from __future__ import annotations

import gc
import importlib
import pkgutil

from deploy.cli import commands
from ingest_api.validation.phones import load_calling_codes

for module in pkgutil.walk_packages(commands.__path__, f"{commands.__name__}."):
    importlib.import_module(module.name)
load_calling_codes()
# What is imported stays; a collector that looks through it would copy its pages for each process.
gc.freeze()
