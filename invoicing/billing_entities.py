"""Billing entities: in whose name customers are billed, and by which rules.

An organization has at least one, the default. It is made of what the organization says of itself,
when it is needed first, and follows the organization's changes.
"""

import zoneinfo
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field, structs

from invoicing import (
    billing_schedule,
    catalogue_versions,
    default_billing_entity,
    eu_vat,
    invoice_custom_sections,
    tax_codes,
    taxes,
)
from invoicing.contacts import contact_problems
from invoicing.currencies import CURRENCIES
from invoicing.default_billing_entity import DEFAULT_CODE
from invoicing.errors import Invalid, NotFound
from invoicing.eu_vat_rates import STANDARD_RATES
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries
from ledger.ids import new_uuid

if TYPE_CHECKING:
    from invoicing.customers import Customer

_queries: Final = load_queries(__file__)

_PAYMENT_TERM_DAYS_MAX: Final = 3650
GRACE_DAYS_MAX: Final = 365
_ENTITIES_MAX: Final = 100
_ANCHORS: Final = frozenset({"next_period_start", "current_period_end"})
_ADJUSTMENTS: Final = frozenset({"align_with_finalization_date", "keep_anchor"})


class BillingEntity(Record, frozen=True, kw_only=True):
    """A billing entity as stored."""

    json_columns: ClassVar[tuple[str, ...]] = (
        "email_settings",
        "tax_codes",
        "invoice_custom_section_codes",
    )

    organization_id: UUID
    id: UUID
    code: str = ""
    name: str = ""
    address_line1: str | None = None
    address_line2: str | None = None
    city: str | None = None
    state: str | None = None
    zipcode: str | None = None
    country: str | None = None
    email: str | None = None
    phone: str | None = None
    default_currency: str | None = None
    timezone: str | None = None
    legal_name: str | None = None
    legal_number: str | None = None
    tax_identification_number: str | None = None
    logo_url: str | None = None
    document_numbering: str = "per_customer"
    document_number_prefix: str = ""
    document_locale: str = "en"
    finalize_zero_amount_invoice: bool = True
    net_payment_term: int = 0
    invoice_footer: str | None = None
    invoice_grace_period: int = 0
    subscription_invoice_issuing_date_anchor: str = "next_period_start"
    subscription_invoice_issuing_date_adjustment: str = "align_with_finalization_date"
    eu_tax_management: bool = False
    einvoicing: bool = False
    email_settings: list[str] = field(default_factory=list[str])
    tax_codes: list[str] = field(default_factory=list[str])
    invoice_custom_section_codes: list[str] = field(default_factory=list[str])
    is_default: bool = False
    created_at: datetime
    updated_at: datetime


class BillingEntityChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    code: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    address_line1: str | UnsetType | None = UNSET
    address_line2: str | UnsetType | None = UNSET
    city: str | UnsetType | None = UNSET
    state: str | UnsetType | None = UNSET
    zipcode: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = UNSET
    default_currency: str | UnsetType | None = UNSET
    timezone: str | UnsetType | None = UNSET
    legal_name: str | UnsetType | None = UNSET
    legal_number: str | UnsetType | None = UNSET
    tax_identification_number: str | UnsetType | None = UNSET
    logo_url: str | UnsetType | None = UNSET
    document_numbering: str | UnsetType = UNSET
    document_number_prefix: str | UnsetType = UNSET
    document_locale: str | UnsetType = UNSET
    finalize_zero_amount_invoice: bool | UnsetType = UNSET
    net_payment_term: int | UnsetType = UNSET
    invoice_footer: str | UnsetType | None = UNSET
    invoice_grace_period: int | UnsetType = UNSET
    subscription_invoice_issuing_date_anchor: str | UnsetType = UNSET
    subscription_invoice_issuing_date_adjustment: str | UnsetType = UNSET
    eu_tax_management: bool | UnsetType = UNSET
    einvoicing: bool | UnsetType = UNSET
    email_settings: list[str] | UnsetType = UNSET
    tax_codes: list[str] | UnsetType = UNSET
    invoice_custom_section_codes: list[str] | UnsetType = UNSET


