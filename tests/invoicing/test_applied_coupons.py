"""What invoices use of coupons: never twice, and back again when they are voided."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from invoicing import applied_coupons, billing_entities, coupons, customers
from invoicing.applied_coupons import ShownAppliedCoupon, Terms
from invoicing.coupon_shares import CouponCredit
from invoicing.coupons import CouponChanges
from invoicing.customers import Customer, CustomerChanges
from invoicing.errors import Invalid, NotFound
from ledger.ids import new_uuid
from tests.invoicing.conftest import Desk, found_organization


async def _customer(desk: Desk, external_id: str = "acme", **fields: Any) -> Customer:
    changes = CustomerChanges(**fields)
    return await customers.upsert(*desk.place, external_id, changes, now=desk.now)


async def _coupon(desk: Desk, code: str = "welcome", **terms: Any) -> None:
    given = {
        "code": code,
        "name": code.title(),
        "coupon_type": "fixed_amount",
        "amount_cents": 1_000,
        "amount_currency": "EUR",
        "frequency": "once",
    } | terms
    await coupons.create(*desk.place, CouponChanges(**given), now=desk.now)


async def _apply(desk: Desk, code: str = "welcome", **terms: Any) -> ShownAppliedCoupon:
    return await applied_coupons.apply_coupon(
        *desk.place,
        external_customer_id="acme",
        coupon_code=code,
        terms=Terms(**terms),
        now=desk.now,
    )


async def _take(desk: Desk, applied: ShownAppliedCoupon, amount_cents: int) -> ShownAppliedCoupon:
    await applied_coupons.usable(*desk.place, applied.customer_id, locks=True)
    credit = CouponCredit(
        applied_coupon_id=applied.id, code="x", name="X", amount_cents=amount_cents
    )
    await applied_coupons.take(*desk.place, [credit], now=desk.now)
    return await applied_coupons.get(*desk.place, applied.id)


async def _invoice(desk: Desk, applied: ShownAppliedCoupon, amount_cents: int) -> UUID:
    """Store an invoice that has used so much of a coupon."""
    entity = await billing_entities.ensure_default(*desk.place, now=desk.now)
    invoice_id, when = new_uuid(desk.now), desk.now
    await desk.connection.execute(
        "insert into invoicing.invoices (organization_id, id, customer_id, billing_entity_id,"
        " invoice_type, status, payment_status, currency, number, issuing_date, payment_due_date,"
        " net_payment_term, timezone, created_at, updated_at) values ($1, $2, $3, $4,"
        " 'subscription', 'draft', 'pending', 'EUR', '', $5, $5, 0, 'UTC', $6, $6)",
        *(desk.organization_id, invoice_id, applied.customer_id, entity.id, when.date(), when),
    )
    await desk.connection.execute(
        "insert into invoicing.invoice_credits (organization_id, id, invoice_id, kind, source_id,"
        " item_code, item_name, amount_cents, amount_currency, before_taxes, created_at)"
        " values ($1, $2, $3, 'coupon', $4, 'welcome', 'Welcome', $5, 'EUR', true, $6)",
        *(desk.organization_id, new_uuid(when), invoice_id, applied.id, amount_cents, when),
    )
    return invoice_id


async def test_an_amount_that_is_given_once_carries_what_is_left(desk: Desk) -> None:
    await _customer(desk)
    await _coupon(desk)
    applied = await _apply(desk)

    after = await _take(desk, applied, 400)

    assert (after.status, after.amount_cents_remaining) == ("active", 600)
    [left] = await applied_coupons.usable(*desk.place, applied.customer_id)
    assert left.amount_cents == 600

    after = await _take(desk, applied, 600)

    assert (after.status, after.amount_cents_remaining) == ("terminated", 0)
    assert await applied_coupons.usable(*desk.place, applied.customer_id) == []


async def test_a_percentage_that_is_given_once_ends_with_the_first_invoice(desk: Desk) -> None:
    await _customer(desk)
    await _coupon(desk, coupon_type="percentage", percentage_rate=Decimal(10))

    after = await _take(desk, await _apply(desk), 5)

    assert after.status == "terminated"


async def test_a_recurring_coupon_counts_down_and_is_full_on_every_invoice(desk: Desk) -> None:
    await _customer(desk)
    await _coupon(desk, frequency="recurring", frequency_duration=2)
    applied = await _apply(desk)

    after = await _take(desk, applied, 10)
    assert (after.status, after.frequency_duration_remaining) == ("active", 1)
    [left] = await applied_coupons.usable(*desk.place, applied.customer_id)
    assert left.amount_cents == 1_000

    after = await _take(desk, applied, 1_000)
    assert (after.status, after.frequency_duration_remaining) == ("terminated", 0)


async def test_a_coupon_for_ever_never_ends(desk: Desk) -> None:
    await _customer(desk)
    await _coupon(desk, frequency="forever")
    applied = await _apply(desk)

    for _ in range(3):
        assert (await _take(desk, applied, 1_000)).status == "active"


@pytest.mark.parametrize(
    ("terms", "used"),
    [
        ({}, 1_000),
        ({}, 300),
        ({"frequency": "recurring", "frequency_duration": 1}, 1_000),
        ({"coupon_type": "percentage", "percentage_rate": Decimal(10)}, 7),
    ],
)
async def test_a_voided_invoice_gives_back_what_it_used(
    desk: Desk, terms: dict[str, Any], used: int
) -> None:
    await _customer(desk)
    await _coupon(desk, **terms)
    applied = await _apply(desk)
    await _take(desk, applied, used)
    invoice_id = await _invoice(desk, applied, used)

    await applied_coupons.give_back(*desk.place, invoice_id, now=desk.now)

    assert await applied_coupons.get(*desk.place, applied.id) == applied


async def test_what_was_taken_from_a_customer_does_not_come_back(desk: Desk) -> None:
    await _customer(desk)
    await _coupon(desk)
    applied = await _apply(desk)
    await _take(desk, applied, 400)
    invoice_id = await _invoice(desk, applied, 400)
    await applied_coupons.terminate(*desk.place, "acme", applied.id, now=desk.now)

    await applied_coupons.give_back(*desk.place, invoice_id, now=desk.now)

    after = await applied_coupons.get(*desk.place, applied.id)
    assert (after.status, after.amount_cents_remaining) == ("terminated", 1_000)


async def test_a_coupon_that_was_deleted_does_not_come_back(desk: Desk) -> None:
    await _customer(desk)
    await _coupon(desk)
    applied = await _apply(desk)
    await _take(desk, applied, 1_000)
    invoice_id = await _invoice(desk, applied, 1_000)
    await coupons.delete(*desk.place, "welcome", now=desk.now)

    await applied_coupons.give_back(*desk.place, invoice_id, now=desk.now)

    assert (await applied_coupons.get(*desk.place, applied.id)).status == "terminated"


async def test_a_coupon_ends_when_its_time_is_over_but_not_for_those_who_have_it(
    desk: Desk,
) -> None:
    await _customer(desk)
    end = desk.now + timedelta(days=1)
    await _coupon(desk, expiration="time_limit", expiration_at=end)
    applied = await _apply(desk)

    assert await coupons.end_due(desk.connection, now=desk.now, limit=10) == 0
    desk.clock.advance(days=1)
    with pytest.raises(NotFound):
        await _apply(desk)
    assert await coupons.end_due(desk.connection, now=desk.now, limit=10) == 1
    assert await coupons.end_due(desk.connection, now=desk.now, limit=10) == 0

    assert (await coupons.get(*desk.place, "welcome")).terminated_at == end
    assert (await applied_coupons.get(*desk.place, applied.id)).status == "active"


async def test_a_coupon_that_is_not_reusable_is_given_once_even_if_it_has_ended(
    desk: Desk,
) -> None:
    await _customer(desk)
    await _coupon(desk, reusable=False)
    applied = await _apply(desk)
    await applied_coupons.terminate(*desk.place, "acme", applied.id, now=desk.now)

    with pytest.raises(Invalid) as refused:
        await _apply(desk)

    assert refused.value.details == {"coupon": ["coupon_is_not_reusable"]}


async def test_a_customer_without_a_currency_has_the_coupons(desk: Desk) -> None:
    await _customer(desk)
    await _coupon(desk)
    await _coupon(desk, "dollars", amount_currency="USD")
    await _apply(desk)

    assert (await customers.get(*desk.place, "acme")).currency == "EUR"
    with pytest.raises(Invalid) as refused:
        await _apply(desk, "dollars")
    assert refused.value.details == {"currency": ["currencies_does_not_match"]}


async def test_two_invoices_at_once_do_not_use_the_same_coupon(database: Any, clock: Any) -> None:
    desk = Desk(None, new_uuid(clock.now), clock)
    async with database.api.acquire() as connection, connection.transaction():
        await found_organization(connection, desk.organization_id, clock.now)
    async with database.tenant(desk.organization_id) as connection:
        desk.connection = connection
        await _customer(desk)
        await _coupon(desk)
        applied = await _apply(desk)

    async def finalize(wanted: int) -> int:
        async with database.tenant(desk.organization_id) as connection:
            mine = Desk(connection, desk.organization_id, clock)
            found = await applied_coupons.usable(*mine.place, applied.customer_id, locks=True)
            left = sum(coupon.amount_cents or 0 for coupon in found)
            used = min(left, wanted)
            await asyncio.sleep(0.05)
            if used:
                await _take(mine, applied, used)
            return used

    used = await asyncio.gather(*(finalize(600) for _ in range(3)))

    assert sorted(used) == [0, 400, 600]
