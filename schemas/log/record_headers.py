"""The headers of a record of Kafka, whatever its producer has sent."""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Message


# Not `record.headers()`: Python's interpreter leaves the look for an error out where it has made
# that call fast, and this never does.
_ask: Final = methodcaller("headers")


class _HasHeaders(Protocol):
    """What Kafka's messages and what stands for them have alike."""

    def headers(self) -> Any:
        """Return the headers, as pairs of name and value, or None."""
        ...


def headers_of(record: _HasHeaders) -> Sequence[tuple[str, bytes | None]]:
    """Return the headers, as pairs of name and value; none where a name is no UTF-8.

    confluent-kafka 2.16 sets an error for such a name, and returns a list with a hole in it all the
    same: whoever looks into that ends with SIGSEGV.
    """
    try:
        return _ask(record) or ()
    except SystemError:
        cast("Message", record).set_headers([])
        return ()
