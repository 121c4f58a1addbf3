"""Days that were paid for in advance and not used come back, and pay the last invoice."""

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from invoicing import credit_notes, invoices, subscription_changes, taxes
from invoicing.credit_note_amounts import Item, Parts
from invoicing.credit_notes import CreditNote
from invoicing.invoices import Invoice
from invoicing.subscription_requests import Termination
from invoicing.tax_services import TaxQuestion, TaxServiceFailed
from ledger.chart import AccountCode
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story
from wallet_service.credit_notes import Wanted
from wallet_service.errors import OutcomePending
from wallet_service.invoice_finishing import worker_transactions
from wallet_service.invoices import Invoices
from wallet_service.payments import NewPayment
from wallet_service.unfinished import GRACE

STARTED = day(2, 8)


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        yield months


async def tax(months: Months, rate: str) -> None:
    async with months.services.database.tenant(months.organization_id) as connection:
        changes = taxes.TaxChanges(
            code="vat", name="VAT", rate=Decimal(rate), applied_to_organization=True
        )
        await taxes.create(connection, months.organization_id, changes, now=day(1, 1))


async def end(months: Months, at: Any, mode: str | None = None, **terms: Any) -> None:
    async with months.services.changing_catalogue(months.organization_id) as connection:
        termination = Termination(on_termination_credit_note=mode, **terms)
        await subscription_changes.terminate(
            connection, months.organization_id, "acme-1", termination, now=at
        )


async def notes(months: Months, invoice: Invoice) -> list[CreditNote]:
    async with months.services.database.tenant(months.organization_id) as connection:
        return await credit_notes.of_invoice(connection, months.organization_id, invoice.id)


async def begin(months: Months, *, at: datetime = STARTED, **terms: Any) -> None:
    """100.00 a month in advance and 20 % of tax, from 8 February on; usage of 50.00."""
    await tax(months, "20")
    await months.plan("pro", standard("tokens", "1"), amount_cents=100_00, pay_in_advance=True)
    await months.customer("acme", has_wallet=False, **terms)
    await months.subscribe("acme", "pro", "acme-1", at=at)


# Source: lago-api spec/scenarios/subscriptions/terminate_manually_spec.rb: 90.00; ended on 21 Feb
# with usage of 50.00: a credit of 30.00 and an invoice of 60.00 - 30.00; with half of the 90.00
# paid, 15.00 are refunded and 15.00 credited; with `skip` 60.00 are due.
@pytest.mark.parametrize(
    ("mode", "paid", "parts", "due"),
    [
        (None, 0, (30_00, 0, 0), 30_00),
        ("credit", 90_00, (30_00, 0, 0), 30_00),
        ("refund", 45_00, (15_00, 15_00, 0), 45_00),
        ("refund", 90_00, (0, 30_00, 0), 60_00),
        ("offset", 0, (0, 0, 30_00), 60_00),
        ("skip", 0, None, 60_00),
    ],
)
async def test_a_terminated_subscription_gives_back_its_last_days(
    months: Months, mode: str | None, paid: int, parts: tuple[int, int, int] | None, due: int
) -> None:
    await begin(months)
    await months.bill(day(2, 8, 1))
    (first,) = await months.invoices()
    assert first.total_amount_cents == 90_00
    if paid:
        new = NewPayment(amount_cents=paid, reference="wire")
        await months.services.payments.create(months.organization_id, first.id, new, now=day(2, 9))
    await months.use("acme-1", "tokens", "50", at=day(2, 15))
    await end(months, day(2, 21, 12), mode)
    await months.bill(day(2, 21, 13))

    issued = await notes(months, first)
    if parts is None:
        assert issued == []
    else:
        (note,) = issued
        assert (note.status, note.number) == ("finalized", f"{first.number}-CN001")
        assert (
            note.credit_amount_cents,
            note.refund_amount_cents,
            note.offset_amount_cents,
        ) == parts
        assert (note.sub_total_excluding_taxes_amount_cents, note.taxes_amount_cents) == (
            25_00,
            5_00,
        )
    last = (await months.invoices())[-1]
    assert last.id != first.id
    assert last.sub_total_including_taxes_amount_cents == 60_00
    assert last.total_amount_cents == due
    assert last.credit_notes_amount_cents == 60_00 - due
    if last.credit_notes_amount_cents:
        assert issued[0].credit_status == "consumed"
    again = await months.bill(day(2, 21, 14))
    assert again.invoices == 0
    assert await notes(months, first) == issued
    await months.check()


