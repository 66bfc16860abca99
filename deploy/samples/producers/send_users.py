#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["confluent-kafka>=2.12", "fastavro>=1.12"]
# ///
"""Sends users to Rollcall, one event for each line of a JSON file, as any service may.

It needs Kafka, the schema (`UserRow.avsc`) and nothing of Rollcall's code.
The exit status is 0 only if Kafka has acknowledged every event: then each will be applied,
or become a dead letter with its reason.
Running it again is safe, because the events keep their ids and their order.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import fastavro.schema
from confluent_kafka import Producer

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

# In the order of their bits in `present`.
FIELDS = (
    "first_name",
    "last_name",
    "email",
    "mobile_number",
    "country",
    "state",
    "last_active_date",
    "sms_subscription",
    "email_subscription",
    "voice_subscription",
)


def main() -> None:
    """Send the file that the arguments name."""
    options = parse_arguments()
    try:
        encode = single_object_encoder(options.schema)
        lines = options.file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        sys.exit(f"{error.filename} can't be read: {error.strerror}.")
    producer = Producer(
        {
            "bootstrap.servers": options.bootstrap_servers,
            # Rollcall looks for a key where Java's producer puts it; librdkafka's own default
            # (CRC-32) would put it elsewhere, and every such record becomes a dead letter.
            "partitioner": "murmur2",
            # Acknowledged means kept; a retry inside the client neither doubles nor reorders.
            "acks": "all",
            "enable.idempotence": True,
            **dict(pair.split("=", 1) for pair in options.property),
        }
    )
    failures: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            row = user_row(json.loads(line), options.key, options.source)
            value = encode(row)
        except (KeyError, TypeError, ValueError) as error:
            failures.append(f"line {number} was not sent: {error!r}")
            continue
        send(producer, options.topic, row, value, failures)
    producer.flush()
    if failures:
        sys.exit("\n".join(failures))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Send users to Rollcall.")
    parser.add_argument("file", type=Path, help="JSON, a user in each line")
    parser.add_argument("--schema", type=Path, required=True, help="UserRow.avsc")
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", default="user-events")
    parser.add_argument("--key", default="email", help="the log's reconciliation key")
    parser.add_argument("--source", default="crm", help="what this service is called")
    parser.add_argument("--property", action="append", default=[], help="librdkafka: name=value")
    return parser.parse_args()


def send(
    producer: Producer, topic: str, row: dict[str, Any], value: bytes, failures: list[str]
) -> None:
    """Hand one event to the client; what becomes of it is told when it is known."""

    def report(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(f"{row['event_id']} was not acknowledged: {error.str()}")
        else:
            place = f"{message.partition()} {message.offset()}"
            sys.stdout.write(f"{row['event_id']} {row['key']} {place}\n")

    while True:
        try:
            producer.produce(topic, value, row["key"].encode(), on_delivery=report)
            break
        except BufferError:  # the client's queue is full: some must leave first
            producer.poll(1)
    producer.poll(0)


def user_row(user: dict[str, Any], key_setting: str, source: str) -> dict[str, Any]:
    """Return the event that a line of the file means; only what the line names is set."""
    fields = {name: trimmed(user[name]) for name in FIELDS if name in user}
    if fields.get("mobile_number"):
        fields["mobile_number"] = e164(fields["mobile_number"])
    if fields.get("last_active_date"):
        fields["last_active_date"] = date.fromisoformat(fields["last_active_date"])
    at = user.get("occurred_at")
    return {
        "event_id": user["event_id"],
        "mode": user["mode"],
        "key": key_of(user, key_setting),
        **fields,
        "attributes": user.get("attributes", {}),
        "present": sum(1 << FIELDS.index(name) for name in fields),
        "occurred_at": datetime.fromisoformat(at) if at else datetime.now(UTC),
        "source": source,
    }


def trimmed(value: Any) -> Any:
    """Return a text without white space around it, as is required; None where nothing is left."""
    return value.strip() or None if isinstance(value, str) else value


def key_of(user: dict[str, Any], key_setting: str) -> str:
    """Return the normalised reconciliation key: the same for all spellings of the same user."""
    if key_setting == "email":
        return user["email"].strip().lower()
    if key_setting == "mobileNumber":
        return e164(user["mobile_number"])
    return user["attributes"][key_setting]


def e164(number: str) -> str:
    """Return a phone number as +, country and number, without what stands between the digits."""
    plain = re.sub(r"[ ()./-]", "", number.strip())
    plain = re.sub(r"^00", "+", plain)
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", plain):
        raise ValueError(f"{number!r} is no phone number in international form")
    return plain


def single_object_encoder(path: Path) -> Any:
    """Return a function from an event to bytes: C3 01, the schema's fingerprint, the Avro body."""
    definition = json.loads(path.read_text(encoding="utf-8"))
    canonical = fastavro.schema.to_parsing_canonical_form(definition)
    # In hexadecimal and already in the order in which it is written, little-endian.
    fingerprint = fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")
    schema = fastavro.parse_schema(definition)

    def encode(event: dict[str, Any]) -> bytes:
        out = io.BytesIO()
        out.write(b"\xc3\x01" + bytes.fromhex(fingerprint))
        fastavro.schemaless_writer(out, schema, event, strict_allow_default=True)
        return out.getvalue()

    return encode


if __name__ == "__main__":
    main()
