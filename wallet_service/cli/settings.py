"""`wallet settings`: the reference page of all settings, made from the settings themselves."""

from typing import Any

import click
import msgspec

from wallet_service.settings import OTHER_VARIABLES, Settings, variable

_HEAD = """\
# Settings

Every process reads its settings once, from the environment, when it starts. A value that cannot
work stops it with a message that names the variable. This page is printed by `wallet settings`.

| Variable | Default | Meaning |
|---|---|---|
"""
_OTHERS = """
## Other variables

| Variable | Meaning |
|---|---|
"""


@click.command("settings")
def command() -> None:
    """Print all settings as Markdown."""
    click.echo(reference(), nl=False)


def reference() -> str:
    """Make docs/reference/settings.md."""
    rows = "".join(_row(field) for field in msgspec.structs.fields(Settings))
    others = "".join(f"| `{name}` | {text} |\n" for name, text in OTHER_VARIABLES.items())
    return _HEAD + rows + _OTHERS + others


def _row(field: msgspec.structs.FieldInfo) -> str:
    return f"| `{variable(field.name)}` | `{_plain(field.default)}` | {_meaning(field)} |\n"


def _meaning(field: msgspec.structs.FieldInfo) -> str:
    """Return the description, the choices and the limits that a field's annotation carries."""
    meta: Any = next(part for part in field.type.__metadata__ if isinstance(part, msgspec.Meta))
    parts = [meta.description]
    choices: tuple[str, ...] = getattr(field.type.__origin__, "__args__", ())
    if choices:
        parts.append("One of " + ", ".join(f"`{choice}`" for choice in choices) + ".")
    limits = [
        f"{word} {_plain(limit)}"
        for word, limit in (
            ("at least", meta.ge),
            ("more than", meta.gt),
            ("at most", meta.le),
            ("less than", meta.lt),
        )
        if limit is not None
    ]
    if limits:
        parts.append(f"({', '.join(limits)})")
    return " ".join(parts)


def _plain(value: object) -> str:
    """Show a value as it is written in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