async def create(
    connection: Connection, organization_id: UUID, changes: BillingEntityChanges, *, now: datetime
) -> BillingEntity:
    """Add a billing entity beside the default one; raises Invalid."""
    default = await ensure_default(connection, organization_id, now=now)
    if await _queries.count_entities(connection, organization_id=organization_id) >= _ENTITIES_MAX:
        raise Invalid.field("code", "invalid_count")
    entity_id = new_uuid(now)
    entity = apply(
        changes,
        BillingEntity(
            organization_id=organization_id,
            id=entity_id,
            default_currency=default.default_currency,
            timezone=default.timezone,
            created_at=now,
            updated_at=now,
        ),
    )
    if not entity.document_number_prefix:
        prefix = f"{entity.name.strip()[:3]}-{entity_id.hex[-4:]}".upper()
        entity = structs.replace(entity, document_number_prefix=prefix)
    await _check(connection, entity)
    await _check_prefix(connection, entity)
    row = await _queries.insert_entity(connection, **entity.columns())
    if row is None:
        raise Invalid.field("code", "value_already_exist")
    await _add_managed_taxes(connection, entity, now=now)
    return BillingEntity.of(row)


async def update(
    connection: Connection,
    organization_id: UUID,
    code: str,
    changes: BillingEntityChanges,
    *,
    now: datetime,
) -> BillingEntity:
    """Change a billing entity; its final invoices stay as they are. Raises NotFound or Invalid."""
    if changes.timezone is not UNSET:  # periods may be cut by another clock
        await catalogue_versions.bump(connection, organization_id)
        await billing_schedule.look_again(connection, organization_id, now=now)
    before = await get(connection, organization_id, code, now=now, locks=True)
    entity = structs.replace(apply(changes, before), updated_at=now)
    if entity.code != before.code:
        raise Invalid.field("code", "value_is_invalid", "a billing entity keeps its code")
    await _check(connection, entity, before=before)
    if entity.document_number_prefix != before.document_number_prefix:
        await _check_prefix(connection, entity)
    await _add_managed_taxes(connection, entity, now=now)
    return BillingEntity.of(await _queries.update_entity(connection, **entity.columns()))


async def follow_organization(
    connection: Connection, organization_id: UUID, changed: Mapping[str, Any], *, now: datetime
) -> None:
    """Let the default entity be as the organization has just become, in the fields that changed.

    Where there is none yet, there is nothing to do: it will be made of the organization.
    """
    row = await _queries.lock_default_entity(connection, organization_id=organization_id)
    if row is None:
        return
    given = dict(changed)
    if "document_numbering" in given:
        given["document_numbering"] = _numbering(given["document_numbering"])
    given |= given.pop("billing_configuration", {})
    known = BillingEntityChanges.__struct_fields__
    own = {name: value for name, value in given.items() if name in known}
    for name in ("invoice_grace_period", "document_locale"):
        if own.get(name, "") is None:
            del own[name]
    before = BillingEntity.of(row)
    entity = structs.replace(apply(BillingEntityChanges(**own), before), updated_at=now)
    await _check(connection, entity, before=before)
    if entity.document_number_prefix != before.document_number_prefix:
        await _check_prefix(connection, entity)
    await _queries.update_entity(connection, **entity.columns())


async def of_customer(
    connection: Connection, organization_id: UUID, customer: "Customer", *, now: datetime
) -> BillingEntity:
    """In whose name a customer is billed; the default one is made if this is its first use."""
    if customer.billing_entity_code is not None:
        row = await _queries.find_entity(
            connection, organization_id=organization_id, code=customer.billing_entity_code
        )
        if row is not None:
            return BillingEntity.of(row)
    return await ensure_default(connection, organization_id, now=now)


async def ensure_default(
    connection: Connection, organization_id: UUID, *, now: datetime
) -> BillingEntity:
    """The organization's default billing entity, made of the organization if there is none yet."""
    await default_billing_entity.ensure(connection, organization_id, now=now)
    row = await _queries.find_default_entity(connection, organization_id=organization_id)
    return BillingEntity.of(row)


