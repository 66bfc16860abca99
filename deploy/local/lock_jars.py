"""Writes `kafka-jars.lock` for another version of Kafka: `python -m deploy.local.lock_jars 4.4.0`.

Run by a maintainer; what it fetches becomes what every later start insists on.
"""

import hashlib

import click
import jgo
from jgo.maven import Artifact

from deploy.local.kafka_jars import LOCK_PATH

_HEADER = """\
# Apache Kafka {version} and all it needs at run time: coordinate, sha256, size in bytes.
# Written by `python -m deploy.local.lock_jars {version}`.
"""


@click.command()
@click.argument("version")
def main(version: str) -> None:
    """Resolve Kafka VERSION with all its dependencies and write the lock."""
    lines = sorted(_line(artifact) for artifact in _resolve(version))
    LOCK_PATH.write_text(_HEADER.format(version=version) + "".join(lines))


def _resolve(version: str) -> list[Artifact]:
    artifacts = jgo.resolve(f"org.apache.kafka:kafka_2.13:{version}")
    log4j = next(artifact for artifact in artifacts if artifact.artifactId == "log4j-core")
    # Kafka's own distribution adds the binding of its logging interface; the POM does not name it.
    binding = log4j.context.project(log4j.groupId, "log4j-slf4j-impl").at_version(log4j.version)
    return [*artifacts, binding.artifact()]


def _line(artifact: Artifact) -> str:
    content = artifact.resolve().read_bytes()
    coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
    return f"{coordinate} sha256:{hashlib.sha256(content).hexdigest()} {len(content)}\n"


if __name__ == "__main__":
    main()
