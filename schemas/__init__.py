"""What producers and consumers must agree on; the only package both sides import.

=================================  =======================================================
``avro/``                          the Avro schemas, one file an event type
:mod:`schemas.events`              the event types as values
:mod:`schemas.codec.codec`         single events to and from framed Avro values
:mod:`schemas.codec.framing`       fingerprints and registry ids at the start of values
:mod:`schemas.codec.columnar`      batches of rows to and from framed Avro values
:mod:`schemas.log.topics`          topics, their settings, the partition of a key
:mod:`schemas.log.dead_letters`    the reasons and headers of dead letters
:mod:`schemas.log.reverts`         which jobs are reverted
:mod:`schemas.log.moves`           in which topics a moved log goes on
:mod:`schemas.rules.fields`        the fields of a user and the rules of their values
:mod:`schemas.rules.attributes`    custom attributes and their types
:mod:`schemas.read_model.tables`   the tables the projection writes and the API reads
:mod:`schemas.config.declared`     how settings are declared, each once
:mod:`schemas.config.settings`     the settings that all processes share
:mod:`schemas.clients`             clients of Kafka, Postgres and the schema registry
:mod:`schemas.runtime.essential`   threads whose failure ends the process
:mod:`schemas.asyncapi.document`   topics and events as an AsyncAPI document
=================================  =======================================================

Only `clients` does I/O; the rest reads nothing but files of this package and, in `config`,
the environment.
"""

__version__ = "0.1.0"
"""The version of the package, the command line and the OpenAPI description."""