async def find(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> BillingEntity | None:
    """The billing entity with this code."""
    if code == DEFAULT_CODE:
        await ensure_default(connection, organization_id, now=now)
    row = await _queries.find_entity(connection, organization_id=organization_id, code=code)
    return None if row is None else BillingEntity.of(row)


async def get(
    connection: Connection,
    organization_id: UUID,
    code: str,
    *,
    now: datetime,
    locks: bool = False,
) -> BillingEntity:
    """As `find`, or raise NotFound; `locks` keeps it from being changed by others."""
    entity = await find(connection, organization_id, code, now=now)
    if entity is None:
        raise NotFound("billing_entity")
    if not locks:
        return entity
    return BillingEntity.of(
        await _queries.lock_entity(connection, organization_id=organization_id, id=entity.id)
    )


async def get_by_id(
    connection: Connection, organization_id: UUID, entity_id: UUID
) -> BillingEntity:
    """The billing entity that an invoice names; raises NotFound."""
    row = await _queries.find_entity_by_id(
        connection, organization_id=organization_id, id=entity_id
    )
    if row is None:
        raise NotFound("billing_entity")
    return BillingEntity.of(row)


async def find_all(
    connection: Connection, organization_id: UUID, *, window: Window, now: datetime
) -> Page[BillingEntity]:
    """A page of billing entities, the oldest first."""
    await ensure_default(connection, organization_id, now=now)
    rows = _queries.list_entities(
        connection, organization_id=organization_id, limit=window.size, offset=window.offset
    )
    items = [BillingEntity.of(row) async for row in rows]
    return Page(items, await _queries.count_entities(connection, organization_id=organization_id))


async def by_code(connection: Connection, organization_id: UUID) -> dict[str | None, BillingEntity]:
    """All billing entities that there are, the default one also by None."""
    rows = _queries.list_entities(
        connection, organization_id=organization_id, limit=_ENTITIES_MAX, offset=0
    )
    entities = [BillingEntity.of(row) async for row in rows]
    found: dict[str | None, BillingEntity] = {entity.code: entity for entity in entities}
    default = next((entity for entity in entities if entity.is_default), None)
    return found if default is None else {**found, None: default}


async def check_code(
    connection: Connection, organization_id: UUID, code: str | None, *, now: datetime
) -> None:
    """Raise Invalid unless customers can be billed in this entity's name; None is the default."""
    if code is not None and await find(connection, organization_id, code, now=now) is None:
        raise Invalid.field("billing_entity_code", "billing_entity_not_found")


async def _add_managed_taxes(
    connection: Connection, entity: BillingEntity, *, now: datetime
) -> None:
    """Where EU VAT is managed, there are all its taxes. Rates that were changed stay."""
    if entity.eu_tax_management:
        await taxes.add_missing(connection, entity.organization_id, eu_vat.managed_taxes(), now=now)


def _numbering(of_organization: str) -> str:
    return "per_customer" if of_organization == "per_customer" else "per_billing_entity"


async def _check(
    connection: Connection, entity: BillingEntity, *, before: BillingEntity | None = None
) -> None:
    """Raise Invalid with all that is wrong."""
    problems = _problems(entity) | contact_problems(
        email=(before and before.email, entity.email),
        locale=(before and before.document_locale, entity.document_locale),
        locale_field="document_locale",
    )
    if problems:
        raise Invalid(problems)
    await tax_codes.check(connection, entity.organization_id, entity.tax_codes)
    await invoice_custom_sections.check(
        connection, entity.organization_id, entity.invoice_custom_section_codes
    )


async def _check_prefix(connection: Connection, entity: BillingEntity) -> None:
    """Raise Invalid where another entity has the prefix, or had it on documents of its own.

    Each entity counts its documents by itself, so two with one prefix would give one number twice.
    """
    await _queries.hold_prefixes(connection, organization_id=entity.organization_id)
    if await _queries.is_prefix_taken(
        connection,
        organization_id=entity.organization_id,
        id=entity.id,
        prefix=entity.document_number_prefix,
    ):
        raise Invalid.field("document_number_prefix", "value_already_exist")


def _problems(entity: BillingEntity) -> dict[str, list[str]]:
    checks = {
        "default_currency": entity.default_currency in {None, *CURRENCIES},
        "timezone": entity.timezone is None or entity.timezone in _timezones(),
        "country": entity.country is None or is_country(entity.country),
        "document_numbering": entity.document_numbering in {"per_customer", "per_billing_entity"},
        "subscription_invoice_issuing_date_anchor": entity.subscription_invoice_issuing_date_anchor
        in _ANCHORS,
        "subscription_invoice_issuing_date_adjustment": (
            entity.subscription_invoice_issuing_date_adjustment in _ADJUSTMENTS
        ),
    }
    problems = {name: ["value_is_invalid"] for name, is_right in checks.items() if not is_right}
    problems |= {
        name: ["value_is_mandatory"]
        for name in ("name", "code", "document_number_prefix")
        if not getattr(entity, name).strip()
    }
    if not 0 <= entity.net_payment_term <= _PAYMENT_TERM_DAYS_MAX:
        problems["net_payment_term"] = ["value_is_out_of_range"]
    if not 0 <= entity.invoice_grace_period <= GRACE_DAYS_MAX:
        problems["invoice_grace_period"] = ["value_is_out_of_range"]
    if entity.eu_tax_management and entity.country not in STANDARD_RATES:
        problems["eu_tax_management"] = ["country_must_be_in_eu"]
    return problems


def is_country(code: str) -> bool:
    """Whether this may be an ISO code of a country."""
    return len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()  # noqa: PLR2004


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
