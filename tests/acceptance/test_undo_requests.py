"""What an undo is refused for, and what the log has of one; without a builder, so nothing switches."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from processor.job_reverts import fetch_reverts
from tests.client import BASE
from tests.files import tidy_csv
from tests.freezing import frozen
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from deploy.local.stack import LocalStack
    from tests.client import Client
    from tests.rig import Rig
