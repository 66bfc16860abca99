"""What the API is told by the environment, beyond the settings that both sides share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.auth.settings import loggable_auth, read_auth_settings
from ingest_api.parsing.file_format import Limits, read_limits
from schemas.config.settings import EnvironmentReader, SettingsError, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.auth.settings import AuthSettings
    from ingest_api.parsing.file_format import Limits
    from schemas.config.settings import Settings

_MOST_UPLOAD_BYTES: Final = 10**15
_MASK: Final = "***"
_SECRET_PROPERTY: Final = re.compile(r"password|secret|jaas|ssl\.key|token|\.pem")
_PASSWORD_IN_CONNINFO: Final = re.compile(
    r"(?P<before>password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)|(?P<user>://[^:/@\s]*):[^@\s]*@"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """The effective settings of one API process; see :func:`read_api_settings`."""

    shared: Settings
    host: str
    port: int
    auth: AuthSettings
    max_upload_bytes: int | None
    body_idle_timeout_s: int
    body_deadline_s: int
    uploads_at_once: int
    uploads_per_account: int
    write_timeout_s: int
    event_streams: int
    limits: Limits


def read_api_settings(environ: Mapping[str, str]) -> ApiSettings:
    """The settings of the API.

    =============================  =========  ================================================
    ROLLCALL_HOST                  127.0.0.1  address to listen on
    ROLLCALL_PORT                  8080       TCP port to listen on
    ROLLCALL_MAX_UPLOAD_BYTES      0          of an upload's body, 0 for no limit; over it: 413
    ROLLCALL_BODY_IDLE_TIMEOUT_S   30         seconds without a byte of an upload; then 408
    ROLLCALL_BODY_DEADLINE_S       3600       seconds for a whole upload's body; then 408
    ROLLCALL_UPLOADS_AT_ONCE       64         of all accounts, about 20 MB each; the next: 503
    ROLLCALL_UPLOADS_PER_ACCOUNT   64         of one account at once; the next one: 429
    ROLLCALL_WRITE_TIMEOUT_S       10         until a single user's write must be seen; then 503
    ROLLCALL_EVENT_STREAMS         500        of job statuses, open at once; the next one: 503
    =============================  =========  ================================================

    Those of :func:`ingest_api.auth.settings.read_auth_settings` and
    :func:`ingest_api.parsing.file_format.read_limits` besides.

    Raises:
        SettingsError: naming every setting that is missing or wrong.
    """
    mistakes: list[str] = []
    shared = _shared_settings(environ, mistakes)
    read = EnvironmentReader(environ)
    host = read.text("ROLLCALL_HOST", "127.0.0.1")
    port = read.integer("ROLLCALL_PORT", 8080, least=1, most=65_535)
    most = read.integer("ROLLCALL_MAX_UPLOAD_BYTES", 0, least=0, most=_MOST_UPLOAD_BYTES)
    idle_s = read.integer("ROLLCALL_BODY_IDLE_TIMEOUT_S", 30, least=1, most=3600)
    deadline_s = read.integer("ROLLCALL_BODY_DEADLINE_S", 3600, least=1, most=86_400)
    at_once = read.integer("ROLLCALL_UPLOADS_AT_ONCE", 64, least=1, most=1000)
    per_account = read.integer("ROLLCALL_UPLOADS_PER_ACCOUNT", 64, least=1, most=1000)
    write_s = read.integer("ROLLCALL_WRITE_TIMEOUT_S", 10, least=1, most=60)
    event_streams = read.integer("ROLLCALL_EVENT_STREAMS", 500, least=1, most=3000)
    auth = read_auth_settings(read)
    limits = read_limits(read)
    _check(read, mistakes)
    if shared is None or mistakes:
        raise SettingsError("\n".join(mistakes))
    return ApiSettings(
        shared=shared,
        host=host,
        port=port,
        auth=auth,
        max_upload_bytes=most or None,
        body_idle_timeout_s=idle_s,
        body_deadline_s=deadline_s,
        uploads_at_once=at_once,
        uploads_per_account=per_account,
        write_timeout_s=write_s,
        event_streams=event_streams,
        limits=limits,
    )


def _shared_settings(environ: Mapping[str, str], mistakes: list[str]) -> Settings | None:
    try:
        return read_settings(environ)
    except SettingsError as error:
        mistakes.append(str(error))
        return None


def _check(read: EnvironmentReader, mistakes: list[str]) -> None:
    try:
        read.check()
    except SettingsError as error:
        mistakes.append(str(error))


def loggable(settings: ApiSettings) -> dict[str, object]:
    """The effective settings as fields of a log line, every secret masked."""
    shared, registry = settings.shared, settings.shared.schema_registry
    return {
        "kafka": {
            name: _MASK if _SECRET_PROPERTY.search(name) else value
            for name, value in shared.kafka.items()
        },
        "database_url": _without_password(shared.database_url),
        "topics": {topic.name: topic.partitions for topic in shared.topics.all()},
        "replication_factor": shared.replication_factor,
        "reconciliation_key": shared.reconciliation_key,
        "group": shared.group,
        "schema_registry": registry and _without_password(registry.url),
        "host": settings.host,
        "port": settings.port,
        "max_upload_bytes": settings.max_upload_bytes,
        "body_idle_timeout_s": settings.body_idle_timeout_s,
        "body_deadline_s": settings.body_deadline_s,
        "uploads_at_once": settings.uploads_at_once,
        "uploads_per_account": settings.uploads_per_account,
        "write_timeout_s": settings.write_timeout_s,
        "event_streams": settings.event_streams,
        **loggable_auth(settings.auth),
    }


def _without_password(conninfo: str) -> str:
    return _PASSWORD_IN_CONNINFO.sub(
        lambda found: (
            f"{found['before']}{_MASK}" if found["before"] else f"{found['user']}:{_MASK}@"
        ),
        conninfo,
    )
