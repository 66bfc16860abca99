"""The parts of the Helm chart that are made from the declared settings.

``python -m tests.support.papers`` writes them anew (`just docs`); a test fails where they differ.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from deploy.cli.settings_table import READERS, all_settings
from schemas.config.declared import ANY_PROPERTY
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.config.declared import Variable

FOLDER: Final = CHECKOUT / "deploy" / "packages" / "helm" / "rollcall"
VALUES: Final = FOLDER / "values.yaml"
SCHEMA: Final = FOLDER / "values.schema.json"
LEFT_OUT: Final = {
    "ROLLCALL_HOST": "the image sets it",
    "ROLLCALL_PORT": "the image sets it",
    "ROLLCALL_METRICS_HOST": "the image sets it",
    "ROLLCALL_METRICS_PORT": "the image sets it",
    "ROLLCALL_LOG_VERSION": "a service sets it for itself",
    "ROLLCALL_WATCHED_FOLDER": "Kafka and Postgres are elsewhere",
}
"""Settings of services that are no values of the chart, and why."""
_BEGIN, _END = "# settings: begin\n", "# settings: end\n"
_SERVICES: Final = set(READERS) - {"commands", "local stack"}
_KAFKA: Final = "^ROLLCALL_KAFKA_[A-Z0-9_]+$"
_TRACES: Final = "^OTEL_[A-Z0-9_]+$"
_HEADERS: Final = "^OTEL_[A-Z_]*HEADERS$"
_SECRET_IN_PLAIN: Final = (
    "^ROLLCALL_KAFKA_.*(PASSWORD|SECRET|JAAS|SSL_KEY|TOKEN|_PEM)|^OTEL_.*HEADERS"
)
_PLAIN: Final = {"type": ["string", "integer", "boolean"]}
_REFERENCE: Final = {
    "type": "object",
    "required": ["secret", "key"],
    "additionalProperties": False,
    "properties": {"secret": {"type": "string"}, "key": {"type": "string"}},
}
_COMPONENTS: Final = ("api", "publisher", "processor", "builder", "setup")


def settings() -> Iterator[Variable]:
    """Every setting that a value of the chart may set."""
    for each, readers in all_settings().items():
        if _SERVICES & set(readers) and each.name not in LEFT_OUT:
            yield each


def values() -> str:
    """values.yaml as it must be: with every setting and its default."""
    before, begin, rest = VALUES.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    lines = ["settings:"]
    for each in settings():
        if not each.is_secret:
            name = each.name.replace(ANY_PROPERTY, "…")
            default = '""' if each.is_required else json.dumps(each.default or "")
            lines.append(f"  # {each.setting.effect} ({each.values})")
            lines.append(f"  {'' if each.is_required else '# '}{name}: {default}")
    return "".join([before, begin, *(f"{line}\n" for line in lines), end, after])


def schema() -> str:
    """values.schema.json as it must be: a misspelt setting, or a secret in plain text, is wrong."""
    plain = {each.name: _property(each) for each in settings() if not each.is_secret}
    plain.pop(f"ROLLCALL_KAFKA_{ANY_PROPERTY}")
    secret = {
        each.name: {"$ref": "#/$defs/reference", "description": each.setting.effect}
        for each in settings()
        if each.is_secret
    }
    component: dict[str, Any] = {
        "type": "object",
        "properties": {
            "replicas": {"type": "integer", "minimum": 0},
            "enabled": {"type": "boolean"},
            "settings": {"$ref": "#/$defs/settings"},
            "secrets": {"$ref": "#/$defs/secrets"},
            "resources": {"type": "object"},
        },
        "additionalProperties": False,
    }
    made: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["settings"],
        "properties": {
            "settings": {
                "allOf": [
                    {"$ref": "#/$defs/settings"},
                    {"required": [each.name for each in settings() if _must_be_set(each)]},
                ]
            },
            "secrets": {"$ref": "#/$defs/secrets"},
            **{name: {"$ref": "#/$defs/component"} for name in _COMPONENTS},
        },
        "$defs": {
            "reference": _REFERENCE,
            "settings": {
                "type": "object",
                "properties": plain,
                "patternProperties": dict.fromkeys((_KAFKA, _TRACES), _PLAIN),
                "propertyNames": {"not": {"pattern": _SECRET_IN_PLAIN}},
                "additionalProperties": False,
            },
            "secrets": {
                "type": "object",
                "properties": secret,
                "patternProperties": {
                    key: {"$ref": "#/$defs/reference"} for key in (_KAFKA, _HEADERS)
                },
                "additionalProperties": False,
            },
            "component": component,
        },
    }
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _must_be_set(each: Variable) -> bool:
    return each.is_required and not each.is_secret


def _property(each: Variable) -> dict[str, Any]:
    found: dict[str, Any] = {"description": each.setting.effect}
    if each.setting.least is not None:
        bounds = {"minimum": each.setting.least, "maximum": each.setting.most}
        return {**found, "type": "integer", **bounds}
    if each.choices:
        return {**found, "enum": list(each.choices)}
    return {**found, "type": "string", **({"minLength": 1} if each.is_required else {})}
