"""Customers: who uses, and who is billed. Addressed by the id that the caller gives them."""

import zoneinfo
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field, structs

from invoicing import (
    billing_entities,
    billing_schedule,
    catalogue_changes,
    catalogue_versions,
    invoice_custom_sections,
    tax_codes,
)
from invoicing.contacts import contact_problems
from invoicing.currencies import CURRENCIES
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)

_METADATA_MAX: Final = 50


class Customer(Record, frozen=True, kw_only=True):
    """A customer as stored."""

    json_columns: ClassVar[tuple[str, ...]] = (
        "shipping_address",
        "billing_configuration",
        "tax_codes",
        "invoice_custom_section_codes",
        "metadata",
    )

    organization_id: UUID
    id: UUID
    external_id: str
    name: str | None = None
    firstname: str | None = None
    lastname: str | None = None
    customer_type: str | None = None
    email: str | None = None
    legal_name: str | None = None
    legal_number: str | None = None
    tax_identification_number: str | None = None
    phone: str | None = None
    url: str | None = None
    logo_url: str | None = None
    address_line1: str | None = None
    address_line2: str | None = None
    city: str | None = None
    state: str | None = None
    zipcode: str | None = None
    country: str | None = None
    shipping_address: dict[str, Any] | None = None
    currency: str | None = None
    timezone: str | None = None
    net_payment_term: int | None = None
    finalize_zero_amount_invoice: str = "inherit"
    skip_invoice_custom_sections: bool = False
    billing_configuration: dict[str, Any] = field(default_factory=dict[str, Any])
    billing_entity_code: str | None = None
    tax_codes: list[str] = field(default_factory=list[str])
    invoice_custom_section_codes: list[str] = field(default_factory=list[str])
    metadata: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    created_at: datetime
    updated_at: datetime


class MetadataEntry(Struct, kw_only=True):
    """One thing to remember about a customer; an `id` names an entry that exists."""

    id: str | None = None
    key: str | None = None
    value: str | None = None
    display_in_invoice: bool | None = None


class CustomerChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    name: str | UnsetType | None = UNSET
    firstname: str | UnsetType | None = UNSET
    lastname: str | UnsetType | None = UNSET
    customer_type: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    legal_name: str | UnsetType | None = UNSET
    legal_number: str | UnsetType | None = UNSET
    tax_identification_number: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = UNSET
    url: str | UnsetType | None = UNSET
    logo_url: str | UnsetType | None = UNSET
    address_line1: str | UnsetType | None = UNSET
    address_line2: str | UnsetType | None = UNSET
    city: str | UnsetType | None = UNSET
    state: str | UnsetType | None = UNSET
    zipcode: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET
    shipping_address: dict[str, Any] | UnsetType | None = UNSET
    currency: str | UnsetType | None = UNSET
    timezone: str | UnsetType | None = UNSET
    net_payment_term: int | UnsetType | None = UNSET
    finalize_zero_amount_invoice: str | UnsetType = UNSET
    skip_invoice_custom_sections: bool | UnsetType = UNSET
    billing_configuration: dict[str, Any] | UnsetType = UNSET
    billing_entity_code: str | UnsetType | None = UNSET
    tax_codes: list[str] | UnsetType = UNSET
    invoice_custom_section_codes: list[str] | UnsetType = UNSET


