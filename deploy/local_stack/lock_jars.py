"""Writes the locks for another version of Kafka: `python -m deploy.local_stack.lock_jars 4.4.0`.

There are two: `kafka-jars.lock`, and the one of the producers' example in Java.

Run by a maintainer; what it fetches becomes what every later start insists on.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import click
import jgo
from jgo.maven import Artifact

from deploy.local_stack.kafka_jars import LOCK_PATH

_HEADER = """\
# Apache Kafka {version} and all it needs at run time: coordinate, sha256, size in bytes.
# Written by `python -m deploy.local_stack.lock_jars {version}`.
"""
JAVA_LOCK = Path(__file__).parents[1] / "samples" / "producers" / "java-jars.lock"
_JAVA_HEADER = """\
# What SendUsers.java is compiled and run with: coordinate, sha256, size in bytes.
# Written by `python -m deploy.local_stack.lock_jars {version}`.
"""
_JAVA_COORDINATES = (
    "org.apache.kafka:kafka-clients:{version}",
    "org.apache.avro:avro:1.12.1",
    # A compiler that runs on any Java runtime; the last versions need Java 21.
    "org.eclipse.jdt:ecj:3.42.0",
)


@click.command()
@click.argument("version")
def main(version: str) -> None:
    """Resolve Kafka VERSION with all its dependencies and write the locks."""
    of_kafka = _resolve(version)
    _write(LOCK_PATH, _HEADER.format(version=version), of_kafka)
    _write(JAVA_LOCK, _JAVA_HEADER.format(version=version), _resolve_java(version, of_kafka))


def _write(path: Path, header: str, artifacts: Iterable[Artifact]) -> None:
    path.write_text(header + "".join(sorted(_line(artifact) for artifact in artifacts)))


def _resolve(version: str) -> list[Artifact]:
    artifacts = jgo.resolve(f"org.apache.kafka:kafka_2.13:{version}")
    log4j = next(artifact for artifact in artifacts if artifact.artifactId == "log4j-core")
    # Kafka's own distribution adds the binding of its logging interface; the POM does not name it.
    binding = log4j.context.project(log4j.groupId, "log4j-slf4j-impl").at_version(log4j.version)
    return [*artifacts, binding.artifact()]


def _resolve_java(version: str, of_kafka: list[Artifact]) -> list[Artifact]:
    """Resolve the example's jars; where Kafka has the same library, its version is taken."""
    names = {
        (artifact.groupId, artifact.artifactId): artifact
        for coordinate in _JAVA_COORDINATES
        for artifact in jgo.resolve(coordinate.format(version=version))
    }
    known = {(artifact.groupId, artifact.artifactId): artifact for artifact in of_kafka}
    return [known.get(name, artifact) for name, artifact in names.items()]


def _line(artifact: Artifact) -> str:
    content = artifact.resolve().read_bytes()
    coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
    return f"{coordinate} sha256:{hashlib.sha256(content).hexdigest()} {len(content)}\n"


if __name__ == "__main__":
    main()
