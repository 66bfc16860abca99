"""The settings of everything on one machine: `up`, `demo` and `./rollcall` itself."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ingest_api.auth.settings import AdminPassword
from schemas.config.declared import Section, text


class StackSettings(Section, frozen=True, kw_only=True):
    """Where the stack keeps its data, and what it is run with."""

    data_dir: Annotated[
        str, text("folder with all data; one in the user's data folder where it is not set")
    ] = ""
    admin_password: AdminPassword = ""
    java_home: Annotated[
        str, text("a Java, where the one that is installed with Rollcall does not run")
    ] = msgspec.field(name="JAVA_HOME", default="")
    python: Annotated[str, text("the Python that `./rollcall` makes its environment with")] = ""
    stack_token: Annotated[
        str, text("set by a stack for its processes, so that the next start finds what is left")
    ] = ""
