"""Declares settings: each is one field of a :class:`Section`, and stands nowhere else.

A field defines all of a setting: its name in the environment, type, range, default and effect,
and whether it is a secret.
From that come the reading (:mod:`schemas.config.environment`), the fields of a log line
(:func:`loggable`), the `--help` of the processes, the table of docs/settings.md and
`./rollcall settings`.
A process declares which settings it reads by the sections that its own section is made of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANY_PROPERTY: Final = "<PROPERTY>"
"""Ends the name of a setting that stands for every variable with the same beginning."""
_MASK: Final = "***"
_SECRET_PROPERTY: Final = re.compile(r"password|secret|jaas|ssl\.key|token|\.pem")
_PASSWORD_IN_CONNINFO: Final = re.compile(
    r"(?P<before>password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)|(?P<user>://[^:/@\s]*):[^@\s]*@"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The effect of a setting and the values that it takes; made by one of the functions below."""

    effect: str
    least: int | None = None
    most: int | None = None
    unit: str = ""
    also: str = ""
    """Another name, which is read where the first one is not set."""
    fault: Callable[[str], str | None] | None = None
    """Says what is wrong with a value, as the end of a sentence that begins with the name."""
    mask: Callable[[str], str] | None = None
    """The part of a secret that may be shown; None where the value is none."""


def whole(least: int, most: int, effect: str, *, unit: str = "") -> Setting:
    """Declare a whole number, both bounds included."""
    return Setting(effect=effect, least=least, most=most, unit=unit)


def text(
    effect: str, *, fault: Callable[[str], str | None] | None = None, also: str = ""
) -> Setting:
    """Declare a text in which ``fault`` finds no mistake; of a Literal type, one of its values."""
    return Setting(effect=effect, fault=fault, also=also)


def secret(effect: str, *, fault: Callable[[str], str | None] | None = None) -> Setting:
    """Declare a text that is masked everywhere and may stand in a file."""
    return Setting(effect=effect, fault=fault, mask=lambda _: _MASK)


def secret_in_address(
    effect: str, *, fault: Callable[[str], str | None] | None = None, also: str = ""
) -> Setting:
    """Declare a URL or conninfo whose password, if any, is masked everywhere."""
    return Setting(effect=effect, fault=fault, also=also, mask=without_password)


def named(prefix: str) -> Callable[[str], str]:
    """Return the function from a section's fields to their variables, for its ``rename``."""
    return lambda attribute: f"{prefix}{attribute.upper()}"


class Section(msgspec.Struct, frozen=True, kw_only=True, rename=named("ROLLCALL_")):
    """The settings of one subject, as they were read.

    A field annotated with a :class:`Setting` is a setting.
    A field whose type is a section is read with it; where it may be None, it is None until one
    of its settings is given.
    Other fields are no settings.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({loggable(self)})"

    def is_given(self) -> bool:
        """Return whether any of the settings differs from its default."""
        return self != type(self)()

    def faults(self) -> Iterator[str]:
        """Yield a line for each mistake of settings together that are right one by one."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Variable:
    """A setting and its environment variable."""

    name: str
    attribute: str
    type: Any
    default: Any
    """`msgspec.NODEFAULT` where it must be set."""
    setting: Setting

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a setting that takes a few; else empty."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def is_required(self) -> bool:
        """True where no process starts without it."""
        return self.default is msgspec.NODEFAULT

    @property
    def is_secret(self) -> bool:
        """True where it may be given in a file, and is masked in logs."""
        return self.setting.mask is not None

    @property
    def file_name(self) -> str:
        """The variable that names the file with a secret's value."""
        return f"{self.name}_FILE"

    @property
    def values(self) -> str:
        """Its possible values, in words."""
        setting = self.setting
        if setting.least is not None:
            return f"{setting.least} to {setting.most} {setting.unit}".rstrip()
        return " or ".join(self.choices) or ("secret" if self.is_secret else "text")

    @property
    def default_text(self) -> str:
        """The default, in words."""
        if self.is_required:
            return "required"
        return "none" if self.default in {None, ""} else str(self.default)


@dataclass(frozen=True, slots=True)
class Inner:
    """A section within another, with the name of its field."""

    attribute: str
    section: type[Section]
    is_optional: bool


def parts(section: type[Section]) -> Iterator[Variable | Inner]:
    """Yield the settings and sections that are fields of the section, in order."""
    for field in msgspec.structs.fields(section):
        base, *metadata = (
            get_args(field.type) if get_origin(field.type) is Annotated else (field.type,)
        )
        default = None if callable(field.default_factory) else field.default
        for each in (base, *get_args(base)):
            if isinstance(each, type) and issubclass(each, Section):
                yield Inner(field.name, each, each is not base)
        for each in metadata:
            if isinstance(each, Setting):
                yield Variable(field.encode_name, field.name, base, default, each)


def variables(section: type[Section]) -> Iterator[Variable]:
    """Yield all settings of the section, and of those within it."""
    for part in parts(section):
        if isinstance(part, Variable):
            yield part
        else:
            yield from variables(part.section)


def name_of(section: type[Section], attribute: str) -> str:
    """Return the environment variable of that field of the section."""
    return next(each.name for each in variables(section) if each.attribute == attribute)


def described(*sections: type[Section]) -> list[tuple[str, str]]:
    """Return each of their settings with its effect, for `--help`."""
    found = {each.name: each for section in sections for each in variables(section)}
    return [(name, f"{each.setting.effect}{_brackets(each)}") for name, each in found.items()]


def _brackets(variable: Variable) -> str:
    values = "" if variable.values == "text" else variable.values
    default = f"default {variable.default}" if variable.default else ""
    facts = [values, "required" if variable.is_required else default]
    return f" [{'; '.join(filter(None, facts))}]" if any(facts) else ""


def loggable(section: Section) -> dict[str, object]:
    """Return the effective settings as fields of a log line, secrets masked."""
    found: dict[str, object] = {}
    for part in parts(type(section)):
        value = getattr(section, part.attribute)
        if isinstance(part, Variable):
            found[_field(part)] = _shown(part, value)
        elif value is None:
            found |= {_field(each): None for each in variables(part.section)}
        else:
            found |= loggable(value)
    return found


def _field(variable: Variable) -> str:
    return variable.name.removeprefix("ROLLCALL_").removesuffix(f"_{ANY_PROPERTY}").lower()


def _shown(variable: Variable, value: Any) -> object:
    if variable.name.endswith(ANY_PROPERTY):
        return {name: _MASK if is_secret_property(name) else each for name, each in value.items()}
    mask = variable.setting.mask
    return (mask(value) if value else None) if mask else value


def is_secret_property(name: str) -> bool:
    """Return whether a property of librdkafka holds a secret."""
    return _SECRET_PROPERTY.search(name) is not None


def without_password(address: str) -> str:
    """Return the URL or conninfo with its password masked."""
    return _PASSWORD_IN_CONNINFO.sub(
        lambda found: (
            f"{found['before']}{_MASK}" if found["before"] else f"{found['user']}:{_MASK}@"
        ),
        address,
    )
