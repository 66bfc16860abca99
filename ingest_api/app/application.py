"""Put the Sanic application together: its parts, its routes, and how failures are answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from sanic import Blueprint, Sanic
from sanic.exceptions import MethodNotAllowed, SanicException

from ingest_api.app.health_routes import Readiness, add_health_routes
from ingest_api.app.metrics import add_metrics_route
from ingest_api.app.startup import Startup
from ingest_api.app.wire_notices import add_notice_routes
from ingest_api.app.wire_producers import ProducerParts
from ingest_api.app.wire_user_writes import UserWriteParts
from ingest_api.as_of.diff import AudienceDiff
from ingest_api.as_of.diff_routes import DiffReads, add_diff_route
from ingest_api.as_of.parameters import AsOfParameters
from ingest_api.as_of.past_audiences import PastAudiences
from ingest_api.audit.audit_log import AuditLog
from ingest_api.audit.recording import Recording
from ingest_api.audit.routes import add_audit_routes
from ingest_api.auth.account_limits import AccountLimits
from ingest_api.auth.account_routes import add_account_routes
from ingest_api.auth.accounts import Accounts
from ingest_api.auth.api_tokens import ApiTokens
from ingest_api.auth.authenticator import Authenticator
from ingest_api.auth.jwt_verifier import JwtVerifier
from ingest_api.auth.login_rate_limit import LoginLimits
from ingest_api.auth.middleware import authenticate, check_role, is_public
from ingest_api.auth.password_hashing import PasswordHashing
from ingest_api.auth.sessions.routes import add_session_routes
from ingest_api.auth.sessions.store import Sessions
from ingest_api.auth.token_routes import add_token_routes
from ingest_api.dry_runs.service import DryRuns
from ingest_api.errors import IngestError, invalid_parameter
from ingest_api.event_log.job_events import JobLog
from ingest_api.export.job_results import JobResults
from ingest_api.export.person import PersonReader
from ingest_api.export.routes import add_export_route, add_person_route, add_result_route
from ingest_api.imports.accept_upload import UploadAcceptance
from ingest_api.imports.operations import PRESET_OPTIONS
from ingest_api.imports.part_routes import add_part_routes
from ingest_api.imports.routes import BoundedUploads, add_import_routes
from ingest_api.jobs.error_routes import add_error_routes
from ingest_api.jobs.errors import ErrorReader
from ingest_api.jobs.status_routes import add_job_routes
from ingest_api.jobs.status_watch import JobWatch
from ingest_api.jobs.statuses import JobReader
from ingest_api.kafka.log_reader import LogReader
from ingest_api.kafka.log_start import LogStartCheck
from ingest_api.openapi.operation import operation_of
from ingest_api.openapi.routes import add_description_routes
from ingest_api.openapi.unknown_names import refuse_unknown_parameters
from ingest_api.page.routes import add_page_routes
from ingest_api.postgres.pool import Database
from ingest_api.postgres.row_stream import RowStreams
from ingest_api.presets.presets import Presets
from ingest_api.presets.routes import add_preset_routes
from ingest_api.projections.registry import InstanceRegistry
from ingest_api.projections.routes import add_projection_routes
from ingest_api.proofs.proof import JobProofs
from ingest_api.proofs.routes import add_proof_route
from ingest_api.publisher.consumer_lag import ConsumerLag
from ingest_api.throughput.routes import add_throughput_route
from ingest_api.throughput.samples import ThroughputSamples
from ingest_api.undo.own_undo import OwnUndo
from ingest_api.undo.preview import UndoPreviews
from ingest_api.undo.queue import UndoQueue
from ingest_api.undo.routes import add_undo_routes
from ingest_api.undo.undo import Undo
from ingest_api.uploads.concurrency_limit import ConcurrencyLimit
from ingest_api.uploads.receiver import make_upload_resources
from ingest_api.users.queries import UserReader
from ingest_api.users.read_routes import add_user_routes
from ingest_api.web.body import BodyLimits
from ingest_api.web.dates import DATE_FORMATS, date_format
from ingest_api.web.parameters import query_values
from ingest_api.web.refused import SERVER_FAILURE, Refused, refusal_by_http
from ingest_api.web.request_context import context_of
from ingest_api.web.responses import json_answer, refusal
from schemas.clients.event_schemas import EventSchemas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sanic import HTTPResponse, Request

    from ingest_api.app.settings import ApiSettings
    from ingest_api.openapi.operation import Operation
    from ingest_api.web.dates import DateFormat

BASE_PATH: Final = "/vpns/api/v1"
_METHODS: Final = ("GET", "POST", "PUT")
_log = structlog.stdlib.get_logger("rollcall.api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one API process; each is made once and shared."""

    settings: ApiSettings
    database: Database
    row_streams: RowStreams
    passwords: PasswordHashing
    accounts: Accounts
    tokens: ApiTokens
    authenticator: Authenticator
    account_limits: AccountLimits
    job_log: JobLog
    job_reader: JobReader
    job_watch: JobWatch
    job_proofs: JobProofs
    job_results: JobResults
    undo: Undo
    undo_previews: UndoPreviews
    undo_queue: UndoQueue
    error_reader: ErrorReader
    user_reader: UserReader
    instances: InstanceRegistry
    past_audiences: PastAudiences
    log_start: LogStartCheck
    concurrency: ConcurrencyLimit
    uploads: UploadAcceptance
    startup: Startup
    readiness: Readiness
    throughput: ThroughputSamples
    user_writes: UserWriteParts
    producers: ProducerParts


