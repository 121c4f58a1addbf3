"""Applied coupons: coupons that customers were given, and what invoices have used of them.

An invoice takes what it uses in the transaction that fixes its amounts, under the locks of the
customer's coupons, so that no two invoices use the same; if it is voided it gives that back.

    once       an amount until it is used up; a percentage on one invoice
    recurring  on so many invoices
    forever    on every invoice
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing import coupons, customers
from invoicing.coupon_shares import CouponCredit, UsableCoupon
from invoicing.coupons import Coupon, Worth
from invoicing.currencies import CURRENCIES
from invoicing.customers import Customer
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)


class AppliedCoupon(Record, frozen=True, kw_only=True):
    """A coupon that a customer has."""

    organization_id: UUID
    id: UUID
    coupon_id: UUID
    customer_id: UUID
    status: str
    amount_cents: int | None
    amount_cents_remaining: int | None
    amount_currency: str | None
    percentage_rate: Decimal | None
    frequency: str
    frequency_duration: int | None
    frequency_duration_remaining: int | None
    created_at: datetime
    updated_at: datetime
    terminated_at: datetime | None = None

    @property
    def is_used_up(self) -> bool:
        """Whether invoices have used all of it, given that one has used some."""
        if self.frequency == "once":
            return not self.amount_cents_remaining
        return self.frequency == "recurring" and self.frequency_duration_remaining == 0


class ShownAppliedCoupon(AppliedCoupon, frozen=True, kw_only=True):
    """The same with whose it is, and the coupon it is of."""

    external_customer_id: str
    coupon_code: str
    coupon_name: str
    expiration_at: datetime | None


class CouponUse(Record, frozen=True, kw_only=True):
    """What an invoice has used of an applied coupon."""

    json_columns: ClassVar[tuple[str, ...]] = ()

    id: UUID
    applied_coupon_id: UUID
    invoice_id: UUID
    item_code: str
    item_name: str
    amount_cents: int
    amount_currency: str
    payment_status: str


class Terms(Struct, kw_only=True):
    """With what terms a coupon is given, where not with its own."""

    amount_cents: int | UnsetType = UNSET
    amount_currency: str | UnsetType = UNSET
    percentage_rate: Decimal | UnsetType = UNSET
    frequency: str | UnsetType = UNSET
    frequency_duration: int | UnsetType = UNSET


class AppliedCouponFilter(Struct, frozen=True, kw_only=True):
    """Which applied coupons are asked for; None means all."""

    statuses: list[str] | None = None
    external_customer_id: str | None = None
    coupon_codes: list[str] | None = None


async def apply_coupon(
    connection: Connection,
    organization_id: UUID,
    *,
    external_customer_id: str,
    coupon_code: str,
    terms: Terms,
    applied_coupon_id: UUID | None = None,
    now: datetime,
) -> ShownAppliedCoupon:
    """Give a customer a coupon; raises NotFound or Invalid.

    A customer without a currency has the coupon's from then on.
    """
    customer = await customers.lock(connection, organization_id, external_customer_id)
    coupon = await coupons.get(connection, organization_id, coupon_code)
    if not coupon.is_given(now):
        raise NotFound("coupon")
    worth = coupons.normal_worth(apply(terms, coupon.worth))
    problems = coupons.worth_problems(worth)
    if not coupon.reusable and await _queries.has_had(
        connection,
        organization_id=organization_id,
        customer_id=customer.id,
        coupon_id=coupon.id,
    ):
        problems["coupon"] = ["coupon_is_not_reusable"]
    if customer.currency is not None and worth.amount_currency not in {None, customer.currency}:
        problems["currency"] = ["currencies_does_not_match"]
    if problems:
        raise Invalid(problems)
    applied = _applied(customer, coupon, worth, applied_coupon_id or new_uuid(now), now=now)
    await _queries.insert_applied_coupon(connection, **applied.columns())
    if customer.currency is None and worth.amount_currency in CURRENCIES:
        await customers.set_currency(connection, customer, worth.amount_currency, now=now)
    return await get(connection, organization_id, applied.id)


async def terminate(
    connection: Connection,
    organization_id: UUID,
    external_customer_id: str,
    applied_coupon_id: UUID,
    *,
    now: datetime,
) -> ShownAppliedCoupon:
    """Take a coupon from a customer; what it lowered stays lowered. Raises NotFound."""
    customer = await customers.get(connection, organization_id, external_customer_id)
    applied = await get(connection, organization_id, applied_coupon_id)
    if applied.customer_id != customer.id:
        raise NotFound("applied_coupon")
    await _queries.terminate_applied_coupon(
        connection, organization_id=organization_id, id=applied_coupon_id, now=now
    )
    return await get(connection, organization_id, applied_coupon_id)


async def usable(
    connection: Connection, organization_id: UUID, customer_id: UUID, *, locks: bool = False
) -> list[UsableCoupon]:
    """What a customer's coupons may take off an invoice.

    `locks` holds all of them until the transaction ends, for who goes on to `take`: another invoice
    of the customer waits here, and finds what is then left.
    """
    query = _queries.lock_usable if locks else _queries.find_usable
    place = {"organization_id": organization_id, "customer_id": customer_id}
    found = [_Usable.of(row) async for row in query(connection, **place)]
    return [_shown_usable(one) for one in found]


async def take(
    connection: Connection, organization_id: UUID, used: Sequence[CouponCredit], *, now: datetime
) -> None:
    """Note what an invoice uses of coupons, in the transaction that locked them (`usable`)."""
    for credit in used:
        before = await _lock(connection, organization_id, credit.applied_coupon_id)
        assert before.status == "active", "a coupon is used that has ended"
        after = _counted(before, credit.amount_cents, count=-1)
        if after.is_used_up:
            after = structs.replace(after, status="terminated", terminated_at=now)
        await _save(connection, after, now=now)


async def give_back(
    connection: Connection, organization_id: UUID, invoice_id: UUID, *, now: datetime
) -> None:
    """Give back what an invoice has used of coupons: it is voided. Call it once, under its lock.

    A coupon that ended because it was used up may be used again; one that was taken from the
    customer, or whose coupon was deleted, stays ended.
    """
    rows = _queries.uses_of_invoice(
        connection, organization_id=organization_id, invoice_id=invoice_id
    )
    uses = [CouponUse.of(row) async for row in rows]
    for use in sorted(uses, key=lambda use: use.applied_coupon_id):
        before = await _lock(connection, organization_id, use.applied_coupon_id)
        after = _counted(before, use.amount_cents, count=1)
        if before.is_used_up and await _queries.is_coupon_there(
            connection, organization_id=organization_id, id=before.coupon_id
        ):
            after = structs.replace(after, status="active", terminated_at=None)
        await _save(connection, after, now=now)


async def get(
    connection: Connection, organization_id: UUID, applied_coupon_id: UUID
) -> ShownAppliedCoupon:
    """An applied coupon by its id; raises NotFound."""
    row = await _queries.find_applied_coupon(
        connection, organization_id=organization_id, id=applied_coupon_id
    )
    if row is None:
        raise NotFound("applied_coupon")
    return ShownAppliedCoupon.of(row)


async def find_all(
    connection: Connection,
    organization_id: UUID,
    wanted: AppliedCouponFilter,
    *,
    window: Window,
) -> Page[ShownAppliedCoupon]:
    """A page of applied coupons, newest first."""
    found = {"organization_id": organization_id, **structs.asdict(wanted)}
    rows = _queries.list_applied_coupons(
        connection, **found, limit=window.size, offset=window.offset
    )
    items = [ShownAppliedCoupon.of(row) async for row in rows]
    return Page(items, await _queries.count_applied_coupons(connection, **found))


async def uses_of(
    connection: Connection, organization_id: UUID, applied_coupon_ids: Sequence[UUID]
) -> dict[UUID, list[CouponUse]]:
    """What final invoices have used of each of these."""
    found: dict[UUID, list[CouponUse]] = {name: [] for name in applied_coupon_ids}
    rows = _queries.uses_of_applied(
        connection, organization_id=organization_id, ids=list(applied_coupon_ids)
    )
    async for row in rows:
        use = CouponUse.of(row)
        found[use.applied_coupon_id].append(use)
    return found


class _Usable(AppliedCoupon, frozen=True, kw_only=True):
    """A coupon that may be used, with what it is limited to."""

    json_columns: ClassVar[tuple[str, ...]] = ("plan_codes", "billable_metric_codes")

    coupon_code: str
    coupon_name: str
    plan_codes: list[str]
    billable_metric_codes: list[str]


def _shown_usable(one: _Usable) -> UsableCoupon:
    is_once = one.frequency == "once"
    return UsableCoupon(
        applied_coupon_id=one.id,
        code=one.coupon_code,
        name=one.coupon_name,
        amount_cents=one.amount_cents_remaining if is_once else one.amount_cents,
        amount_currency=one.amount_currency,
        percentage_rate=one.percentage_rate,
        plan_codes=one.plan_codes,
        billable_metric_codes=one.billable_metric_codes,
        applied_at=one.created_at,
    )


def _applied(
    customer: Customer, coupon: Coupon, worth: Worth, applied_coupon_id: UUID, *, now: datetime
) -> AppliedCoupon:
    return AppliedCoupon(
        organization_id=customer.organization_id,
        id=applied_coupon_id,
        coupon_id=coupon.id,
        customer_id=customer.id,
        status="active",
        amount_cents=worth.amount_cents,
        amount_cents_remaining=worth.amount_cents if worth.frequency == "once" else None,
        amount_currency=worth.amount_currency,
        percentage_rate=worth.percentage_rate,
        frequency=worth.frequency,
        frequency_duration=worth.frequency_duration,
        frequency_duration_remaining=worth.frequency_duration,
        created_at=now,
        updated_at=now,
    )


def _counted(applied: AppliedCoupon, amount_cents: int, *, count: int) -> AppliedCoupon:
    """What is left once an invoice has used it (-1), or has given it back (1)."""
    left, times = applied.amount_cents_remaining, applied.frequency_duration_remaining
    return structs.replace(
        applied,
        amount_cents_remaining=None if left is None else left + count * amount_cents,
        frequency_duration_remaining=None if times is None else times + count,
    )


async def _lock(
    connection: Connection, organization_id: UUID, applied_coupon_id: UUID
) -> AppliedCoupon:
    return AppliedCoupon.of(
        await _queries.lock_applied_coupon(
            connection, organization_id=organization_id, id=applied_coupon_id
        )
    )


async def _save(connection: Connection, applied: AppliedCoupon, *, now: datetime) -> None:
    changed = structs.replace(applied, updated_at=now)
    await _queries.update_applied_coupon(connection, **changed.columns())
