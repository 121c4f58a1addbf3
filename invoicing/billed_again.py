"""A voided invoice is billed again: without what other invoices have billed of the same usage.

What came late for its periods stands on the invoices that followed, and is not asked for twice.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from msgspec import Struct, structs

from invoicing.billed_periods import BilledPeriod, last_seal
from invoicing.billing_facts import Paid, paid_usage
from invoicing.billing_reading import bounds_of_usage
from invoicing.billing_schedule import DueMoment
from invoicing.derived_ids import derived_id
from invoicing.fees import Fee
from invoicing.invoice_building import BuiltInvoice
from invoicing.invoices import Invoice
from invoicing.late_usage import billed_lines, difference, line_of
from invoicing.records import Connection
from invoicing.usage_fees import FeePlace
from invoicing.usage_rollups import Stretch

__all__ = ["Standing", "made_again", "read_standing", "with_ids_of_its_own", "without_standing"]

_Usage: TypeAlias = tuple[UUID | None, datetime | None]
"""The usage of one period: its subscription, and when it begins."""


class Standing(Struct, frozen=True, kw_only=True):
    """What other invoices have billed of the usage of a voided one."""

    lines: Mapping[_Usage, Sequence[Fee]]
    paid: Sequence[Paid]
    """Who had paid for it."""


async def read_standing(
    connection: Connection, bills: Sequence[tuple[BilledPeriod, DueMoment]]
) -> Standing:
    """What invoices that stand have billed of the usage of these moments."""
    lines: dict[_Usage, Sequence[Fee]] = {}
    paid: list[Paid] = []
    for period, due in bills:
        if period.charges_from_at is None or period.sealed_xact_id is None:
            continue
        found = await billed_lines(connection, due.subscription, [period])
        # What events were billed by themselves is taken off already.
        billed = [
            fee for fee in found.get(period.charges_from_at, []) if fee.event_transaction_id is None
        ]
        if not billed:
            continue
        lines[period.subscription_id, period.charges_from_at] = billed
        paid.append(await _paid(connection, period, due, billed))
    return Standing(lines=lines, paid=paid)


async def _paid(
    connection: Connection, period: BilledPeriod, due: DueMoment, billed: Sequence[Fee]
) -> Paid:
    """Who paid for what was committed after a period was sealed, until it was billed as late."""
    last = await last_seal(
        connection, period.organization_id, [fee.invoice_id for fee in billed if fee.invoice_id]
    )
    bounds = bounds_of_usage(due.subscription, due.moment)
    stretch = Stretch(
        organization_id=period.organization_id,
        subscription_id=period.subscription_id,
        start=bounds.start,
        end=bounds.end,
    )
    currency = due.subscription.amount_currency
    late, unbilled = await paid_usage(
        connection,
        [stretch, stretch],
        asset_codes=[currency, currency],
        since=[period.sealed_xact_id, last],
    )
    return _less(late, unbilled)


def without_standing(built: BuiltInvoice, standing: Standing, *, now: datetime) -> BuiltInvoice:
    """An invoice less what others have billed of its usage. Pure."""
    if not standing.lines:
        return built
    invoice = built.invoice
    place = FeePlace(
        organization_id=invoice.organization_id,
        parent_id=invoice.id,
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        subscription_id=None,
        currency=invoice.currency,
        now=now,
    )
    before: dict[tuple[Any, ...], list[Fee]] = {}
    for usage, billed in standing.lines.items():
        for fee in billed:
            before.setdefault((usage, line_of(fee)), []).append(fee)
    fees: list[Fee] = []
    for fee in built.fees:
        key = (fee.subscription_id, fee.from_datetime), line_of(fee)
        billed = before.pop(key, None) if fee.fee_type == "charge" else None
        if billed is None:
            fees.append(fee)
        elif (rest := difference(place, fee, billed)) is not None:
            fees.append(structs.replace(rest, id=fee.id))
    for billed in before.values():  # of usage that is no longer there
        rest = difference(place, None, billed)
        if rest is not None:
            fees.append(rest)
    paid = built.paid
    for one in standing.paid:
        paid = _less(paid, one)
    return structs.replace(built, fees=fees, paid=paid)


def with_ids_of_its_own(built: BuiltInvoice, invoice_id: UUID) -> BuiltInvoice:
    """The same lines on another invoice, which name each other."""
    ids = {fee.id: derived_id(invoice_id, "again", fee.id) for fee in built.fees}
    return structs.replace(
        built,
        fees=[
            structs.replace(
                fee,
                id=ids[fee.id],
                invoice_id=invoice_id,
                true_up_parent_fee_id=_named(fee.true_up_parent_fee_id, ids),
                original_fee_id=fee.id if fee.event_transaction_id else fee.original_fee_id,
            )
            for fee in built.fees
        ],
        progressive=[
            structs.replace(
                credit,
                fee_ids=None
                if credit.fee_ids is None
                else frozenset(ids[one] for one in credit.fee_ids if one in ids),
            )
            for credit in built.progressive
        ],
    )


def made_again(built: Invoice, voided: Invoice, invoice_id: UUID, now: datetime) -> Invoice:
    """The invoice that takes the place of a voided one: of its dates, and new in all else."""
    return structs.replace(
        built,
        id=invoice_id,
        status="generating",
        payment_status="pending",
        voided_invoice_id=voided.id,
        issuing_date=voided.issuing_date,
        payment_due_date=voided.payment_due_date,
        number="",
        sequential_id=None,
        settlement=None,
        content_hash=None,
        payment_overdue=False,
        revision=1,
        finalized_at=None,
        voided_at=None,
        created_at=now,
        updated_at=now,
    )


def _named(fee_id: UUID | None, ids: Mapping[UUID, UUID]) -> UUID | None:
    return None if fee_id is None else ids.get(fee_id)


def _less(paid: Paid, part: Paid) -> Paid:
    grants = {grant: amount - part.grants.get(grant, 0) for grant, amount in paid.grants.items()}
    return Paid(
        grants={grant: amount for grant, amount in grants.items() if amount > 0},
        overage_minor=max(paid.overage_minor - part.overage_minor, 0),
    )