async def upsert(
    connection: Connection,
    organization_id: UUID,
    external_id: str,
    changes: CustomerChanges,
    *,
    metadata: list[MetadataEntry] | None = None,
    now: datetime,
) -> Customer:
    """Create the customer, or change what is given of it; raises Invalid.

    `metadata` replaces the entries: one that names an `id` keeps it, one that is not named goes.
    """
    if not external_id.strip():
        raise Invalid.field("external_id", "value_is_mandatory")
    known = await find(connection, organization_id, external_id)
    moves = known is not None and _clock(apply(changes, known)) != _clock(known)
    if known is not None and moves:  # before it is locked, as all who change what prices depend on
        await _tell_of_clock(connection, known)
    before = await _lock(connection, organization_id, external_id)
    if before is None:
        fresh = Customer(
            organization_id=organization_id,
            id=new_uuid(now),
            external_id=external_id,
            created_at=now,
            updated_at=now,
        )
        wanted = _changed(fresh, changes, metadata=metadata, now=now)
        await _check_names(connection, wanted, changes, now=now)
        created = await _queries.insert_customer(connection, **wanted.columns())
        if created is not None:
            return Customer.of(created)
        before = await _lock(connection, organization_id, external_id)  # someone was first
        if before is None:  # and has deleted it already
            raise NotFound("customer")
    changed = _changed(before, changes, metadata=metadata, now=now)
    await _check_names(connection, changed, changes, now=now)
    if not moves and _clock(changed) != _clock(before):  # others changed it since it was looked at
        moves = True
        await _tell_of_clock(connection, before)
    if moves:
        await billing_schedule.look_again(
            connection, organization_id, customer_id=changed.id, now=now
        )
    return Customer.of(await _queries.update_customer(connection, **changed.columns()))


async def _tell_of_clock(connection: Connection, customer: Customer) -> None:
    version = await catalogue_versions.bump(connection, customer.organization_id)
    await catalogue_changes.concern_customer(
        connection, customer.organization_id, version, customer.id
    )


def _clock(customer: Customer) -> tuple[str | None, str | None]:
    """What says by which clock its periods are cut."""
    return customer.timezone, customer.billing_entity_code


async def lock(connection: Connection, organization_id: UUID, external_id: str) -> Customer:
    """The customer, held until the transaction ends so that changes queue up; raises NotFound."""
    customer = await _lock(connection, organization_id, external_id)
    if customer is None:
        raise NotFound("customer")
    return customer


async def set_currency(
    connection: Connection, customer: Customer, currency: str, *, now: datetime
) -> Customer:
    """Let a customer that has no currency yet, and is locked, have one from now on."""
    changed = structs.replace(customer, currency=currency, updated_at=now)
    return Customer.of(await _queries.update_customer(connection, **changed.columns()))


async def _check_names(
    connection: Connection, customer: Customer, changes: CustomerChanges, *, now: datetime
) -> None:
    """Raise Invalid unless there is all that the changes name."""
    organization_id = customer.organization_id
    if changes.tax_codes is not UNSET:
        await tax_codes.check(connection, organization_id, customer.tax_codes)
    if changes.invoice_custom_section_codes is not UNSET:
        await invoice_custom_sections.check(
            connection, organization_id, customer.invoice_custom_section_codes
        )
    if changes.billing_entity_code is not UNSET:
        await billing_entities.check_code(
            connection, organization_id, customer.billing_entity_code, now=now
        )


async def _lock(connection: Connection, organization_id: UUID, external_id: str) -> Customer | None:
    """The customer, held so that two changes of different fields both stay."""
    row = await _queries.lock_customer(
        connection, organization_id=organization_id, external_id=external_id
    )
    return None if row is None else Customer.of(row)


async def find(connection: Connection, organization_id: UUID, external_id: str) -> Customer | None:
    """The customer with this id of the caller's, unless deleted."""
    row = await _queries.find_customer(
        connection, organization_id=organization_id, external_id=external_id
    )
    return None if row is None else Customer.of(row)


async def get(connection: Connection, organization_id: UUID, external_id: str) -> Customer:
    """As `find`, or raise NotFound."""
    customer = await find(connection, organization_id, external_id)
    if customer is None:
        raise NotFound("customer")
    return customer


async def find_all(
    connection: Connection, organization_id: UUID, *, window: Window, search: str | None = None
) -> Page[Customer]:
    """A page of customers, newest first."""
    wanted = {"organization_id": organization_id, "search": search}
    rows = _queries.list_customers(connection, **wanted, limit=window.size, offset=window.offset)
    items = [Customer.of(row) async for row in rows]
    return Page(items, await _queries.count_customers(connection, **wanted))


