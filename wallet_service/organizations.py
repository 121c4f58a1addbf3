"""Organizations: the tenants. Every row, key and ledger account belongs to exactly one."""

import zoneinfo
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field, structs

from invoicing import billing_entities, billing_schedule, catalogue_versions
from invoicing.contacts import contact_problems
from invoicing.currencies import CURRENCIES
from invoicing.errors import Invalid, NotFound
from invoicing.records import Connection, Record, apply, load_queries
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)

_PAYMENT_TERM_DAYS_MAX: Final = 3650


class Organization(Record, frozen=True, kw_only=True):
    """A tenant as stored."""

    json_columns: ClassVar[tuple[str, ...]] = ("email_settings", "billing_configuration")

    id: UUID
    name: str
    default_currency: str = "USD"
    email: str | None = None
    legal_name: str | None = None
    legal_number: str | None = None
    tax_identification_number: str | None = None
    address_line1: str | None = None
    address_line2: str | None = None
    city: str | None = None
    state: str | None = None
    zipcode: str | None = None
    country: str | None = None
    timezone: str = "UTC"
    net_payment_term: int = 0
    document_numbering: str = "per_customer"
    document_number_prefix: str
    finalize_zero_amount_invoice: bool = True
    email_settings: list[str] = field(default_factory=list[str])
    billing_configuration: dict[str, Any] = field(default_factory=dict[str, Any])
    created_at: datetime
    updated_at: datetime


class OrganizationChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    name: str | UnsetType = UNSET
    default_currency: str | UnsetType = UNSET
    email: str | UnsetType | None = UNSET
    legal_name: str | UnsetType | None = UNSET
    legal_number: str | UnsetType | None = UNSET
    tax_identification_number: str | UnsetType | None = UNSET
    address_line1: str | UnsetType | None = UNSET
    address_line2: str | UnsetType | None = UNSET
    city: str | UnsetType | None = UNSET
    state: str | UnsetType | None = UNSET
    zipcode: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET
    timezone: str | UnsetType = UNSET
    net_payment_term: int | UnsetType = UNSET
    document_numbering: str | UnsetType = UNSET
    document_number_prefix: str | UnsetType = UNSET
    finalize_zero_amount_invoice: bool | UnsetType = UNSET
    email_settings: list[str] | UnsetType = UNSET
    billing_configuration: dict[str, Any] | UnsetType = UNSET


async def create_organization(connection: Connection, name: str, *, now: datetime) -> Organization:
    """Add a tenant. Not for tenants: the connection's role must be the worker's."""
    organization_id = new_uuid(now)
    organization = Organization(
        id=organization_id,
        name=name,
        document_number_prefix=f"{name.strip()[:3]}-{organization_id.hex[-4:]}".upper(),
        created_at=now,
        updated_at=now,
    )
    _check(organization)
    row = await _queries.insert_organization(connection, **organization.columns())
    return Organization.of(row)


async def get(connection: Connection, organization_id: UUID) -> Organization:
    """The tenant; raises NotFound."""
    row = await _queries.find_organization(connection, id=organization_id)
    if row is None:
        raise NotFound("organization")
    return Organization.of(row)


async def update(
    connection: Connection,
    organization_id: UUID,
    changes: OrganizationChanges,
    *,
    now: datetime,
) -> Organization:
    """Change what is given; raises Invalid."""
    if changes.timezone is not UNSET:  # periods may be cut by another clock, also its entity's
        await catalogue_versions.bump(connection, organization_id)
        await billing_schedule.look_again(connection, organization_id, now=now)
    await _queries.lock_organization(connection, id=organization_id)
    before = await get(connection, organization_id)
    changed = structs.replace(apply(changes, before), updated_at=now)
    if isinstance(changes.billing_configuration, dict):
        merged = {**before.billing_configuration, **changes.billing_configuration}
        changed = structs.replace(changed, billing_configuration=merged)
    _check(changed, before=before)
    updated = Organization.of(await _queries.update_organization(connection, **changed.columns()))
    given = {
        name: value
        for name in changes.__struct_fields__
        if (value := getattr(changes, name)) is not UNSET
    }
    await billing_entities.follow_organization(connection, organization_id, given, now=now)
    return updated


def _check(organization: Organization, *, before: Organization | None = None) -> None:
    known = before.billing_configuration if before is not None else {}
    problems = contact_problems(
        email=(before and before.email, organization.email),
        locale=(
            known.get("document_locale"),
            organization.billing_configuration.get("document_locale"),
        ),
    )
    if not organization.name.strip():
        problems["name"] = ["value_is_mandatory"]
    if organization.default_currency not in CURRENCIES:
        problems["default_currency"] = ["value_is_invalid"]
    if organization.timezone not in _timezones():
        problems["timezone"] = ["value_is_invalid"]
    if not 0 <= organization.net_payment_term <= _PAYMENT_TERM_DAYS_MAX:
        problems["net_payment_term"] = ["value_is_out_of_range"]
    if organization.document_numbering not in {"per_customer", "per_organization"}:
        problems["document_numbering"] = ["value_is_invalid"]
    if not organization.document_number_prefix.strip():
        problems["document_number_prefix"] = ["value_is_mandatory"]
    if organization.country is not None and not billing_entities.is_country(organization.country):
        problems["country"] = ["not_a_valid_country_code"]
    problems |= _billing_problems(organization.billing_configuration)
    if problems:
        raise Invalid(problems)


def _billing_problems(configuration: dict[str, Any]) -> dict[str, list[str]]:
    """What is wrong with how an organization bills, as its default billing entity will."""
    problems: dict[str, list[str]] = {}
    days = configuration.get("invoice_grace_period")
    if days is not None and not 0 <= days <= billing_entities.GRACE_DAYS_MAX:
        problems["billing_configuration.invoice_grace_period"] = ["value_is_out_of_range"]
    return problems


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
