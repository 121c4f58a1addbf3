"""The next invoice of a customer, as it would be.

What is asked for is really done (the customer made, the plan subscribed to, the coupon given), in
a transaction that is then undone. So a preview and the invoice that follows cannot differ.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from msgspec import Struct, field, structs

from invoicing import applied_coupons, customers, subscription_changes, subscriptions
from invoicing.applied_coupons import Terms
from invoicing.billing_moments import moments
from invoicing.billing_schedule import DueMoment, ScheduledSubscription, find_scheduled
from invoicing.customers import CustomerChanges
from invoicing.deductions import deductions_of
from invoicing.errors import Invalid, NotFound
from invoicing.invoice_building import BuiltInvoice, build_invoice
from invoicing.invoice_totals import Deductions, TotalledInvoice, total_up
from invoicing.records import Connection
from invoicing.subscription_requests import SubscriptionRequest
from invoicing.tax_services import TaxService
from ledger.ids import new_uuid
from wallet_service.billing import Billing
from wallet_service.billing_rounds import Run
from wallet_service.database import Database
from wallet_service.errors import Unavailable
from wallet_service.invoice_writing import as_billed, lowered_of
from wallet_service.tax_services import ask

__all__ = ["InvoicePreviews", "Preview", "PreviewRequest"]

_EVER: Final = datetime.max.replace(tzinfo=UTC)
_COUPONS_MAX: Final = 20
_SUBSCRIPTIONS_MAX: Final = 50


class PreviewRequest(Struct, frozen=True, kw_only=True):
    """Whose next invoice is asked for: of subscriptions that there are, or of one that may be."""

    external_customer_id: str | None = None
    """None: a customer that nobody knows yet, who is as `customer` says."""
    customer: CustomerChanges = field(default_factory=CustomerChanges)
    external_subscription_ids: list[str] = []
    terminated_at: datetime | None = None
    """When these subscriptions would end."""
    plan_code: str | None = None
    """Of a subscription that there is not yet, or that the first of these would be changed to."""
    billing_time: str = "calendar"
    subscription_at: datetime | None = None
    coupon_codes: list[str] = []
    billing_entity_code: str | None = None


class Preview(Struct, frozen=True, kw_only=True):
    """The invoice, with the subscriptions that are on it and who is billed."""

    totalled: TotalledInvoice
    subscriptions: list[ScheduledSubscription]


class _Made(Struct, frozen=True, kw_only=True):
    """An invoice that was made, and what lowers and taxes it."""

    built: BuiltInvoice
    deductions: Deductions
    subscriptions: list[ScheduledSubscription]


class _Undone(Exception):
    """Ends a transaction without keeping anything of it."""


class InvoicePreviews:
    """Shows invoices that there are not."""

    def __init__(
        self, *, database: Database, billing: Billing, tax_service: TaxService | None = None
    ) -> None:
        self._database = database
        self._billing = billing
        self._tax_service = tax_service

    async def preview(
        self, organization_id: UUID, request: PreviewRequest, *, now: datetime
    ) -> Preview:
        """The next invoice of a customer; nothing is stored.

        Raises NotFound (customer, plan, subscription, coupon), Invalid, or Unavailable where a tax
        service does not say the taxes.
        """
        _check(request)
        found: list[_Made] = []
        try:
            async with self._database.tenant(organization_id) as connection:
                found.append(await self._made(connection, organization_id, request, now=now))
                raise _Undone  # noqa: TRY301 (it ends the transaction)
        except _Undone:
            made = found[0]
        (built,) = await ask(self._tax_service, [made.built])
        if built.tax_problems:
            raise Unavailable("the tax service does not say the taxes")
        deductions = made.deductions
        if built.named_taxes is not None:
            deductions = structs.replace(deductions, taxes_of_fee=built.named_taxes)
        return Preview(
            totalled=total_up(built.invoice, built.fees, deductions, now=now),
            subscriptions=made.subscriptions,
        )

    async def _made(
        self,
        connection: Connection,
        organization_id: UUID,
        request: PreviewRequest,
        *,
        now: datetime,
    ) -> _Made:
        customer = await _customer(connection, organization_id, request, now=now)
        ids = await _subscriptions(connection, organization_id, customer, request, now=now)
        for code in request.coupon_codes:
            await applied_coupons.apply_coupon(
                connection,
                organization_id,
                external_customer_id=customer,
                coupon_code=code,
                terms=Terms(),
                now=now,
            )
        at = max(now, request.subscription_at or now)
        keys = [(organization_id, one) for one in ids]
        found = await find_scheduled(connection, keys, now=at)
        due = _next(found, request, now=now)
        if not due:
            raise Invalid.field("subscriptions", "value_is_invalid", "nothing will be billed")
        run = Run(until=now, now=now, organization_id=organization_id)
        recipients, billables = await self._billing.read(connection, run, due)
        recipient = recipients[due[0].subscription.id]
        built = build_invoice(billables, recipient, now=now)
        known = as_billed(recipient)
        invoice = structs.replace(
            built.invoice, customer_as_billed=known["customer"], entity_as_billing=known["entity"]
        )
        (deduction,) = await deductions_of(connection, run.taxes, [lowered_of(built)], locks=False)
        return _Made(
            built=structs.replace(built, invoice=invoice),
            deductions=deduction,
            subscriptions=[one.subscription for one in due],
        )


def _check(request: PreviewRequest) -> None:
    if not request.external_subscription_ids and request.plan_code is None:
        raise Invalid.field("plan_code", "value_is_mandatory")
    if len(request.coupon_codes) > _COUPONS_MAX:
        raise Invalid.field("coupons", "invalid_count")
    if len(request.external_subscription_ids) > _SUBSCRIPTIONS_MAX:
        raise Invalid.field("subscriptions", "invalid_count")
    if request.external_subscription_ids and request.external_customer_id is None:
        raise Invalid.field("customer", "value_is_mandatory")


async def _customer(
    connection: Connection, organization_id: UUID, request: PreviewRequest, *, now: datetime
) -> str:
    """The external id of who is billed, made or changed as the request says."""
    external_id = request.external_customer_id
    if external_id is not None and (
        await customers.find(connection, organization_id, external_id) is None
    ):
        raise NotFound("customer")
    changes = request.customer
    if request.billing_entity_code is not None:
        changes = structs.replace(changes, billing_entity_code=request.billing_entity_code)
    customer = await customers.upsert(
        connection, organization_id, external_id or f"preview-{new_uuid(now)}", changes, now=now
    )
    return customer.external_id


async def _subscriptions(
    connection: Connection,
    organization_id: UUID,
    customer: str,
    request: PreviewRequest,
    *,
    now: datetime,
) -> list[UUID]:
    """The subscriptions that are billed; a new one is made where a plan is named."""
    ids: list[UUID] = []
    for external_id in request.external_subscription_ids:
        one = await subscriptions.get(connection, organization_id, external_id)
        if one.external_customer_id != customer:
            raise NotFound("subscription")
        ids.append(one.id)
    if request.plan_code is not None:
        named = request.external_subscription_ids
        wanted = SubscriptionRequest(
            external_id=named[0] if named else f"preview-{new_uuid(now)}",
            external_customer_id=customer,
            plan_code=request.plan_code,
            billing_time=request.billing_time,
            subscription_at=request.subscription_at,
        )
        at = max(now, request.subscription_at or now)
        made = await subscription_changes.create(connection, organization_id, wanted, now=at)
        ids.append(made.id)
    return list(dict.fromkeys(ids))


def _next(
    found: Sequence[ScheduledSubscription], request: PreviewRequest, *, now: datetime
) -> list[DueMoment]:
    """The next moment of all, and whatever is billed with it."""
    due: list[DueMoment] = []
    for subscription in found:
        ended = subscription
        if request.terminated_at is not None and subscription.terminated_at is None:
            ended = structs.replace(subscription, terminated_at=request.terminated_at)
        last = ended.billed_at
        waiting = ended.unbilled(until=max(now, ended.started_at))
        after = max(now, ended.started_at) if last is None else max(last, now)
        coming = moments(ended.facts, ended.plan, ended.zone, after=after, until=_EVER)
        first = waiting[-1] if waiting else next(coming, None)
        if first is not None:
            due.append(DueMoment(ended, first, None))
    soonest = min((one.moment.billing_at for one in due), default=None)
    return [one for one in due if one.moment.billing_at == soonest]
