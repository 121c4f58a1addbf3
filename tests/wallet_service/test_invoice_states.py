"""What is said of invoices and their lines, and that the books tie out afterwards."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from msgspec import structs

from invoicing import fee_changes
from invoicing.credit_note_amounts import Item, Parts
from invoicing.errors import Invalid, NotAllowed
from invoicing.fee_changes import AdjustmentChanges
from invoicing.invoices import Invoice
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service import request_keys
from wallet_service.credit_notes import Wanted
from wallet_service.invoice_states import CreditedParts

BILLED = day(4, 1)


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        await months.plan("pro", standard("tokens", "0.5"), amount_cents=2000)
        yield months


async def billed(months: Months, *, grace_days: int = 0) -> Invoice:
    """20.00, and 5.00 of usage; 12.00 were in the wallet."""
    terms = {"billing_configuration": {"invoice_grace_period": grace_days}}
    await months.customer("acme", paid(12), **terms)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    await months.bill(BILLED)
    (invoice,) = await months.invoices()
    return invoice


async def void(months: Months, invoice: Invoice, **parts: int) -> Invoice:
    return await months.services.invoice_states.void_by_credit_note(
        months.organization_id, invoice.id, CreditedParts(**parts), now=BILLED
    )


async def test_what_wallets_paid_of_an_invoice_is_credited_when_it_is_voided_by_a_note(months):
    invoice = await billed(months)
    assert (invoice.prepaid_credit_amount_cents, invoice.total_due_amount_cents) == (1200, 1300)
    with pytest.raises(Invalid):
        await void(months, invoice, credit_cents=1300)
    voided = await void(months, invoice)
    assert (voided.status, voided.total_due_amount_cents) == ("voided", 0)
    await months.check()
    with pytest.raises(NotAllowed):
        await void(months, invoice)


async def test_of_many_who_say_the_same_of_an_invoice_at_once_each_gets_the_answer(months):
    invoice = await billed(months)
    states, place = months.services.invoice_states, (months.organization_id, invoice.id)
    answers = await asyncio.gather(
        *(states.set_payment_status(*place, "succeeded", now=BILLED) for _ in range(25))
    )
    assert {answer.payment_status for answer in answers} == {"succeeded"}
    key = request_keys.key_of("void_invoice", "once", CreditedParts())
    answers = await asyncio.gather(
        *(
            states.void_by_credit_note(*place, CreditedParts(), key=key, now=BILLED)
            for _ in range(25)
        )
    )
    assert {answer.status for answer in answers} == {"voided"}
    await months.check()


async def test_an_invoice_whose_due_nothing_could_pay_any_more_is_not_voided(months):
    invoice = await billed(months)
    items = [
        Item(fee_id=fee.id, amount_cents=fee.amount_cents, precise_amount_cents=Decimal(0))
        for fee in await months.lines(invoice)
    ]
    await months.services.credit_notes.create(
        months.organization_id,
        invoice.id,
        Wanted(items=items, parts=Parts(credit_cents=2500)),
        now=BILLED,
    )
    with pytest.raises(NotAllowed):
        await void(months, invoice)
    (still,) = await months.invoices()
    assert still.status == "finalized"
    await months.check()


async def test_a_line_that_is_adjusted_below_what_was_debited_gives_back_the_difference(months):
    draft = await billed(months, grace_days=3)
    usage = (await months.lines(draft))[1]
    assert usage.debited_minor == 5 * 10**9
    async with months.services.database.tenant(months.organization_id) as connection:
        await fee_changes.adjust(
            connection,
            months.organization_id,
            usage.id,
            AdjustmentChanges(units=Decimal(3)),
            now=BILLED,
        )
    final = await months.services.invoices.finalize(months.organization_id, draft.id, now=BILLED)
    assert (final.fees_amount_cents, final.prepaid_credit_amount_cents) == (2150, 1200)
    assert final.total_amount_cents == 950
    await months.check()