def make_parts(settings: ApiSettings) -> Parts:
    """Make and wire all parts; nothing is connected yet. Called in the event loop."""
    shared = settings.shared
    database = Database(shared.database_url)
    auth = settings.auth
    passwords = PasswordHashing()
    accounts = Accounts(database, passwords, LoginLimits(auth.login_limits))
    tokens = ApiTokens(database)
    issuer = None if auth.issuer is None else JwtVerifier(auth.issuer)
    schemas = EventSchemas(shared.schema_registry)
    job_log = JobLog(shared.kafka, shared.topics.job_events, schemas, shared.keyring)
    log_reader = LogReader(shared.kafka, shared.topics.user_events.name)
    jobs = JobReader(database, job_log.ledger)
    concurrency = ConcurrencyLimit(
        at_once=settings.uploads_at_once,
        per_account=settings.uploads_per_account,
        deadline_s=settings.body_deadline_s,
    )
    resources = make_upload_resources(
        shared, threads=settings.uploads_at_once, limits=settings.limits
    )
    uploads = UploadAcceptance(
        resources,
        job_log,
        concurrency,
        DryRuns(resources, database, job_log, concurrency),
        settings.delsert,
    )
    startup = Startup(settings, job_log, uploads, accounts=accounts, database=database)
    progress = ConsumerLag(shared.kafka, shared.topics.user_events, shared.group)
    instances = InstanceRegistry(database)
    log_start = LogStartCheck(shared.kafka, shared.topics.job_events, shared.topics.user_events)
    return Parts(
        settings=settings,
        database=database,
        row_streams=RowStreams(database),
        passwords=passwords,
        accounts=accounts,
        tokens=tokens,
        authenticator=Authenticator(accounts, tokens, sessions=Sessions(database), issuer=issuer),
        account_limits=AccountLimits(streams=settings.event_streams),
        job_log=job_log,
        job_reader=jobs,
        job_watch=JobWatch(jobs, most_watchers=settings.event_streams),
        job_proofs=JobProofs(database, log_reader, schemas),
        job_results=JobResults(log_reader, schemas),
        undo=Undo(database, job_log, jobs, log_start),
        undo_previews=UndoPreviews(database),
        undo_queue=UndoQueue(job_log, jobs),
        error_reader=ErrorReader(database, job_log.ledger.reverts),
        user_reader=UserReader(database, shared.reconciliation_key),
        instances=instances,
        past_audiences=PastAudiences(instances, log_start.check),
        log_start=log_start,
        concurrency=concurrency,
        uploads=uploads,
        startup=startup,
        readiness=Readiness(settings, job_log, database, startup, progress=progress),
        throughput=ThroughputSamples(database, lambda: (progress.ends(), progress.next_offsets())),
        user_writes=UserWriteParts(settings, database, job_log, startup),
        producers=ProducerParts(shared, database, job_log, startup),
    )


class _Routes(Blueprint):
    """Routes whose errors are answered by the application's handlers.

    Sanic would read each handler's source as the process starts, to learn how it answers errors.
    """

    def route(self, *args: Any, **kwargs: Any) -> Any:
        """Add a route, as Sanic does."""
        return super().route(*args, **kwargs | {"error_format": "json"})


def make_application(parts: Parts) -> Sanic[Any, Any]:
    """Return the Sanic application with all routes."""
    app: Sanic[Any, Any] = Sanic("rollcall", configure_logging=False)
    app.config.MOTD = False
    app.config.FALLBACK_ERROR_FORMAT = "json"
    api = _Routes("api", url_prefix=BASE_PATH)
    _add_routes_of_imports(api, parts)
    parts.user_writes.add_routes(api)
    parts.producers.add_routes(api)
    _add_routes_of_jobs(api, parts)
    _add_routes_of_the_audience(api, parts)
    add_projection_routes(api, parts.instances, parts.log_start)
    add_throughput_route(api, parts.throughput)
    add_account_routes(api, parts.accounts, parts.authenticator)
    add_token_routes(api, parts.tokens, parts.authenticator)
    add_audit_routes(api, AuditLog(parts.database))
    add_notice_routes(api, parts)
    add_session_routes(api, parts.authenticator, parts.settings.auth.forwarded_secret)
    public = _Routes("public")
    add_health_routes(public, parts.readiness)
    add_metrics_route(public)
    add_description_routes(public, parts.settings.shared)
    add_page_routes(public)
    app.blueprint([api, public])
    _add_filter(app, parts)
    _add_failures(app)
    return app


