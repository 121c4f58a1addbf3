"""What the billing of many subscriptions needs to know, read for all of them at once.

What changes seldom (plans, names of metrics, billing entities) is kept for as long as a run takes.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct, field, structs

from invoicing import billing_entities, invoice_custom_sections
from invoicing.billing_entities import GRACE_DAYS_MAX, BillingEntity
from invoicing.billing_moments import BillingMoment
from invoicing.customers import Customer
from invoicing.plan_terms import PlanTerms, load_terms
from invoicing.records import Connection, Record, load_queries
from invoicing.usage_rollups import NIL, Stretch
from ledger.ids import uuid_of

__all__ = [
    "BilledPlanFacts",
    "Catalogue",
    "Paid",
    "Recipient",
    "billed_usage_before",
    "load_customers",
    "paid_usage",
]

_queries: Final[Any] = load_queries(__file__)


class BilledPlanFacts(Record, frozen=True, kw_only=True):
    """A plan, as its lines name it; deleted or not."""

    json_columns: ClassVar[tuple[str, ...]] = ("tax_codes",)

    organization_id: UUID
    id: UUID
    code: str
    name: str
    invoice_display_name: str | None
    interval: str
    amount_cents: int
    amount_currency: str
    pay_in_advance: bool
    tax_codes: list[str] = field(default_factory=list[str])


class Recipient(Struct, frozen=True, kw_only=True):
    """Who is billed, and in whose name."""

    customer: Customer
    entity: BillingEntity
    sections: list[dict[str, Any]] = []
    """The texts at the end of the invoice."""

    @property
    def zone_name(self) -> str:
        """Where the customer's days begin."""
        return self.customer.timezone or self.entity.timezone or "UTC"

    @property
    def zone(self) -> tzinfo:
        """The same, to compute with."""
        return ZoneInfo(self.zone_name)

    @property
    def net_payment_term(self) -> int:
        """Days from the issuing date until payment is due."""
        own = self.customer.net_payment_term
        return self.entity.net_payment_term if own is None else own

    @property
    def grace_days(self) -> int:
        """For how many days an invoice of a period stays a draft."""
        own = self.customer.billing_configuration.get("invoice_grace_period")
        if own is None:
            return self.entity.invoice_grace_period
        return min(max(int(own), 0), GRACE_DAYS_MAX)  # it was not always refused

    @property
    def skips_zero_amounts(self) -> bool:
        """Whether an invoice of nothing is not sent."""
        own = self.customer.finalize_zero_amount_invoice
        if own == "inherit":
            return not self.entity.finalize_zero_amount_invoice
        return own == "skip"


class Paid(Struct, frozen=True, kw_only=True):
    """Who paid for a stretch of usage when it happened."""

    grants: Mapping[UUID, int] = {}
    overage_minor: int = 0
    """What nobody could pay then."""


