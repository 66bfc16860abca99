"""Named places in the services at which a process under test dies or stops by itself.

``python -m tests.support.chaos.failpoints MODULE …`` runs ``python -m MODULE …`` with functions of
the product wrapped; the product itself knows nothing of it, so users can't reach a failpoint and
pay nothing for it.
A failpoint that is armed is a file, named as the point, in the folder that ``TEST_FAILPOINTS``
names; the process that takes the file away notes its id and gets the signal that the file holds.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import runpy
import sys
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FOLDER: Final = "TEST_FAILPOINTS"
THIS: Final = "tests.support.chaos.failpoints"
_FLUSH_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """Before or after a call of a function of the product; ``owner`` is its module and class."""

    owner: str
    function: str
    is_before: bool = False
    is_at: Callable[[tuple[Any, ...]], bool] = lambda _arguments: True


def _after(owner: str, function: str) -> Place:
    return Place(owner, function)


def _before(owner: str, function: str) -> Place:
    return Place(owner, function, is_before=True)


def _is_acceptance(arguments: tuple[Any, ...]) -> bool:
    return type(arguments[1]).__name__ == "JobAccepted"


def _is_stage(stage: str) -> Callable[[tuple[Any, ...]], bool]:
    return lambda arguments: arguments[2] == stage


_TRANSACTION: Final = "processor.projection.transaction:Transaction"
_BUILD: Final = "processor.builder.build:Build"
_REGISTRY: Final = "processor.tables.instance_registry"
_JOB_LOG: Final = "ingest_api.event_log.job_events:JobLog"
_LEASE: Final = "ingest_api.publisher.lease:PublisherLease"
_ENGINE: Final = "deploy.log_migration.engine"
_ADMIN: Final = "deploy.log_migration.topic_admin:TopicAdmin"
_TABLES: Final = "deploy.log_migration.tables:Tables"
PASS: Final = (
    "publisher: after JobOpened",
    "publisher: mid rows",
    "publisher: before JobSealed",
    "publisher: between two JobSealed",
)
"""Points within a pass, at which what was queued before has been sent."""
_MOVE: Final = {
    "topics made": _after(_ADMIN, "make"),
    "tables made": _after(_TABLES, "make"),
    "log held": Place(_ENGINE, "append_stage", is_at=_is_stage("HELD")),
    "topic closed": _after(_ADMIN, "close"),
    "side topics copied": _after(_ENGINE, "copy_side_topics"),
    "before the switch": _before(_TABLES, "switch"),
    "after the switch": _after(_TABLES, "switch"),
    "log moved": Place(_ENGINE, "append_stage", is_at=_is_stage("MOVED")),
    "old tables dropped": _after(_TABLES, "drop_others"),
}
POINTS: Final[Mapping[str, Mapping[str, Place]]] = {
    "ingest_api": {
        "API: after chunks": _after("ingest_api.uploads.receiver:UploadReceiver", "finish"),
        "API: before JobAccepted": _before(_JOB_LOG, "accept"),
        "API: after JobAccepted": Place(_JOB_LOG, "_append", is_at=_is_acceptance),
        "API: before the answer": _after(_JOB_LOG, "accept"),
    },
    "ingest_api.publisher": {
        "publisher: before its offset moves": _before(_LEASE, "commit"),
        "publisher: after its offset moved": _after(_LEASE, "commit"),
    },
    "processor": {
        "processor: after poll": _after("processor.worker.group_consumer:GroupConsumer", "_take"),
        "processor: after the fence": _after(_TRANSACTION, "fence"),
        "processor: mid rows": _after(_TRANSACTION, "_write_rows"),
        "processor: before commit": _after(_TRANSACTION, "write_jobs"),
        "processor: after commit": _before(_TRANSACTION, "note_metrics"),
        "processor: at the switch": _after("processor.tables.generations:Generations", "activate"),
        "processor: after an outbox send": _after("processor.worker.outbox:Outbox", "_send"),
    },
    "processor.builder": {
        "builder: tables made": _after(_BUILD, "_begin"),
        "builder: in the replay": _after(_BUILD, "_note"),
        "builder: caught up": _after(_BUILD, "_catch_up"),
        "builder: comparing": _after(_BUILD, "_fingerprints"),
        "builder: live workers held": _after(_REGISTRY, "hold"),
        "builder: in the switch": _after(_REGISTRY, "switch"),
        "builder: after the switch": _after(_BUILD, "_switch"),
        "builder: finished": _after(_REGISTRY, "finish"),
    },
    "deploy": {f"move: {name}": place for name, place in _MOVE.items()},
}
"""By the module that is run, each point with its place; those of ``PASS`` are besides."""


def names(module: str) -> list[str]:
    """The points of the processes of this module."""
    return [*POINTS[module], *(PASS if module == "ingest_api.publisher" else ())]


def plant(module: str) -> None:
    """Wrap the functions at whose begin or end the points of this module are."""
    for name, place in POINTS.get(module, {}).items():
        _wrap(name, place)
    if module == "ingest_api.publisher":
        _wrap_passes()


def reached(name: str) -> None:
    """Take the signal of this point where it is armed; one of those who come there does."""
    armed = armed_file(Path(os.environ[FOLDER]), name)
    with contextlib.suppress(FileNotFoundError):
        number = int(armed.read_text())
        armed.with_suffix(f".{os.getpid()}").touch()
        try:
            armed.unlink()
        except FileNotFoundError:
            armed.with_suffix(f".{os.getpid()}").unlink()
            raise
        os.kill(os.getpid(), number)


def armed_file(folder: Path, name: str) -> Path:
    """The file that arms the point; beside it is one with the id of the process as suffix."""
    return folder / name.replace(":", "").replace(" ", "-")


def _wrap(name: str, place: Place) -> None:
    module, _, owner = place.owner.partition(":")
    of: Any = importlib.import_module(module)
    of = getattr(of, owner) if owner else of
    setattr(of, place.function, _wrapped(name, place, getattr(of, place.function)))


def _wrapped(name: str, place: Place, function: Any) -> Any:
    def here(arguments: tuple[Any, ...], *, is_before: bool) -> None:
        if place.is_before is is_before and place.is_at(arguments):
            reached(name)

    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def asynchronous(*arguments: Any, **named: Any) -> Any:
            here(arguments, is_before=True)
            result = await function(*arguments, **named)
            here(arguments, is_before=False)
            return result

        return asynchronous

    @wraps(function)
    def synchronous(*arguments: Any, **named: Any) -> Any:
        here(arguments, is_before=True)
        result = function(*arguments, **named)
        here(arguments, is_before=False)
        return result

    return synchronous


def _wrap_passes() -> None:
    """The points of ``PASS``, between records that one call queues."""
    module = importlib.import_module("ingest_api.publisher.pass_producer")
    producer: Any = module.PassProducer
    delivery: Any = module._Delivery
    framing = importlib.import_module("schemas.codec.framing")
    events = importlib.import_module("schemas.events")
    opened: bytes = framing.frame_of(events.JobOpened)
    queue_to_each: Any = producer._queue_to_each
    queue: Any = delivery.queue

    def brackets(of: Any, through: Any, job: Any, values: list[bytes]) -> None:
        if values[0].startswith(opened):
            queue_to_each(of, through, job, values)
            _sent(through, "publisher: after JobOpened")
            return
        _sent(through, "publisher: before JobSealed")
        between = "publisher: between two JobSealed"
        if _is_armed(between):
            queue_to_each(of, through, job, values[:1])
            _sent(through, between)  # where another publisher has died, it comes twice: a repeat
        queue_to_each(of, through, job, values)

    def rows(of: Any, *arguments: Any) -> None:
        queue(of, *arguments)
        _sent(of, "publisher: mid rows")

    producer._queue_to_each = brackets
    delivery.queue = rows


def _is_armed(name: str) -> bool:
    return armed_file(Path(os.environ[FOLDER]), name).exists()


def _sent(delivery: Any, name: str) -> None:
    """Come to a point with all that was queued before it sent."""
    if _is_armed(name):
        delivery._producer.flush(_FLUSH_S)
        reached(name)


def main() -> None:
    """Run the module that the first argument names, with its points."""
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    plant(module)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
