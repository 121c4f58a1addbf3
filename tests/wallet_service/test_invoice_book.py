"""The book of invoices over every engine: asked twice and by many, it books once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from invoicing.settlements import CreditNoteRequest, Payable, PayRequest, SettleRequest, VoidRequest
from ledger.chart import AccountCode, house_account_id
from ledger.ids import new_uuid
from tests.wallet_service.till import Till
from wallet_service.decision import Asset
from wallet_service.errors import Invalid, KeyReused
from wallet_service.invoice_book import InvoiceBook

CENT = 100
"""The tills' dollar counts hundredths of a cent here."""


class Office:
    """An invoice book over a till, and a customer with a wallet."""

    def __init__(self, till: Till, committers: list[Any]) -> None:
        self.till = till
        till.asset = Asset("USD", 4, till.asset.ledger)
        self.books = [
            InvoiceBook(
                database=till.database,
                committer=committer,
                rates=SimpleNamespace(asset=self._asset),  # type: ignore[arg-type]
            )
            for committer in committers
        ]
        self.committer = committers[0]
        self.customer = till.new_customer()

    async def _asset(self, *_: Any, **__: Any) -> Asset:
        return self.till.asset

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def open(self, amount: int) -> None:
        await self.committer.submit(self.till.open_wallet(self.customer, amount))

    def request(self, cents: int, **terms: Any) -> SettleRequest:
        fields: dict[str, Any] = {
            "invoice_id": new_uuid(self.now()),
            "revision": 1,
            "currency": "USD",
            "invoice_type": "subscription",
            "fees_minor": cents * CENT,
            "uses_wallets": True,
            "payables": [
                Payable(fee_id=UUID(int=1), fee_type="subscription", amount_minor=cents * CENT)
            ],
        }
        return SettleRequest(**fields | terms)

    async def settle(self, request: SettleRequest, *, book: int = 0) -> Any:
        place = self.till.organization_id, self.customer
        return await self.books[book].settle(*place, request, now=self.now())

    async def house(self, code: AccountCode, detail: str = "") -> int:
        """Debits less credits."""
        account = house_account_id(ledger=self.till.asset.ledger, code=code, detail=detail)
        balance = (await self.till.ledger.balances([account]))[account]
        return balance.debits_posted - balance.credits_posted


@pytest.fixture
async def office(till: Till) -> AsyncIterator[Office]:
    async with till.worker() as one, till.worker() as other:
        yield Office(till, [one, other])


async def test_however_often_an_invoice_is_settled_it_is_booked_once(office: Office):
    await office.open(100_000)
    request = office.request(300)
    answers = await asyncio.gather(
        *(office.settle(request, book=number % 2) for number in range(10))
    )
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].wallets_minor == 30_000
    assert (await office.till.balances(office.customer))[0] == 70_000
    assert await office.house(AccountCode.REVENUE) == -30_000
    # What was debited may be counted anew; the first answer stands.
    again = office.request(300, invoice_id=request.invoice_id, debited_minor=5)
    assert await office.settle(again) == answers[0]


async def test_a_revision_with_other_amounts_is_refused(office: Office):
    request = office.request(300)
    await office.settle(request)
    with pytest.raises(KeyReused):
        await office.settle(office.request(301, invoice_id=request.invoice_id))


async def test_many_invoices_at_once_take_no_more_than_there_is(office: Office):
    await office.open(50_050)
    settled = await asyncio.gather(
        *(office.settle(office.request(100), book=number % 2) for number in range(8))
    )
    paid = sum(one.wallets_minor for one in settled)
    due = sum(one.due_cents for one in settled) * CENT
    assert paid == 50_000
    assert (await office.till.balances(office.customer))[0] == 50
    assert await office.house(AccountCode.RECEIVABLE) == due == 30_000


async def test_a_customer_without_wallets_owes_all_of_it_and_pays_once(office: Office):
    request = office.request(300)
    assert (await office.settle(request)).due_cents == 300
    payment = PayRequest(
        payment_id=new_uuid(office.now()),
        invoice_id=request.invoice_id,
        currency="USD",
        amount_cents=300,
        provider="acme_pay",
    )
    place = office.till.organization_id, office.customer, payment
    first = await office.books[0].pay(*place, now=office.now())
    assert await office.books[1].pay(*place, now=office.now()) == first
    assert await office.house(AccountCode.RECEIVABLE) == 0
    assert await office.house(AccountCode.PAYMENTS, "acme_pay") == 30_000


async def test_an_invoice_is_taken_back_once(office: Office):
    await office.open(10_000)
    request = office.request(300, coupons_minor=5_000, taxes_minor=2_000)
    settlement = await office.settle(request)
    assert (await office.till.balances(office.customer))[0] == 0
    void = VoidRequest(invoice_id=request.invoice_id, currency="USD", settlement=settlement)
    place = office.till.organization_id, office.customer, void
    answers = await asyncio.gather(
        *(office.books[number % 2].void(*place, now=office.now()) for number in range(4))
    )
    assert all(answer == answers[0] for answer in answers)
    assert (await office.till.balances(office.customer))[0] == 10_000
    for code in (AccountCode.RECEIVABLE, AccountCode.REVENUE, AccountCode.DISCOUNTS):
        assert await office.house(code) == 0


async def test_a_credit_note_is_booked_refunded_and_taken_back_once_each(office: Office):
    request = CreditNoteRequest(
        credit_note_id=new_uuid(office.now()),
        invoice_id=new_uuid(office.now()),
        currency="USD",
        items_cents=100,
        taxes_cents=20,
        credit_cents=70,
        refund_cents=30,
        offset_cents=20,
    )
    place = office.till.organization_id, office.customer, request
    for book in office.books:
        await book.issue_credit_note(*place, now=office.now())
        await book.refund_credit_note(*place, now=office.now())
    assert await office.house(AccountCode.CUSTOMER_CREDIT) == -7_000
    assert await office.house(AccountCode.RECEIVABLE) == -2_000
    assert await office.house(AccountCode.REVENUE) == 10_000
    for book in office.books:
        await book.void_credit_note(*place, balance_cents=70, now=office.now())
    assert await office.house(AccountCode.CUSTOMER_CREDIT) == 0


async def test_a_currency_or_a_provider_that_is_none_is_refused(office: Office):
    with pytest.raises(Invalid):
        await office.settle(office.request(1, currency="TOKEN"))
    payment = PayRequest(
        payment_id=UUID(int=1),
        invoice_id=UUID(int=2),
        currency="USD",
        amount_cents=1,
        provider="No Such!",
    )
    with pytest.raises(Invalid):
        await office.books[0].pay(
            office.till.organization_id, office.customer, payment, now=office.now()
        )
