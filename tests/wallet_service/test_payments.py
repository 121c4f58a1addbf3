"""Payments of invoices: taken down, booked and counted, once each, whoever dies in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from invoicing import errors, payment_receipts, payments
from invoicing.invoices import Invoice
from invoicing.pages import Window
from invoicing.payment_receipts import ReceiptFilter
from ledger.chart import AccountCode
from tests.conftest import PATIENCE, NewDatabase
from tests.wallet_service.bills import Bills, line_of
from tests.wallet_service.story import open_story
from wallet_service.embedded.redis import Redis
from wallet_service.errors import KeyReused, OutcomePending
from wallet_service.payments import NewPayment
from wallet_service.settings import Settings
from wallet_service.unfinished import GRACE
from wallet_service.wallet_terms import WalletRequest
from wallet_service.wallet_transaction_requests import WalletTransactionRequest


def now() -> datetime:
    return datetime.now(UTC)


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


def paid(cents: int, reference: str = "wire 1") -> NewPayment:
    return NewPayment(amount_cents=cents, reference=reference)


async def receipts(bills: Bills, invoice: Invoice) -> list[str]:
    async with bills.services.database.tenant(bills.organization_id) as connection:
        page = await payment_receipts.find_all(
            connection,
            bills.organization_id,
            ReceiptFilter(invoice_id=invoice.id),
            window=Window(),
        )
    return sorted(receipt.number for receipt in page.items)


async def pay(bills: Bills, invoice: Invoice, cents: int, **terms: Any) -> payments.Payment:
    return await bills.services.payments.create(
        bills.organization_id, invoice.id, paid(cents), now=now(), **terms
    )


async def test_an_invoice_is_paid_in_parts_until_nothing_is_due(bills: Bills) -> None:
    customer = await bills.customer("parts")
    invoice, _ = await bills.invoice(customer, line_of(100_00, "20"))
    assert await bills.house(AccountCode.RECEIVABLE) == 120_00

    first = await pay(bills, invoice, 50_00)
    assert first.payment_status == "succeeded"
    half = await bills.found(invoice)
    assert (half.total_paid_amount_cents, half.total_due_amount_cents) == (50_00, 70_00)
    assert half.payment_status == "pending"
    assert [fee.payment_status for fee in await bills.lines(invoice)] == ["pending"]
    assert await bills.told(invoice.id) == []

    await pay(bills, invoice, 70_00)
    whole = await bills.found(invoice)
    assert (whole.total_due_amount_cents, whole.payment_status) == (0, "succeeded")
    assert [fee.payment_status for fee in await bills.lines(invoice)] == ["succeeded"]
    assert await bills.told(invoice.id) == ["invoice.payment_status_updated"]
    assert await bills.told(first.id) == ["payment.succeeded"]
    assert await bills.house(AccountCode.RECEIVABLE) == 0
    assert await bills.house(AccountCode.PAYMENTS, "manual") == 120_00
    assert [number[-12:] for number in await receipts(bills, invoice)] == [
        "-RCPT-000001",
        "-RCPT-000002",
    ]


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (paid(100_01), {"amount_cents": ["higher_than_remaining_invoice_amount"]}),
        (paid(2**63 - 1), {"amount_cents": ["higher_than_remaining_invoice_amount"]}),
        (paid(0), {"amount_cents": ["value_is_out_of_range"]}),
        (paid(-5), {"amount_cents": ["value_is_out_of_range"]}),
        (paid(5, " "), {"reference": ["value_is_mandatory"]}),
        (paid(5, "x" * 41), {"reference": ["value_is_too_long"]}),
    ],
)
async def test_a_payment_that_is_wrong_is_refused_by_field(
    bills: Bills, new: NewPayment, told: dict[str, list[str]]
) -> None:
    customer = await bills.customer("wrong")
    invoice, _ = await bills.invoice(customer, line_of(100_00))
    with pytest.raises(errors.Invalid) as refused:
        await bills.services.payments.create(bills.organization_id, invoice.id, new, now=now())
    assert refused.value.details == told
    assert (await bills.found(invoice)).total_paid_amount_cents == 0


async def test_drafts_and_invoices_of_others_take_no_payment(bills: Bills) -> None:
    customer = await bills.customer("drafts")
    draft, _ = await bills.invoice(customer, line_of(100_00), status="draft")
    with pytest.raises(errors.NotAllowed):
        await pay(bills, draft, 1)
    with pytest.raises(errors.NotFound):
        await pay(bills, structs.replace(draft, id=UUID(int=7)), 1)


async def test_fifty_at_once_pay_no_more_than_is_due(bills: Bills) -> None:
    customer = await bills.customer("fifty")
    invoice, _ = await bills.invoice(customer, line_of(100_00))
    answers = await asyncio.gather(
        *(pay(bills, invoice, 30_00) for _ in range(50)), return_exceptions=True
    )
    taken = [answer for answer in answers if isinstance(answer, payments.Payment)]
    assert len(taken) == 3
    assert all(isinstance(answer, errors.Invalid) for answer in answers if answer not in taken)
    found = await bills.found(invoice)
    assert (found.total_paid_amount_cents, found.total_due_amount_cents) == (90_00, 10_00)
    assert await bills.house(AccountCode.RECEIVABLE) == 10_00
    assert len(set(await receipts(bills, invoice))) == 3


async def test_fifty_of_one_key_are_one_payment(bills: Bills) -> None:
    customer = await bills.customer("key")
    invoice, _ = await bills.invoice(customer, line_of(100_00))
    terms = {"key": "wire-77", "request": paid(10_00)}
    answers = await asyncio.gather(*(pay(bills, invoice, 10_00, **terms) for _ in range(50)))
    assert len({answer.id for answer in answers}) == 1
    assert (await bills.found(invoice)).total_paid_amount_cents == 10_00
    with pytest.raises(KeyReused):
        await pay(bills, invoice, 11_00, key="wire-77", request=paid(11_00))
    assert await bills.house(AccountCode.RECEIVABLE) == 90_00


@pytest.mark.parametrize("booked", [False, True])
async def test_a_process_that_dies_leaves_nothing_undone(
    bills: Bills, monkeypatch: pytest.MonkeyPatch, booked: bool
) -> None:
    customer = await bills.customer("died")
    invoice, _ = await bills.invoice(customer, line_of(100_00))
    book = bills.services.invoice_book
    before = book.pay

    async def dies(*args: Any, **terms: Any) -> Any:
        if booked:
            await before(*args, **terms)
        raise OutcomePending

    begun = now()
    with monkeypatch.context() as patch:
        patch.setattr(book, "pay", dies)
        with pytest.raises(OutcomePending):
            await pay(bills, invoice, 100_00)
    # What is under way counts: nobody pays it a second time.
    with pytest.raises(errors.Invalid):
        await pay(bills, invoice, 1)
    assert (await bills.found(invoice)).total_paid_amount_cents == 0

    assert await bills.services.payments.finish_due(now=begun) == 0  # too young
    later = now() + GRACE + timedelta(seconds=1)
    assert await bills.services.payments.finish_due(now=later) == 1
    assert await bills.services.payments.finish_due(now=later) == 0
    assert (await bills.found(invoice)).payment_status == "succeeded"
    assert len(await receipts(bills, invoice)) == 1
    assert await bills.house(AccountCode.RECEIVABLE) == 0


async def test_whoever_says_that_it_is_paid_pays_the_rest_once(bills: Bills) -> None:
    customer = await bills.customer("rest")
    invoice, _ = await bills.invoice(customer, line_of(100_00))
    await pay(bills, invoice, 40_00)
    desk = bills.services.payments
    rest = await desk.pay_rest(bills.organization_id, invoice.id, reference="paid", now=now())
    assert rest is not None
    assert rest.amount_cents == 60_00
    again = await desk.pay_rest(bills.organization_id, invoice.id, reference="paid", now=now())
    assert again is None
    assert await bills.house(AccountCode.RECEIVABLE) == 0


async def test_credits_that_were_bought_are_there_when_their_invoice_is_paid(
    bills: Bills,
) -> None:
    customer = await bills.customer("buyer")
    services = bills.services
    wallet = await services.wallets.create(
        bills.organization_id,
        WalletRequest(external_customer_id="buyer", rate_amount="1", currency="EUR"),
        now=now(),
    )
    (bought,) = await services.wallet_transactions.create(
        bills.organization_id,
        WalletTransactionRequest(wallet_id=str(wallet.row.id), paid_credits="100"),
        now=now(),
    )
    fee = line_of(100_00, fee_type="credit", wallet_transaction_id=UUID(str(bought.lago_id)))
    invoice, _ = await bills.invoice(customer, fee, invoice_type="credit", is_booked=False)
    with pytest.raises(errors.Invalid):
        await pay(bills, invoice, 50_00)
    payment = await pay(bills, invoice, 100_00)
    assert payment.payment_status == "succeeded"
    found = await services.wallet_transactions.find(
        bills.organization_id, UUID(str(bought.lago_id)), now=now()
    )
    assert found.status == "settled"
    assert (await bills.found(invoice)).payment_status == "succeeded"
    assert await bills.house(AccountCode.PAYMENTS, "manual") == 100_00
    assert await bills.house(AccountCode.RECEIVABLE) == 0
