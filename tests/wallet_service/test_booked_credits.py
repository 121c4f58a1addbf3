"""What no wallet is left to take back becomes a credit note, which the next invoice uses."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec import structs

from invoicing import applied_coupons, coupons, credit_notes
from invoicing.applied_coupons import Terms
from invoicing.coupons import CouponChanges
from invoicing.credit_notes import CreditNote
from invoicing.errors import NotAllowed
from invoicing.invoices import Invoice
from ledger.chart import AccountCode
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service.unfinished import GRACE


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        await months.plan("pro", standard("tokens", "0.5"), amount_cents=20_00)
        await months.plan("usage", standard("tokens", "0.5"))
        yield months


async def end_wallet(months: Months) -> None:
    wallets = months.services.wallets
    row = await wallets.row_by_code(months.organization_id, "acme", "main")
    await wallets.terminate(row, now=datetime.now(UTC))


async def note_of(months: Months, invoice: Invoice) -> CreditNote:
    later = datetime(2100, 1, 1, tzinfo=UTC) + 2 * GRACE
    await months.services.credit_notes.finish_due(now=later)
    async with months.services.database.tenant(months.organization_id) as connection:
        (note,) = await credit_notes.of_invoice(connection, months.organization_id, invoice.id)
    return note


async def test_a_voided_invoice_whose_wallet_has_ended_is_credited(months: Months) -> None:
    await months.customer("acme", paid(12))
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.bill(day(4, 1))
    (invoice,) = await months.invoices()
    assert (invoice.prepaid_credit_amount_cents, invoice.total_amount_cents) == (12_00, 8_00)
    await end_wallet(months)
    await months.services.invoices.void(months.organization_id, invoice.id, now=day(4, 2))
    note = await note_of(months, invoice)
    assert (note.credit_status, note.balance_amount_cents) == ("available", 12_00)
    assert note.number == f"{invoice.number}-CN001"
    await months.check()
    await months.bill(day(5, 1))
    last = (await months.invoices())[-1]
    assert (last.credit_notes_amount_cents, last.total_amount_cents) == (12_00, 8_00)
    await months.check()


async def test_what_the_settlement_credited_is_taken_back_once(months: Months) -> None:
    invoice = await credited(months)
    note = await note_of(months, invoice)
    desk = months.services
    for _ in range(2):
        with pytest.raises(NotAllowed, match="not_voidable"):
            await desk.invoices.void(months.organization_id, invoice.id, now=day(4, 2))
        if note.credit_status == "available":
            note = await desk.credit_notes.void(months.organization_id, note.id, now=day(4, 2))
    assert note.credit_status == "voided"
    assert (await months.book())[AccountCode.CUSTOMER_CREDIT] == 0
    await months.check()


async def test_what_was_paid_in_real_time_beyond_the_invoice_is_credited(months: Months) -> None:
    invoice = await credited(months)
    note = await note_of(months, invoice)
    assert (note.credit_status, note.balance_amount_cents) == ("available", 5_00)
    await months.check()


async def credited(months: Months) -> Invoice:
    """An invoice of nothing for usage that a wallet, ended since, had paid 5.00 for."""
    await months.customer("acme", paid(12))
    await months.subscribe("acme", "usage", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    async with months.services.database.tenant(months.organization_id) as connection:
        free = CouponChanges(
            code="free",
            name="Free",
            coupon_type="percentage",
            percentage_rate=Decimal(100),
            frequency="once",
            expiration="no_expiration",
        )
        await coupons.create(connection, months.organization_id, free, now=day(3, 11))
        await applied_coupons.apply_coupon(
            connection,
            months.organization_id,
            external_customer_id="acme",
            coupon_code="free",
            terms=Terms(),
            now=day(3, 12),
        )
    await end_wallet(months)
    await months.bill(day(4, 1))
    (invoice,) = await months.invoices()
    assert (invoice.fees_amount_cents, invoice.coupons_amount_cents) == (5_00, 5_00)
    return invoice