class Catalogue:
    """Plans, metrics and billing entities, each read once."""

    def __init__(self) -> None:
        self._plans: dict[tuple[UUID, UUID], BilledPlanFacts] = {}
        self._sections: dict[tuple[UUID, tuple[str, ...]], list[dict[str, Any]]] = {}
        self._terms: dict[tuple[UUID, UUID], tuple[datetime, PlanTerms | None]] = {}
        """With the time from which on they are there."""
        self._metrics: dict[UUID, dict[UUID, str]] = {}
        self._entities: dict[tuple[UUID, str | None], BillingEntity] = {}

    async def plans(
        self, connection: Connection, wanted: Iterable[tuple[UUID, UUID]]
    ) -> dict[tuple[UUID, UUID], BilledPlanFacts]:
        """Plans by (organization, id)."""
        pairs = set(wanted)
        missing = sorted(pairs - self._plans.keys())
        if missing:
            rows = _queries.find_plans(
                connection,
                organization_ids=[organization for organization, _ in missing],
                ids=[plan for _, plan in missing],
            )
            async for row in rows:
                plan = BilledPlanFacts.of(row)
                self._plans[plan.organization_id, plan.id] = plan
        return {pair: self._plans[pair] for pair in pairs}

    async def sections(
        self,
        connection: Connection,
        customer: Customer,
        entity: BillingEntity,
        *,
        named: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """The custom sections of an invoice: those named, else the customer's, else the entity's.

        Source: Lago, invoice custom sections.
        """
        if named is None and customer.skip_invoice_custom_sections:
            return []
        own = customer.invoice_custom_section_codes or entity.invoice_custom_section_codes
        codes = tuple(own if named is None else named)
        place = customer.organization_id, codes
        if codes and place not in self._sections:
            found = await invoice_custom_sections.of_codes(connection, place[0], codes)
            self._sections[place] = [
                {
                    "lago_id": str(one.id),
                    "code": one.code,
                    "name": one.name,
                    "description": one.description,
                    "display_name": one.display_name,
                    "details": one.details,
                }
                for one in found
            ]
        return self._sections.get(place, [])

    async def terms(
        self, connection: Connection, organization_id: UUID, plan_id: UUID, *, moment: BillingMoment
    ) -> PlanTerms | None:
        """What a plan asks for beside its usage in the periods that a moment bills.

        None where it asks for nothing. Without the minimums of charges, and without versions that
        were replaced long before.
        """
        since = _first_of(moment)
        known = self._terms.get((organization_id, plan_id))
        if known is None or since < known[0]:
            since = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            terms = await load_terms(
                connection, organization_id, plan_id, since=since, with_minimums=False
            )
            has_fixed = any(version.fixed_charges for version in terms.versions)
            known = since, terms if has_fixed or terms.commitment_cents else None
            self._terms[organization_id, plan_id] = known
        return known[1]

    async def metric_names(
        self, connection: Connection, organization_id: UUID, wanted: Iterable[UUID]
    ) -> Mapping[UUID, str]:
        """The names of an organization's metrics; the newly wanted are looked up."""
        known = self._metrics.setdefault(organization_id, {})
        missing = sorted(set(wanted) - known.keys())
        if missing:
            rows = _queries.find_metrics(connection, organization_id=organization_id, ids=missing)
            async for row in rows:
                known[row["id"]] = row["name"]
        return known

    async def entity_of(
        self, connection: Connection, customer: Customer, *, own: str | None = None, now: datetime
    ) -> BillingEntity:
        """In whose name a customer is billed; `own` is what its subscription says of it."""
        code = own or customer.billing_entity_code
        place = customer.organization_id, code
        if place not in self._entities:
            named = structs.replace(customer, billing_entity_code=code)
            self._entities[place] = await billing_entities.of_customer(
                connection, customer.organization_id, named, now=now
            )
        return self._entities[place]


def _first_of(moment: BillingMoment) -> datetime:
    """When the first period begins whose fixed charges it bills."""
    billed = (
        moment.fixed_charges_in_arrears,
        moment.fixed_charges_in_advance,
        moment.fixed_charges_added,
    )
    return min([moment.billing_at, *(days.part.start for days in billed if days is not None)])


async def load_customers(
    connection: Connection, wanted: Iterable[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], Customer]:
    """Customers by (organization, id), those that were deleted too."""
    pairs = sorted(set(wanted))
    rows = _queries.find_customers(
        connection,
        organization_ids=[organization for organization, _ in pairs],
        ids=[customer for _, customer in pairs],
    )
    found = [Customer.of(row) async for row in rows]
    return {(customer.organization_id, customer.id): customer for customer in found}


async def billed_usage_before(
    connection: Connection,
    organization_id: UUID,
    subscription_id: UUID,
    *,
    start: datetime,
    before: datetime,
    own_id: UUID | None,
) -> Decimal:
    """What other invoices than one's own have billed of usage, in cents, precisely.

    Of stretches that begin at `start` or later, but before `before`.
    """
    found: Decimal = await _queries.billed_usage_before(
        connection,
        organization_id=organization_id,
        subscription_id=subscription_id,
        start=start,
        before=before,
        own_id=own_id,
    )
    return found


async def paid_usage(
    connection: Connection,
    stretches: Sequence[Stretch],
    *,
    asset_codes: Sequence[str],
    since: Sequence[int | None] | None = None,
) -> list[Paid]:
    """Which grants paid for the usage of stretches when it happened, in their order.

    With `since`, only for what was committed from that transaction on.
    """
    if not stretches:
        return []
    rows = _queries.paid_usage(
        connection,
        organization_ids=[one.organization_id for one in stretches],
        subscription_ids=[one.subscription_id for one in stretches],
        starts=[one.start for one in stretches],
        ends=[one.end for one in stretches],
        asset_codes=list(asset_codes),
        since=[
            None if number is None else str(number) for number in since or [None] * len(stretches)
        ],
    )
    grants = [dict[UUID, int]() for _ in stretches]
    async for row in rows:
        place: int = row["position"] - 1
        grants[place][uuid_of(row["grant_id"].int)] = int(row["amount_minor"])
    return [
        Paid(
            grants={grant: amount for grant, amount in one.items() if grant != NIL and amount},
            overage_minor=one.get(NIL, 0),
        )
        for one in grants
    ]
