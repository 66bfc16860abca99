"""The viewer's files are those that were taken from Swagger UI's own distribution."""

import hashlib
from importlib import resources


def test_swagger_ui_is_the_locked_one() -> None:
    """Each file has the sha256 in the lock, and no other file is there."""
    viewer = resources.files("ingest_api.openapi").joinpath("viewer")
    lines = viewer.joinpath("swagger-ui.lock").read_text().splitlines()
    locked = {line.split()[1]: line.split()[0] for line in lines if not line.startswith("#")}

    assert "LICENSE" in locked
    assert locked == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in viewer.joinpath("swagger-ui").iterdir()
    }
