"""`./rollcall asyncapi`: prints the AsyncAPI document."""

import os

import click

from deploy.cli.output.tables import print_json
from schemas.asyncapi.document import document
from schemas.config.environment import SettingsError, read
from schemas.config.settings import LogShape


@click.command()
def asyncapi() -> None:
    """Print the AsyncAPI 3.0 document of the topics, for whoever sends or reads events.

    ROLLCALL_TOPIC_PREFIX, ROLLCALL_PARTITIONS and ROLLCALL_RECONCILIATION_KEY say whose topics
    they are; nothing is asked of Kafka. A running API serves the same at /docs/asyncapi.json.
    """
    try:
        log = read(LogShape, os.environ)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    print_json(document(log.first_topics, log.reconciliation_key))
