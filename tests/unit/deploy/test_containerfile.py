"""The image's recipe copies all that the wheel is built of."""

from __future__ import annotations

import re
import tomllib

from tests.support.checkout import CHECKOUT

_RECIPE = CHECKOUT / "deploy" / "packages" / "image" / "Containerfile"


def test_all_that_the_wheel_is_built_of_is_copied() -> None:
    """What is missing there is found only where the image is built."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {source.partition("/")[0] for source in (*wheel["packages"], *wheel["force-include"])}
    copied = set(re.findall(r"^COPY (\S+) \1$", _RECIPE.read_text(), re.MULTILINE))
    assert needed >= {"schemas", "docs"}
    assert needed - copied == set()
    for ignored in (".containerignore", ".dockerignore"):
        sent = {
            line[1:] for line in (CHECKOUT / ignored).read_text().splitlines() if line[:1] == "!"
        }
        assert needed - sent == set(), ignored