async def delete(
    connection: Connection, organization_id: UUID, external_id: str, *, now: datetime
) -> tuple[Customer, list[UUID]]:
    """Forget a customer: its subscriptions end, its past stays in the book; raises NotFound.

    Gives the customer, and the ids of the subscriptions that ended.
    """
    version = await catalogue_versions.bump(connection, organization_id)
    customer = await get(connection, organization_id, external_id)
    await catalogue_changes.concern_customer(connection, organization_id, version, customer.id)
    await _queries.delete_customer(
        connection, organization_id=organization_id, id=customer.id, now=now
    )
    ended = _queries.end_subscriptions_of_customer(
        connection, organization_id=organization_id, customer_id=customer.id, now=now
    )
    return customer, [row["id"] async for row in ended]


def _changed(
    customer: Customer,
    changes: CustomerChanges,
    *,
    metadata: list[MetadataEntry] | None,
    now: datetime,
) -> Customer:
    """The customer after the changes, checked."""
    changed = apply(changes, customer)
    if isinstance(changes.billing_configuration, dict):
        merged = {**customer.billing_configuration, **changes.billing_configuration}
        changed = apply(CustomerChanges(billing_configuration=merged), changed)
    values = {name: getattr(changed, name) for name in changed.__struct_fields__}
    values["updated_at"] = now
    values["tax_codes"] = tax_codes.distinct(changed.tax_codes)
    if metadata is not None:
        values["metadata"] = _merge_metadata(customer.metadata, metadata, now=now)
    changed = Customer(**values)
    _check(changed, before=customer)
    return changed


def _check(customer: Customer, *, before: Customer) -> None:
    known, configured = before.billing_configuration, customer.billing_configuration
    problems = contact_problems(
        email=(before.email, customer.email),
        locale=(known.get("document_locale"), configured.get("document_locale")),
    )
    if customer.currency is not None and customer.currency not in CURRENCIES:
        problems["currency"] = ["value_is_invalid"]
    if customer.timezone is not None and customer.timezone not in _timezones():
        problems["timezone"] = ["value_is_invalid"]
    if customer.country is not None and not _is_country(customer.country):
        problems["country"] = ["not_a_valid_country_code"]
    if customer.customer_type not in {None, "company", "individual"}:
        problems["customer_type"] = ["value_is_invalid"]
    if customer.finalize_zero_amount_invoice not in {"inherit", "finalize", "skip"}:
        problems["finalize_zero_amount_invoice"] = ["invalid_value"]
    if customer.net_payment_term is not None and not 0 <= customer.net_payment_term <= 3650:  # noqa: PLR2004
        problems["net_payment_term"] = ["value_is_out_of_range"]
    if problems:
        raise Invalid(problems)


def _is_country(code: str) -> bool:
    return len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()  # noqa: PLR2004


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _merge_metadata(
    existing: list[dict[str, Any]], entries: list[MetadataEntry], *, now: datetime
) -> list[dict[str, Any]]:
    """The entries as they will be stored: named ones keep their id and what is not given."""
    if len(entries) > _METADATA_MAX:
        raise Invalid.field("metadata", "invalid_count")
    by_id = {entry["id"]: entry for entry in existing}
    merged: list[dict[str, Any]] = []
    for entry in entries:
        known = by_id.get(entry.id, {}) if entry.id else {}
        key = entry.key if entry.key is not None else known.get("key")
        value = entry.value if entry.value is not None else known.get("value")
        shown = entry.display_in_invoice
        if not key or value is None:
            raise Invalid.field("metadata", "invalid_key_value_pair")
        if any(key == other["key"] for other in merged):
            raise Invalid.field("metadata", "value_is_duplicated")
        merged.append(
            {
                "id": known.get("id") or str(new_uuid(now)),
                "key": key,
                "value": value,
                "display_in_invoice": known.get("display_in_invoice", False)
                if shown is None
                else shown,
                "created_at": known.get("created_at")
                or now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
    return merged
