"""Credit notes: decided, booked and concluded, once each, whoever dies in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from invoicing import credit_notes, crediting, deductions, errors, invoices
from invoicing.credit_note_amounts import Item, Parts
from invoicing.credit_notes import CreditNote
from invoicing.crediting import Terms
from invoicing.fees import Fee
from invoicing.invoice_credits import InvoiceCredit
from invoicing.invoices import Invoice
from ledger.chart import AccountCode
from tests.conftest import PATIENCE, NewDatabase
from tests.waiting import until_waiting
from tests.wallet_service.bills import Bills, line_of
from tests.wallet_service.story import open_story
from wallet_service.credit_notes import Wanted
from wallet_service.embedded.redis import Redis
from wallet_service.errors import KeyReused, OutcomePending
from wallet_service.payments import NewPayment
from wallet_service.settings import Settings
from wallet_service.unfinished import GRACE


def now() -> datetime:
    return datetime.now(UTC)


def later() -> datetime:
    return now() + GRACE + timedelta(seconds=1)


@pytest.fixture(scope="module")
async def settings(new_database: NewDatabase, redis_server: Redis) -> Settings:
    return Settings(
        database_url=await new_database(),
        redis_url=redis_server.url(),
        allow_unsafe_database=True,
        **PATIENCE,
    )


@pytest.fixture
async def bills(settings: Settings) -> AsyncIterator[Bills]:
    async with open_story(settings) as story:
        yield Bills(story.services, story.organization_id)


def item(fee: Fee, cents: int) -> Item:
    return Item(fee_id=fee.id, amount_cents=cents, precise_amount_cents=Decimal(cents))


def wanted(*items: Item, credit: int = 0, refund: int = 0, offset: int = 0) -> Wanted:
    parts = Parts(credit_cents=credit, refund_cents=refund, offset_cents=offset)
    return Wanted(items=items, parts=parts)


async def issue(bills: Bills, invoice: Invoice, what: Wanted, **terms: Any) -> CreditNote:
    return await bills.services.credit_notes.create(
        bills.organization_id, invoice.id, what, now=now(), **terms
    )


async def pay(bills: Bills, invoice: Invoice, cents: int) -> None:
    new = NewPayment(amount_cents=cents, reference="wire")
    await bills.services.payments.create(bills.organization_id, invoice.id, new, now=now())


async def found(bills: Bills, note: CreditNote) -> CreditNote:
    async with bills.services.database.tenant(bills.organization_id) as connection:
        again = await credit_notes.find(connection, bills.organization_id, note.id)
    assert again is not None
    return again


async def test_a_note_credits_refunds_and_offsets(bills: Bills) -> None:
    invoice, (fee,) = await bills.invoice(
        await bills.customer("all three"), line_of(100_00, "20", coupons="1000")
    )
    assert invoice.total_amount_cents == 108_00
    await pay(bills, invoice, 60_00)

    note = await issue(
        bills, invoice, wanted(item(fee, 50_00), credit=20_00, refund=24_00, offset=10_00)
    )
    assert note.number == f"{invoice.number}-CN001"
    assert (note.sub_total_excluding_taxes_amount_cents, note.taxes_amount_cents) == (45_00, 9_00)
    assert note.coupons_adjustment_amount_cents == 5_00
    assert (note.status, note.credit_status, note.refund_status) == (
        "finalized",
        "available",
        "pending",
    )
    assert note.balance_amount_cents == 20_00
    assert await bills.told(note.id) == ["credit_note.created"]
    after = await bills.found(invoice)
    assert after.total_due_amount_cents == 38_00
    # The refund is in the book when it has succeeded, and not before.
    assert await bills.house(AccountCode.RECEIVABLE) == 38_00
    assert await bills.house(AccountCode.CUSTOMER_CREDIT) == -20_00
    assert await bills.house(AccountCode.PAYMENTS, "manual") == 60_00
    desk = bills.services.credit_notes
    await desk.set_refund_status(bills.organization_id, note.id, "failed", now=now())
    for _ in range(2):
        answers = await asyncio.gather(
            *(
                desk.set_refund_status(bills.organization_id, note.id, "succeeded", now=now())
                for _ in range(25)
            )
        )
        assert {answer.refund_status for answer in answers} == {"succeeded"}
        (note, *_) = answers
    assert note.refunded_at is not None
    assert await bills.house(AccountCode.PAYMENTS, "manual") == 36_00
    assert await bills.house(AccountCode.REVENUE) == -50_00
    assert await bills.house(AccountCode.TAX_PAYABLE) == -9_00
    assert await bills.house(AccountCode.DISCOUNTS) == 5_00
    with pytest.raises(errors.Invalid):
        await desk.set_refund_status(bills.organization_id, note.id, "failed", now=now())


async def test_notes_that_offset_all_that_is_due_pay_the_invoice(bills: Bills) -> None:
    invoice, (fee,) = await bills.invoice(await bills.customer("offset"), line_of(100_00))
    note = await issue(bills, invoice, wanted(item(fee, 100_00), offset=100_00))
    assert (note.credit_status, note.refund_status) == (None, None)
    after = await bills.found(invoice)
    assert (after.payment_status, after.total_due_amount_cents) == ("succeeded", 0)
    assert await bills.told(invoice.id) == ["invoice.payment_status_updated"]
    assert await bills.house(AccountCode.RECEIVABLE) == 0
    assert await bills.house(AccountCode.REVENUE) == 0


async def test_numbers_have_no_gap_and_no_more_is_credited_than_there_was(bills: Bills) -> None:
    invoice, (fee,) = await bills.invoice(await bills.customer("fifty"), line_of(100_00, "25"))
    answers = await asyncio.gather(
        *(issue(bills, invoice, wanted(item(fee, 30_00), credit=37_50)) for _ in range(50)),
        return_exceptions=True,
    )
    notes = [answer for answer in answers if isinstance(answer, CreditNote)]
    assert sorted(note.number[-6:] for note in notes) == ["-CN001", "-CN002", "-CN003"]
    assert all(isinstance(one, errors.Invalid) for one in answers if one not in notes)
    assert await bills.house(AccountCode.CUSTOMER_CREDIT) == -112_50


async def test_fifty_of_one_key_are_one_note(bills: Bills) -> None:
    invoice, (fee,) = await bills.invoice(await bills.customer("key"), line_of(100_00))
    what = wanted(item(fee, 10_00), credit=10_00)
    answers = await asyncio.gather(
        *(issue(bills, invoice, what, key="goodwill", request=what) for _ in range(50))
    )
    assert len({note.id for note in answers}) == 1
    other = wanted(item(fee, 11_00), credit=11_00)
    with pytest.raises(KeyReused):
        await issue(bills, invoice, other, key="goodwill", request=other)
    assert await bills.house(AccountCode.CUSTOMER_CREDIT) == -10_00


async def test_offsets_and_payments_at_once_take_no_more_than_is_due(bills: Bills) -> None:
    invoice, (fee,) = await bills.invoice(await bills.customer("race"), line_of(100_00))
    what = wanted(item(fee, 20_00), offset=20_00)
    await asyncio.gather(
        *(pay(bills, invoice, 30_00) for _ in range(6)),
        *(issue(bills, invoice, what) for _ in range(6)),
        return_exceptions=True,
    )
    after = await bills.found(invoice)
    assert 0 <= after.total_due_amount_cents < 20_00
    assert await bills.house(AccountCode.RECEIVABLE) == after.total_due_amount_cents


@pytest.mark.parametrize("booked", [False, True])
@pytest.mark.parametrize("step", ["issue", "refund", "void"])
async def test_a_process_that_dies_leaves_nothing_undone(
    bills: Bills, monkeypatch: pytest.MonkeyPatch, step: str, booked: bool
) -> None:
    customer = await bills.customer("died")
    invoice, (fee,) = await bills.invoice(customer, line_of(100_00))
    await pay(bills, invoice, 100_00)
    desk, book = bills.services.credit_notes, bills.services.invoice_book
    what = wanted(item(fee, 50_00), credit=30_00, refund=20_00)
    note = await issue(bills, invoice, what) if step != "issue" else None
    name = f"{step}_credit_note"
    before = getattr(book, name)

    async def act() -> CreditNote:
        if note is None:
            return await issue(bills, invoice, what)
        if step == "refund":
            place = bills.organization_id, note.id, "succeeded"
            return await desk.set_refund_status(*place, now=now())
        return await desk.void(bills.organization_id, note.id, now=now())

    async def dies(*args: Any, **terms: Any) -> Any:
        if booked:
            await before(*args, **terms)
        raise OutcomePending

    begun = now()
    with monkeypatch.context() as patch:
        patch.setattr(book, name, dies)
        with pytest.raises(OutcomePending):
            await act()
        if note is not None:  # what is under way comes first, and would be finished
            with pytest.raises(OutcomePending):
                await desk.void(bills.organization_id, note.id, now=now())
    if note is None:  # what is under way counts
        with pytest.raises(errors.Invalid):
            await issue(bills, invoice, wanted(item(fee, 60_00), credit=60_00))
    assert await desk.finish_due(now=begun) == 0  # too young
    assert await desk.finish_due(now=later()) == 1
    assert await desk.finish_due(now=later()) == 0
    credit = await bills.house(AccountCode.CUSTOMER_CREDIT)
    money = await bills.house(AccountCode.PAYMENTS, "manual")
    assert (credit, money) == {
        "issue": (-30_00, 100_00),
        "refund": (-30_00, 80_00),
        "void": (0, 100_00),
    }[step]


async def test_what_nobody_has_used_is_voided_once_and_can_be_credited_again(
    bills: Bills,
) -> None:
    invoice, (fee,) = await bills.invoice(await bills.customer("void"), line_of(100_00, "20"))
    note = await issue(bills, invoice, wanted(item(fee, 100_00), credit=120_00))
    with pytest.raises(errors.Invalid):
        await issue(bills, invoice, wanted(item(fee, 1), credit=1))
    desk = bills.services.credit_notes
    answers = await asyncio.gather(
        *(desk.void(bills.organization_id, note.id, now=now()) for _ in range(20)),
        return_exceptions=True,
    )
    done = [answer for answer in answers if isinstance(answer, CreditNote)]
    assert len(done) == 1
    assert (done[0].credit_status, done[0].balance_amount_cents) == ("voided", 0)
    assert await bills.house(AccountCode.CUSTOMER_CREDIT) == 0
    assert await bills.house(AccountCode.REVENUE) == -100_00
    assert await bills.house(AccountCode.TAX_PAYABLE) == -20_00
    with pytest.raises(errors.NotAllowed):
        await desk.void(bills.organization_id, note.id, now=now())
    again = await issue(bills, invoice, wanted(item(fee, 100_00), credit=120_00))
    assert again.number == f"{invoice.number}-CN002"


async def test_drafts_and_bought_credits_are_not_credited(bills: Bills) -> None:
    customer = await bills.customer("drafts")
    for terms in ({"status": "draft"}, {"invoice_type": "credit"}):
        invoice, (fee,) = await bills.invoice(customer, line_of(100_00), is_booked=False, **terms)
        with pytest.raises(errors.NotAllowed):
            await issue(bills, invoice, wanted(item(fee, 1), credit=1))
    other, (stranger,) = await bills.invoice(customer, line_of(100_00))
    mine, _ = await bills.invoice(customer, line_of(100_00))
    with pytest.raises(errors.NotFound):
        await issue(bills, mine, wanted(item(stranger, 1), credit=1))
    assert other.id != mine.id


# Source: lago-api spec/scenarios/subscriptions/terminate_manually_spec.rb: 90.00 billed, half of it
# paid, 7 of 28 days unused: 15.00 are refunded and 15.00 credited.
@pytest.mark.parametrize(
    ("mode", "parts"),
    [("refund", (15_00, 15_00, 0)), ("credit", (30_00, 0, 0)), ("offset", (0, 0, 30_00))],
)
async def test_days_that_were_not_used_are_given_back(
    bills: Bills, mode: str, parts: tuple[int, int, int]
) -> None:
    customer = await bills.customer("ended")
    invoice, (fee,) = await bills.invoice(customer, line_of(75_00, "20"))
    await pay(bills, invoice, 45_00)
    days = [Item.of_days(fee.id, Decimal(100_00) * 7 / 28)]
    terms = Terms(reason="order_change")
    async with bills.services.database.tenant(bills.organization_id) as connection:
        locked = await invoices.get(connection, bills.organization_id, invoice.id, locks=True)
        assert (
            await crediting.create_for_unused(connection, locked, days, "skip", terms, now=now())
            is None
        )
        note = await crediting.create_for_unused(connection, locked, days, mode, terms, now=now())
    assert note is not None
    assert note.step == "issue"
    desk = bills.services.credit_notes
    await desk.finish(bills.organization_id, note.id, now=now())
    note = await found(bills, note)
    shown = note.credit_amount_cents, note.refund_amount_cents, note.offset_amount_cents
    assert (note.status, shown) == ("finalized", parts)
    assert (await bills.found(invoice)).total_due_amount_cents == 45_00 - parts[2]


async def test_the_note_of_a_draft_is_a_draft_until_the_invoice_is_final(bills: Bills) -> None:
    customer = await bills.customer("draft note")
    draft, (fee,) = await bills.invoice(customer, line_of(80_00, "20"), status="draft")
    async with bills.services.database.tenant(bills.organization_id) as connection:
        note = await crediting.create_for_unused(
            connection, draft, [item(fee, 40_00)], "credit", Terms(), now=now()
        )
        assert note is not None
        assert (note.status, note.step, note.total_amount_cents) == ("draft", None, 48_00)
        with pytest.raises(errors.NotFound):
            await credit_notes.get(connection, bills.organization_id, note.id)
        # By the time that it is final it has a discount of a half.
        final = structs.replace(
            draft,
            status="finalized",
            coupons_amount_cents=40_00,
            taxes_amount_cents=8_00,
            sub_total_excluding_taxes_amount_cents=40_00,
            sub_total_including_taxes_amount_cents=48_00,
            total_amount_cents=48_00,
        )
        cheaper = line_of(80_00, "20", coupons="4000")
        final = structs.replace(
            final,
            applied_taxes=[tax | {"amount_cents": 8_00} for tax in draft.applied_taxes],
        )
        await invoices.save(connection, final)
        await connection.execute(
            "update invoicing.fees set precise_coupons_amount_cents = 4000, "
            "applied_taxes = $2::jsonb where id = $1",
            fee.id,
            cheaper.columns()["applied_taxes"],
        )
        (issued,) = await crediting.finalize_drafts(connection, final, now=now())
        assert await crediting.finalize_drafts(connection, final, now=now()) == []
    assert (issued.step, issued.total_amount_cents) == ("issue", 24_00)
    done = await bills.services.credit_notes.finish(bills.organization_id, note.id, now=now())
    assert done.number == f"{draft.number}-CN001"


async def test_the_drafts_of_one_invoice_set_off_no_more_than_is_due_together(bills: Bills) -> None:
    customer = await bills.customer("two drafts")
    draft, lines = await bills.invoice(customer, line_of(60_00), line_of(60_00), status="draft")
    async with bills.services.database.tenant(bills.organization_id) as connection:
        for fee in lines:
            await crediting.create_for_unused(
                connection, draft, [item(fee, 60_00)], "offset", Terms(), now=now()
            )
        # By the time that it is final, wallets have paid 50.00 of it.
        final = structs.replace(
            draft, status="finalized", prepaid_credit_amount_cents=50_00, total_amount_cents=70_00
        )
        await invoices.save(connection, final)
        issued = await crediting.finalize_drafts(connection, final, now=now())
    assert [(one.offset_amount_cents, one.credit_amount_cents) for one in issued] == [
        (60_00, 0),
        (10_00, 50_00),
    ]
    assert await bills.services.credit_notes.finish_due(now=later()) == 2
    after = await bills.found(draft)
    assert (after.total_due_amount_cents, after.payment_status) == (0, "succeeded")


async def test_credit_that_comes_back_waits_in_the_order_in_which_it_is_used(bills: Bills) -> None:
    customer = await bills.customer("order")
    invoice, lines = await bills.invoice(customer, line_of(10_00), line_of(10_00))
    notes = [await issue(bills, invoice, wanted(item(fee, 10_00), credit=10_00)) for fee in lines]
    # The note with the later id is the older one.
    newer, older = sorted(notes, key=lambda note: note.id)
    back = [
        InvoiceCredit(
            organization_id=bills.organization_id,
            id=note.id,
            invoice_id=invoice.id,
            kind="credit_note",
            source_id=note.id,
            item_code=note.number,
            item_name=note.number,
            amount_cents=1_00,
            amount_currency="EUR",
            before_taxes=False,
            created_at=now(),
        )
        for note in (newer, older)
    ]
    database = bills.services.database

    async def give_back() -> None:
        async with database.tenant(bills.organization_id) as connection:
            await deductions.give_back(
                connection, bills.organization_id, invoice.id, back, now=now()
            )

    async with database.tenant(bills.organization_id) as connection:
        await connection.execute(
            "update invoicing.credit_notes set created_at = created_at - interval '1 day'"
            " where id = $1",
            older.id,
        )
    async with database.tenant(bills.organization_id) as connection:
        await credit_notes.get(connection, bills.organization_id, older.id, locks=True)
        waiting = asyncio.create_task(give_back())
        await until_waiting(database.worker)
        assert not waiting.done()
        # Nobody who waits for the older one holds the newer one.
        await connection.fetch(
            "select id from invoicing.credit_notes where id = $1 for no key update nowait", newer.id
        )
    await waiting
    assert [(await found(bills, note)).balance_amount_cents for note in notes] == [11_00, 11_00]


async def test_a_note_that_is_wrong_stops_no_other(
    bills: Bills, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice, (fee,) = await bills.invoice(await bills.customer("wrong"), line_of(100_00))
    desk, book = bills.services.credit_notes, bills.services.invoice_book

    async def dies(*_: Any, **__: Any) -> Any:
        raise OutcomePending

    with monkeypatch.context() as patch:
        patch.setattr(book, "issue_credit_note", dies)
        for cents in (10_00, 20_00):
            with pytest.raises(OutcomePending):
                await issue(bills, invoice, wanted(item(fee, cents), credit=cents))
    before = book.issue_credit_note

    async def is_wrong(organization: Any, customer: Any, request: Any, **terms: Any) -> Any:
        assert request.credit_cents != 10_00
        return await before(organization, customer, request, **terms)

    with monkeypatch.context() as patch:
        patch.setattr(book, "issue_credit_note", is_wrong)
        patch.setattr("wallet_service.unfinished._BATCH", 1)
        assert await desk.finish_due(now=later()) == 1  # the second, on a page of its own
    assert await desk.finish_due(now=later()) == 1
    assert await bills.house(AccountCode.CUSTOMER_CREDIT) == -30_00


async def test_what_the_book_has_credited_gets_a_note_that_books_nothing(bills: Bills) -> None:
    customer = await bills.customer("booked")
    invoice, _ = await bills.invoice(customer, line_of(10_00))
    async with bills.services.database.tenant(bills.organization_id) as connection:
        note = await crediting.create_booked(connection, invoice, 3_00, Terms(), now=now())
    desk = bills.services.credit_notes
    note = await desk.finish(bills.organization_id, note.id, now=now())
    assert (note.balance_amount_cents, note.number[-6:]) == (3_00, "-CN001")
    assert await bills.house(AccountCode.CUSTOMER_CREDIT) == 0
    await desk.void(bills.organization_id, note.id, now=now())
    assert await bills.house(AccountCode.CUSTOMER_CREDIT) == 3_00