async def test_a_run_that_comes_late_gives_back_the_same(months: Months) -> None:
    await begin(months)
    await months.use("acme-1", "tokens", "50", at=day(2, 15))
    await end(months, day(2, 21, 12))
    await months.bill(day(3, 5))
    first, last = sorted(await months.invoices(), key=lambda one: one.number)
    assert (first.total_amount_cents, last.total_amount_cents) == (90_00, 30_00)
    (note,) = await notes(months, first)
    assert (note.credit_status, note.balance_amount_cents) == ("consumed", 0)
    await months.check()


# Source: lago-api spec/scenarios/subscriptions/multiple_upgrade_spec.rb, in our own months: the
# unused days include that of the upgrade, and pay the new plan's first invoice.
async def test_an_upgrade_gives_back_the_rest_and_pays_the_new_plan_with_it(
    months: Months,
) -> None:
    await tax(months, "25")
    for code, amount in (("small", 1000), ("large", 1500)):
        await months.plan(code, amount_cents=amount, pay_in_advance=True)
    await months.customer("acme", has_wallet=False)
    await months.subscribe("acme", "small", "acme-1", at=day(3, 1))
    await months.bill(day(3, 1, 1))
    await months.subscribe("acme", "large", "acme-1", at=day(3, 12))
    foreseen = months.services.invoices.billing.foresee(
        until=day(3, 12, 1), now=day(3, 12, 1), organization_id=months.organization_id
    )
    assert [one.invoice.total_amount_cents async for one in foreseen] == [404]
    assert [await notes(months, one) for one in await months.invoices()] == [[]]
    await months.bill(day(3, 12, 1))
    first, second = sorted(await months.invoices(), key=lambda one: one.number)
    (note,) = await notes(months, first)
    assert note.total_amount_cents == 806  # 20 of 31 days of 10.00, and 25 %
    assert second.fees_amount_cents == 968  # the same days of 15.00
    assert second.sub_total_including_taxes_amount_cents == 1210
    assert (second.credit_notes_amount_cents, second.total_amount_cents) == (806, 404)
    await months.check()


async def test_of_a_draft_the_note_is_a_draft_and_final_with_it(months: Months) -> None:
    await begin(months, billing_configuration={"invoice_grace_period": 30})
    await months.bill(day(2, 8, 1))
    (first,) = await months.invoices()
    assert first.status == "draft"
    await end(months, day(2, 21, 12))
    await months.bill(day(2, 21, 13))
    (draft,) = await notes(months, first)
    assert (draft.status, draft.total_amount_cents) == ("draft", 30_00)
    await months.services.invoices.refresh(months.organization_id, first.id, now=day(2, 22))
    final = await months.services.invoices.finalize(
        months.organization_id, first.id, now=day(3, 10)
    )
    (waiting,) = await notes(months, first)
    assert (waiting.status, waiting.step) == ("finalizing", "issue")
    later = day(3, 10) + 2 * GRACE
    assert await months.services.credit_notes.finish_due(now=later) == 1
    (note,) = await notes(months, first)
    assert (note.status, note.number) == ("finalized", f"{final.number}-CN001")
    await months.check()


async def test_a_draft_note_keeps_to_what_was_asked_where_nothing_was_due_of_the_draft(
    months: Months,
) -> None:
    await begin(months, at=day(2, 1))
    await months.bill(day(2, 1, 1))
    (first,) = await months.invoices()
    (line,) = await months.lines(first)
    credit = await months.services.credit_notes.create(
        months.organization_id,
        first.id,
        Wanted(
            items=[Item(fee_id=line.id, amount_cents=100_00, precise_amount_cents=Decimal(100_00))],
            parts=Parts(credit_cents=120_00),
        ),
        now=day(2, 2),
    )
    await months.customer(
        "acme", has_wallet=False, billing_configuration={"invoice_grace_period": 30}
    )
    await months.bill(day(3, 1, 1))
    draft = (await months.invoices())[-1]
    assert (draft.status, draft.credit_notes_amount_cents) == ("draft", 120_00)
    await end(months, day(3, 21, 12), "offset")
    await months.bill(day(3, 21, 13))
    await months.services.credit_notes.void(months.organization_id, credit.id, now=day(3, 22))
    final = await months.services.invoices.finalize(
        months.organization_id, draft.id, now=day(4, 10)
    )
    assert final.total_amount_cents == 120_00
    await months.services.credit_notes.finish_due(now=day(4, 10) + 2 * GRACE)
    (note,) = await notes(months, draft)
    assert (note.offset_amount_cents, note.credit_amount_cents) == (note.total_amount_cents, 0)
    await months.check()


