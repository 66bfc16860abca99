"""Reads a process's declared settings from its environment, once, at its start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from schemas.config.declared import ANY_PROPERTY, Section, Variable, is_secret_property, parts

if TYPE_CHECKING:
    from collections.abc import Mapping


_S = TypeVar("_S", bound=Section)


class SettingsError(ValueError):
    """One or more settings are wrong; the message has a line for each."""


def read(section: type[_S], environ: Mapping[str, str]) -> _S:
    """Return the section as the environment sets it; an empty variable counts as unset.

    Raises:
        SettingsError: naming every setting that is missing or wrong.
    """
    reader = _Reader(environ)
    found = reader.section(section)
    if reader.mistakes:
        raise SettingsError("\n".join(reader.mistakes))
    return found


def with_settings(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with these settings, which also replace those given in files."""
    kept = {name: value for name, value in environ.items() if name[:-5] not in settings}
    return kept | dict(settings)


class _Reader:
    """Reads sections and collects their mistakes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.mistakes: list[str] = []

    def section(self, section: type[_S]) -> _S:
        """Return the section, with the default in place of a wrong setting."""
        values: dict[str, Any] = {}
        for part in parts(section):
            if isinstance(part, Variable):
                values[part.attribute] = self._value(part)
            else:
                inner = self.section(part.section)
                is_there = not part.is_optional or inner.is_given()
                values[part.attribute] = inner if is_there else None
        found = section(**values)
        self.mistakes.extend(found.faults())
        return found

    def _value(self, variable: Variable) -> Any:
        if variable.name.endswith(ANY_PROPERTY):
            return self._properties(variable.name.removesuffix(ANY_PROPERTY))
        given = self._given(variable)
        if not given:
            if variable.is_required:
                self.mistakes.append(f"{variable.name} is not set: {variable.setting.effect}.")
        else:
            try:
                return _converted(variable, given)
            except ValueError as error:
                self.mistakes.append(f"{variable.name} {error}")
                if variable.setting.least is None:
                    return given  # it is set, so it is not reported as missing, too
        return "" if variable.is_required else variable.default

    def _given(self, variable: Variable) -> str:
        name, also = variable.name, variable.setting.also
        if not variable.is_secret:
            return self._environ.get(name) or self._environ.get(also, "")
        return self._secret(name) or (self._secret(also) if also else "")

    def _secret(self, name: str) -> str:
        """Return the value, from the variable or from the file that ``name_FILE`` names."""
        value, path = self._environ.get(name, ""), self._environ.get(f"{name}_FILE", "")
        if not path:
            return value
        if value:
            self.mistakes.append(f"{name} and {name}_FILE are both set: keep one of them.")
            return value
        try:
            value = Path(path).read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self.mistakes.append(
                f"{name}_FILE names {path!r}, which can't be read ({reason}):"
                " name a file that this user may read."
            )
        return value

    def _properties(self, prefix: str) -> dict[str, str]:
        """Return the properties by their names in librdkafka; secrets may stand in files."""
        found = {
            name.removeprefix(prefix).lower().replace("_", "."): value
            for name, value in self._environ.items()
            if name.startswith(prefix)
        }
        for name in list(found):
            of = name.removesuffix(".file")
            if of != name and is_secret_property(of):
                del found[name]
                found[of] = self._secret(f"{prefix}{of.upper().replace('.', '_')}")
        return found


def _converted(variable: Variable, given: str) -> Any:
    """Return the value that the text stands for.

    Raises:
        ValueError: it is invalid; the message continues after the variable's name.
    """
    setting = variable.setting
    if setting.least is not None and setting.most is not None:
        value = int(given) if given.isascii() and given.isdigit() else setting.least - 1
        if not setting.least <= value <= setting.most:
            message = f"is {given!r}: a whole number from {setting.least} to {setting.most}."
            raise ValueError(message)
        return value or variable.default
    if variable.choices and given not in variable.choices:
        raise ValueError(f"is {given!r}: one of {', '.join(variable.choices)}.")
    if setting.fault and (fault := setting.fault(given)):
        raise ValueError(fault)
    return given
