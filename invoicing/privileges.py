"""Privileges: what a feature can be granted with, such as a number of seats, and their values."""

import re
from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, Struct, UnsetType, field, structs

from invoicing.errors import Invalid

VALUE_TYPES: Final = ("string", "integer", "boolean", "select")
PRIVILEGES_MAX: Final = 100
_OPTIONS_MAX: Final = 100
_TEXT_LENGTH_MAX: Final = 255
_INTEGER_MAX: Final = 2**63 - 1
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_BOOLEANS: Final = {"true": True, "false": False}

Value = int | bool | str


class PrivilegeConfig(Struct, frozen=True, omit_defaults=True):
    """The options of a `select`; for an `integer`, the property of usage that it limits."""

    select_options: list[str] | None = None
    limited_property: str | None = field(default=None, name="property")


class Privilege(Struct, frozen=True, kw_only=True):
    """One thing that a feature can be granted with."""

    code: str
    name: str | None = None
    value_type: str = "string"
    config: PrivilegeConfig = PrivilegeConfig()


class PrivilegeChanges(Struct, kw_only=True):
    """What to set of one privilege: UNSET leaves it as it is, None clears it."""

    code: str = ""
    name: str | UnsetType | None = UNSET
    value_type: str | UnsetType = UNSET
    select_options: list[str] | UnsetType | None = UNSET
    limited_property: str | UnsetType | None = UNSET


def merge(before: Sequence[Privilege], wanted: Sequence[PrivilegeChanges]) -> list[Privilege]:
    """Change those whose code is known, add the others, leave the rest; raises Invalid.

    A privilege keeps its type, and the options it has: there may be values of them.
    """
    merged = {privilege.code: privilege for privilege in before}
    problems: dict[str, list[str]] = {}
    seen: set[str] = set()
    for position, changes in enumerate(wanted):
        known = merged.get(changes.code)
        privilege = _merged(known, changes)
        wrong = _problems(privilege, changes, known)
        if changes.code in seen:
            wrong["code"] = "value_is_duplicated"
        seen.add(changes.code)
        problems |= {f"privileges.{position}.{name}": [code] for name, code in wrong.items()}
        merged[changes.code] = privilege
    if len(merged) > PRIVILEGES_MAX:
        problems["privileges"] = ["invalid_count"]
    if problems:
        raise Invalid(problems)
    return list(merged.values())


def read_value(privilege: Privilege, given: object, *, place: str) -> Value:
    """A value for a privilege, of its type; integers and booleans may come as text.

    Raises Invalid, which names `place`.
    """
    if privilege.value_type == "integer":
        return _integer(given, privilege, place)
    if privilege.value_type == "boolean":
        value = _BOOLEANS.get(given) if isinstance(given, str) else given
        if isinstance(value, bool):
            return value
    elif isinstance(given, str):
        if len(given) > _TEXT_LENGTH_MAX:
            raise Invalid.field(place, "value_is_too_long")
        if privilege.value_type == "string" or given in (privilege.config.select_options or ()):
            return given
    raise Invalid.field(place, "value_is_invalid")


def _integer(given: object, privilege: Privilege, place: str) -> int:
    """A limit is not negative."""
    if isinstance(given, str) and _INTEGER.fullmatch(given):
        given = int(given)
    if not isinstance(given, int) or isinstance(given, bool):
        raise Invalid.field(place, "value_is_invalid")
    lowest = -_INTEGER_MAX if privilege.config.limited_property is None else 0
    if not lowest <= given <= _INTEGER_MAX:
        raise Invalid.field(place, "value_is_out_of_range")
    return given


def _merged(known: Privilege | None, changes: PrivilegeChanges) -> Privilege:
    privilege = known or Privilege(code=changes.code)
    config = privilege.config
    if isinstance(changes.select_options, list):
        options = dict.fromkeys([*(config.select_options or ()), *changes.select_options])
        config = structs.replace(config, select_options=list(options))
    if not isinstance(changes.limited_property, UnsetType):
        config = structs.replace(config, limited_property=changes.limited_property)
    return structs.replace(
        privilege,
        name=privilege.name if isinstance(changes.name, UnsetType) else changes.name,
        value_type=changes.value_type
        if known is None and isinstance(changes.value_type, str)
        else privilege.value_type,
        config=config,
    )


def _problems(
    privilege: Privilege, changes: PrivilegeChanges, known: Privilege | None
) -> dict[str, str]:
    """What is wrong with a privilege, by field."""
    problems: dict[str, str] = {}
    if not privilege.code.strip():
        problems["code"] = "value_is_mandatory"
    wants_another_type = known is not None and changes.value_type not in {UNSET, known.value_type}
    if wants_another_type or privilege.value_type not in VALUE_TYPES:
        problems["value_type"] = "value_is_invalid"
    options = privilege.config.select_options
    if privilege.value_type == "select" and not options:
        problems["config.select_options"] = "value_is_mandatory"
    elif options is not None and not _are_options(privilege.value_type, options):
        problems["config.select_options"] = "value_is_invalid"
    limited = privilege.config.limited_property
    if limited is not None and (privilege.value_type != "integer" or not limited.strip()):
        problems["config.property"] = "value_is_invalid"
    return problems


def _are_options(value_type: str, options: Sequence[str]) -> bool:
    return (
        value_type == "select"
        and len(options) <= _OPTIONS_MAX
        and all(option.strip() for option in options)
    )