async def test_an_invoice_that_is_being_voided_is_not_credited_too(
    months: Months, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(months)
    await months.bill(day(2, 8, 1))
    (first,) = await months.invoices()

    async def dies(*_: Any, **__: Any) -> Any:
        raise OutcomePending

    with monkeypatch.context() as patch:
        patch.setattr(months.services.invoice_book, "void", dies)
        with pytest.raises(OutcomePending):
            await months.services.invoices.void(months.organization_id, first.id, now=day(2, 9))
    await end(months, day(2, 21, 12))
    await months.bill(day(2, 21, 13))
    assert await notes(months, first) == []
    (first,) = [one for one in await months.invoices() if one.id == first.id]
    voided = await months.services.invoices.finish_void(first, now=day(2, 22))
    assert voided.status == "voided"
    assert (await months.book())[AccountCode.CUSTOMER_CREDIT] == 0
    await months.check()


async def test_an_invoice_that_was_voided_meanwhile_is_not_credited(
    months: Months, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(months)
    await months.bill(day(2, 8, 1))
    (first,) = await months.invoices()
    await end(months, day(2, 21, 12))
    found = invoices.find

    async def find_late(connection: Any, *which: Any, locks: bool = False) -> Invoice | None:
        if locks:
            monkeypatch.undo()
            await months.services.invoices.void(months.organization_id, first.id, now=day(2, 21))
        return await found(connection, *which, locks=locks)

    monkeypatch.setattr("invoicing.unused_days.invoices.find", find_late)
    await months.bill(day(2, 21, 13))
    assert (await months.invoices())[0].status == "voided"
    assert await notes(months, first) == []
    await months.check()


async def test_of_an_invoice_whose_taxes_nobody_says_the_note_is_a_draft(months: Months) -> None:
    class Gone:
        async def taxes(self, _question: TaxQuestion, /) -> Any:
            raise TaxServiceFailed("unreachable", "gone")

    await begin(months)
    services = months.services
    desk = Invoices(
        database=services.database,
        book=services.invoice_book,
        credit_notes=services.credit_notes,
        tax_service=Gone(),
    )
    await desk.bill(
        worker_transactions(services.database),
        until=day(2, 8, 1),
        now=day(2, 8, 1),
        organization_id=months.organization_id,
    )
    (failed,) = await months.invoices()
    assert failed.status == "failed"
    await end(months, day(2, 21, 12))
    await months.bill(day(2, 21, 13))
    (draft,) = await notes(months, failed)
    assert draft.status == "draft"
    await services.invoices.retry(months.organization_id, failed.id, now=day(2, 22))
    await services.credit_notes.finish_due(now=day(2, 22) + 2 * GRACE)
    (note,) = await notes(months, failed)
    assert (note.status, note.credit_amount_cents) == ("finalized", 30_00)
    await months.check()


async def test_a_run_that_dies_at_the_note_gives_back_once(
    months: Months, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(months)
    await months.bill(day(2, 8, 1))
    await months.use("acme-1", "tokens", "50", at=day(2, 15))
    await end(months, day(2, 21, 12))
    book = months.services.invoice_book
    before = book.issue_credit_note

    async def dies(*args: Any, **terms: Any) -> Any:
        await before(*args, **terms)
        raise OutcomePending

    with monkeypatch.context() as patch:
        patch.setattr(book, "issue_credit_note", dies)
        assert (await months.bill(day(2, 21, 13))).problems == 1
    assert len(await months.invoices()) == 1
    await months.bill(day(2, 22))
    first, last = sorted(await months.invoices(), key=lambda one: one.number)
    (note,) = await notes(months, first)
    assert (note.credit_status, last.total_amount_cents) == ("consumed", 30_00)
    await months.check()


async def test_without_a_last_invoice_the_credit_is_there_for_later(months: Months) -> None:
    await begin(months)
    await months.bill(day(2, 8, 1))
    (first,) = await months.invoices()
    await end(months, day(2, 21, 12), "credit", on_termination_invoice="skip")
    assert (await months.bill(day(2, 21, 13))).problems == 0
    (note,) = await notes(months, first)
    assert (note.credit_status, note.balance_amount_cents) == ("available", 30_00)
    assert await months.invoices() == [first]
    assert (await months.bill(day(2, 22))).subscriptions == 0
    await months.check()
