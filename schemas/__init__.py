"""What producers and consumers must agree on; the only package both sides import.

=====================  =======================================================
``avro/``              the Avro schemas, one file an event type
:mod:`schemas.events`  the event types as values
:mod:`schemas.codec.codec`   events and batches to and from framed Avro bytes
:mod:`schemas.log.topics`  topics, their settings, the partition of a key
:mod:`schemas.asyncapi.document`  topics and events as an AsyncAPI document
:mod:`schemas.log.dead_letters`  why a record is not applied, and how that is told
:mod:`schemas.rules.fields`  the columns of a file and the rules of a value
:mod:`schemas.rules.attributes`  custom attributes and their types
:mod:`schemas.read_model.tables`  the tables the projection writes and the API reads
:mod:`schemas.config.settings`    where Kafka and Postgres are, read from the environment
=====================  =======================================================

Nothing here does I/O, but for reading the files of this package.
"""

__version__ = "0.1.0"
"""Of all of Rollcall: what the package, the command line and the OpenAPI description say."""