def _add_routes_of_imports(api: Blueprint, parts: Parts) -> None:
    limits = BodyLimits(parts.settings.max_upload_bytes, parts.settings.body_idle_timeout_s)
    presets = Presets(parts.job_log, PRESET_OPTIONS)
    definitions = parts.user_writes.attributes
    bounds = BoundedUploads(parts.concurrency, limits)
    add_import_routes(api, parts.uploads, definitions, presets, limits=bounds)
    add_part_routes(api, parts.uploads.resources, bounds)
    add_preset_routes(api, presets)


def _add_routes_of_jobs(api: Blueprint, parts: Parts) -> None:
    add_job_routes(api, parts.job_log, parts.job_reader, parts.job_watch)
    add_proof_route(api, parts.job_log, parts.job_proofs)
    own_undo = OwnUndo(parts.database, parts.job_log)
    add_undo_routes(api, parts.job_log, parts.undo, parts.undo_previews, own_undo=own_undo)
    add_error_routes(
        api,
        parts.job_log,
        errors=parts.error_reader,
        database=parts.database,
        limits=parts.account_limits,
    )
    add_result_route(api, parts.job_results, parts.row_streams, parts.job_log)


def _add_routes_of_the_audience(api: Blueprint, parts: Parts) -> None:
    points = AsOfParameters(parts.past_audiences, parts.job_log, parts.job_reader)
    add_user_routes(api, parts.user_reader, points, parts.job_log)
    diffs = DiffReads(parts.past_audiences, AudienceDiff(parts.database), parts.row_streams)
    add_diff_route(api, points, diffs)
    key = parts.settings.shared.reconciliation_key
    add_export_route(api, points, parts.row_streams, job_log=parts.job_log, reconciliation_key=key)
    persons = PersonReader(
        parts.database, parts.user_reader, parts.user_writes.history, parts.job_reader
    )
    add_person_route(api, persons, job_log=parts.job_log, reconciliation_key=key)


def _add_filter(app: Sanic[Any, Any], parts: Parts) -> None:
    forwarded_secret = parts.settings.auth.forwarded_secret
    recording = Recording(AuditLog(parts.database), forwarded_secret)

    async def pass_or_refuse(request: Request[Any, Any]) -> HTTPResponse | None:
        context_of(request).route = f"/{request.route.path}" if request.route else None
        try:
            if not is_public(request):
                await authenticate(request, parts.authenticator, forwarded_secret)
            operation = operation_of(request.route.handler) if request.route else None
            if operation is not None:
                _check_call(request, operation)
                await recording.begin(request, operation)
                if operation.work is not None:
                    await parts.account_limits.hold(request, operation.work)
        except (IngestError, Refused) as error:
            return refusal(error)
        return None

    app.register_middleware(pass_or_refuse, "request")
    app.register_middleware(recording.end, "response")


def _check_call(request: Request[Any, Any], operation: Operation) -> None:
    """Refuse what the operation does not describe; the body is not read."""
    if operation.role is not None:
        check_role(request, operation.role)
    query = query_values(request)
    refuse_unknown_parameters(operation, query)
    date_format.set(_date_format(query))


def _date_format(query: Mapping[str, Sequence[str]]) -> DateFormat:
    """Return how the answer writes dates.

    Raises:
        InvalidRequestError: the query names no such form, or several.
    """
    values = query.get("dateFormat", DATE_FORMATS[:1])
    for form in DATE_FORMATS:
        if [*values] == [form]:
            return form
    raise invalid_parameter("dateFormat", f"dateFormat is {' or '.join(DATE_FORMATS)}.")


def _add_failures(app: Sanic[Any, Any]) -> None:
    async def on_error(_request: Request[Any, Any], error: IngestError | Refused) -> HTTPResponse:
        return refusal(error)

    async def on_sanic(request: Request[Any, Any], error: SanicException) -> HTTPResponse:
        headers = dict(error.headers)
        if isinstance(error, MethodNotAllowed):
            headers["Allow"] = ", ".join(_allowed_methods(request))
        return json_answer(
            error.status_code, refusal_by_http(error.status_code, str(error)), headers
        )

    async def on_failure(request: Request[Any, Any], error: Exception) -> HTTPResponse:
        request_id = context_of(request).request_id
        _log.error("request failed", exc_info=error)
        return json_answer(500, refusal_by_http(500, SERVER_FAILURE, request_id=request_id))

    app.error_handler.add(IngestError, on_error)
    app.error_handler.add(Refused, on_error)
    app.error_handler.add(SanicException, on_sanic)
    app.error_handler.add(Exception, on_failure)


def _allowed_methods(request: Request[Any, Any]) -> list[str]:
    """Return the methods that the request's path has; the router knows them of fixed paths only."""

    def is_routed(method: str) -> bool:
        try:
            request.app.router.get(request.path, method, None)
        except SanicException:
            return False
        return True

    return [method for method in _METHODS if is_routed(method)]
