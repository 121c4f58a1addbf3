"""The billing run: what was used is billed once, settled to the unit, numbered without a gap."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec import structs

from invoicing import add_ons, applied_coupons, billing_entities, coupons, taxes
from invoicing.billing_entities import BillingEntityChanges
from invoicing.errors import NotAllowed
from invoicing.one_off_fees import OneOffFee
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import USD, open_story, paid
from wallet_service.errors import Busy, Unavailable
from wallet_service.jobs.billing import bill_due, finalize_drafts, finish_invoices
from wallet_service.jobs.leader import Deposed, Term
from wallet_service.one_off_invoices import OneOffRequest
from wallet_service.request_keys import RequestKey
from wallet_service.usage_requests import ReverseRequest


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        yield months


async def test_prepaid_usage_is_billed_as_paid_and_the_wallet_has_paid_exactly_the_invoice(months):
    await months.plan("usage", standard("tokens", "0.0011"))
    await months.customer("acme", paid(10))
    await months.subscribe("acme", "usage", "acme-1", at=day(3, 1))
    for number in range(3):
        await months.use("acme-1", "tokens", "1", at=day(3, 10 + number))
    progress = await months.bill(day(4, 1))
    assert (progress.invoices, progress.problems) == (1, 0)
    (invoice,) = await months.invoices()
    assert (invoice.status, invoice.payment_status) == ("finalized", "succeeded")
    assert invoice.fees_amount_cents == 0  # 0.33 of a cent
    (fee,) = await months.lines(invoice)
    assert (str(fee.units), fee.events_count, str(fee.precise_amount_cents)) == ("3", 3, "0.33")
    await months.check()


async def test_what_a_plan_costs_is_paid_from_the_wallet_and_the_rest_is_due(months):
    await months.plan("pro", standard("tokens", "0.5"), amount_cents=2000)
    await months.customer("acme", paid(12))
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    assert (await months.bill(day(4, 1))).invoices == 1
    (invoice,) = await months.invoices()
    lines = await months.lines(invoice)
    assert [(line.fee_type, line.amount_cents) for line in lines] == [
        ("subscription", 2000),
        ("charge", 500),
    ]
    assert invoice.fees_amount_cents == 2500
    # 5.00 were debited in March, the wallet's other 7.00 pay for the plan; 13.00 are left to pay.
    assert (invoice.prepaid_credit_amount_cents, invoice.total_amount_cents) == (1200, 1300)
    assert invoice.prepaid_purchased_credit_amount_cents == 1200
    assert invoice.settlement["debited_minor"] == 5 * USD
    assert invoice.payment_status == "pending"
    await months.check()


async def test_a_second_run_finds_nothing_to_do(months):
    await months.plan("pro", standard("tokens", "0.5"), amount_cents=2000)
    await months.customer("acme", paid(12))
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    await months.bill(day(4, 1))
    before = await months.invoices()
    assert (await months.bill(day(4, 1))).invoices == 0
    assert await months.invoices() == before
    await months.bill(day(5, 1))
    after = await months.invoices()
    assert after[:1] == before
    assert len(after) == 2
    assert [one.number.rsplit("-", 2)[1:] for one in after] == [["001", "001"], ["001", "002"]]


async def test_subscriptions_of_a_customer_are_billed_together_unless_one_wants_its_own(months):
    await months.plan("pro", amount_cents=1000)
    await months.customer("acme", has_wallet=False)
    for name in ("acme-1", "acme-2"):
        await months.subscribe("acme", "pro", name, at=day(3, 1))
    await months.subscribe("acme", "pro", "acme-3", at=day(3, 1), consolidate_invoice=False)
    assert (await months.bill(day(4, 1))).invoices == 2
    amounts = sorted(one.fees_amount_cents for one in await months.invoices())
    assert amounts == [1000, 2000]
    await months.check()


async def draft_of(months: Months):
    await months.plan("pro", standard("tokens", "0.5"), amount_cents=2000)
    await months.customer("acme", paid(12), billing_configuration={"invoice_grace_period": 3})
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    await months.bill(day(4, 1))
    (draft,) = await months.invoices()
    assert (draft.status, draft.number[-6:], draft.total_amount_cents) == ("draft", "-DRAFT", 2000)
    assert str(draft.expected_finalization_date) == "2026-04-04"
    return draft


async def test_a_draft_takes_in_what_comes_late_and_is_then_made_final(months):
    draft = await draft_of(months)
    await months.use("acme-1", "tokens", "2", at=day(3, 31))
    refreshed = await months.services.invoices.refresh(
        months.organization_id, draft.id, now=day(4, 2)
    )
    assert refreshed.fees_amount_cents == 2600
    assert [line.id for line in await months.lines(draft)][:1] == [
        line.id for line in await months.lines(refreshed)
    ][:1]
    final = await months.services.invoices.finalize(months.organization_id, draft.id, now=day(4, 3))
    assert (final.status, final.fees_amount_cents, final.total_amount_cents) == (
        "finalized",
        2600,
        1400,
    )
    assert final.number.endswith("-001-001")
    await months.check()
    with pytest.raises(NotAllowed):
        await months.services.invoices.refresh(months.organization_id, draft.id, now=day(4, 3))


async def test_a_voided_invoice_gives_back_what_wallets_paid_and_may_be_billed_again(months):
    await months.plan("pro", standard("tokens", "0.5"), amount_cents=2000)
    acme = await months.customer("acme", paid(12))
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    await months.bill(day(4, 1))
    (invoice,) = await months.invoices()
    voided = await months.services.invoices.void(months.organization_id, invoice.id, now=day(4, 2))
    assert (voided.status, voided.number) == ("voided", invoice.number)
    await months.check()
    place = months.organization_id, invoice.id
    key = RequestKey(kind="regenerate_invoice", key="again", body_hash=b"")
    made = await asyncio.gather(
        *(months.services.invoices.regenerate(*place, key=key, now=day(4, 2)) for _ in range(3))
    )
    assert len({one.id for one in made}) == 1
    again = await months.services.invoices.regenerate(*place, key=key, now=day(4, 2))
    assert again.id == made[0].id
    assert (again.fees_amount_cents, again.total_amount_cents) == (2500, 1300)
    assert again.number.endswith("-002")
    assert again.voided_invoice_id == invoice.id
    with pytest.raises(NotAllowed):
        await months.services.invoices.regenerate(months.organization_id, invoice.id, now=day(4, 2))
    await months.check()
    assert acme == again.customer_id


async def test_add_ons_are_billed_by_hand_and_no_wallet_pays_for_them(months):
    await months.customer("acme", paid(50), currency="USD")
    async with months.services.database.tenant(months.organization_id) as connection:
        setup = add_ons.AddOnChanges(
            code="setup", name="Setup", amount_cents=1250, amount_currency="USD"
        )
        await add_ons.create(connection, months.organization_id, setup, now=day(1, 1))
    request = OneOffRequest(
        external_customer_id="acme",
        fees=[OneOffFee(add_on_code="setup", units=Decimal("1.5"))],
    )
    invoice = await months.services.invoices.create_one_off(
        months.organization_id, request, now=day(4, 1)
    )
    assert (invoice.fees_amount_cents, invoice.total_amount_cents) == (1875, 1875)
    assert (invoice.status, invoice.payment_status) == ("finalized", "pending")
    await months.check()


async def test_what_comes_late_is_a_line_of_the_next_invoice_that_names_what_it_corrects(months):
    await months.plan("usage", standard("tokens", "0.5", min_amount_cents=200))
    await months.customer("acme", paid(100))
    await months.subscribe("acme", "usage", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10), key="wrong")
    await months.use("acme-1", "tokens", "4", at=day(3, 11))
    await months.bill(day(4, 1))
    await months.use("acme-1", "tokens", "3", at=day(3, 31))  # sent in April, of March
    await months.use("acme-1", "tokens", "20", at=day(4, 3))
    await months.bill(day(5, 1))
    march, april = await months.invoices()
    (first,) = await months.lines(march)
    assert (first.amount_cents, first.debited_minor) == (700, 7 * USD)
    usage, late = await months.lines(april)
    assert (usage.amount_cents, usage.original_fee_id) == (1000, None)
    assert (late.amount_cents, late.units, late.debited_minor) == (150, 3, 3 * USD // 2)
    assert (late.original_fee_id, late.from_datetime) == (first.id, day(3, 1))
    assert (april.fees_amount_cents, april.total_amount_cents) == (1150, 0)
    await months.check()
    reverse = ReverseRequest(transaction_id="undo")
    await months.services.usage.reverse(months.organization_id, "wrong", reverse, now=day(5, 2))
    await months.use("acme-1", "tokens", "40", at=day(5, 3))
    await months.bill(day(6, 1))
    may = (await months.invoices())[-1]
    usage, late = await months.lines(may)
    assert (usage.amount_cents, late.amount_cents) == (2000, -500)
    assert late.original_fee_id == first.id
    assert (may.fees_amount_cents, may.total_amount_cents) == (1500, 0)
    await months.check()
    await months.bill(day(7, 1))
    assert [line.amount_cents for line in await months.lines((await months.invoices())[-1])] == [
        200
    ]


async def number_by(months: Months, numbering: str) -> None:
    async with months.services.database.tenant(months.organization_id) as connection:
        await billing_entities.ensure_default(connection, months.organization_id, now=day(1, 1))
        await billing_entities.update(
            connection,
            months.organization_id,
            "default",
            BillingEntityChanges(document_numbering=numbering, document_number_prefix="BENT-11"),
            now=day(1, 1),
        )


async def test_numbers_go_on_in_both_series_when_a_billing_entity_changes_how_it_numbers(months):
    """Source: Lago, invoice_numbering_spec: …-001-003, BENT-11-202310-010, BENT-11-001-005."""
    await months.plan("pro", amount_cents=1000)
    for name in ("acme", "bolt"):
        await months.customer(name, has_wallet=False)
        await months.subscribe(name, "pro", name, at=day(3, 1))
    # A customer whose number looks like a month shares no invoice number with that month.
    await months.services.database.worker.execute(
        "update invoicing.customers set sequential_id = 202605 where external_id = 'bolt'"
    )
    numbers: list[str] = []
    for month, numbering in ((4, "per_customer"), (5, "per_billing_entity"), (6, "per_customer")):
        await number_by(months, numbering)
        await months.bill(day(month, 1))
        new = (await months.invoices())[-2:]
        numbers += sorted((one.number for one in new), key=lambda one: (len(one), one))
    assert numbers == [
        "BENT-11-001-001",
        "BENT-11-0202605-001",
        "BENT-11-202605-003",
        "BENT-11-202605-004",
        "BENT-11-001-003",
        "BENT-11-0202605-003",
    ]


async def test_a_leader_that_was_replaced_writes_no_invoice(months):
    await months.plan("pro", amount_cents=1000)
    await months.customer("acme", has_wallet=False)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    with pytest.raises(Deposed):
        await bill_due(months.services, Term(-1))
    assert await months.invoices() == []


async def test_the_worker_makes_drafts_final_when_their_grace_period_is_over(months):
    draft = await draft_of(months)
    term = Term(0)
    assert draft.expected_finalization_date < datetime.now(UTC).date()
    assert await finalize_drafts(months.services, term) == 1
    (final,) = await months.invoices()
    assert (final.status, final.total_amount_cents) == ("finalized", 1300)
    assert await finalize_drafts(months.services, term) == 0
    await months.check()


async def test_what_was_begun_and_not_finished_is_finished_by_the_worker(months, monkeypatch):
    draft = await draft_of(months)

    async def away(*_, **__):
        raise Busy

    with monkeypatch.context() as broken:
        broken.setattr(months.services.invoice_book, "settle", away)
        with pytest.raises(Unavailable):
            await months.services.invoices.finalize(months.organization_id, draft.id, now=day(4, 3))
    assert [one.status for one in await months.invoices()] == ["finalizing"]
    states = months.services.invoice_states
    for change in (months.services.invoices.refresh, states.delete_draft):
        with pytest.raises(NotAllowed):  # it is there, and no draft any more
            await change(months.organization_id, draft.id, now=day(4, 3))
    assert await finish_invoices(months.services, Term(0)) == 1
    (final,) = await months.invoices()
    assert final.status == "finalized"
    with monkeypatch.context() as broken:
        broken.setattr(months.services.invoice_book, "void", away)
        with pytest.raises(Unavailable):
            await months.services.invoices.void(months.organization_id, final.id, now=day(4, 3))
    assert await finish_invoices(months.services, Term(0)) == 1
    assert [one.status for one in await months.invoices()] == ["voided"]
    await months.check()


async def test_an_invoice_of_nothing_is_closed_where_nothing_is_not_sent(months):
    await months.plan("usage", standard("tokens", "1"))
    await months.customer("acme", has_wallet=False, finalize_zero_amount_invoice="skip")
    await months.subscribe("acme", "usage", "acme-1", at=day(3, 1))
    await months.bill(day(4, 1))
    await months.use("acme-1", "tokens", "1", at=day(4, 2))
    await months.bill(day(5, 1))
    closed, final = await months.invoices()
    assert (closed.status, closed.number) == ("closed", "")
    assert (final.status, final.number[-8:]) == ("finalized", "-001-001")
    await months.check()


async def test_coupons_come_before_taxes_and_wallets_pay_the_rest_and_a_void_undoes_all(months):
    await months.plan("pro", amount_cents=10_000)
    await months.customer("acme", paid(50), currency="USD")
    async with months.services.database.tenant(months.organization_id) as connection:
        place = months.organization_id
        vat = taxes.TaxChanges(
            code="vat", name="VAT", rate=Decimal(20), applied_to_organization=True
        )
        await taxes.create(connection, place, vat, now=day(1, 1))
        ten = coupons.CouponChanges(
            code="ten",
            name="Ten",
            coupon_type="fixed_amount",
            amount_cents=1000,
            amount_currency="USD",
            frequency="once",
        )
        await coupons.create(connection, place, ten, now=day(1, 1))
        await applied_coupons.apply_coupon(
            connection,
            place,
            external_customer_id="acme",
            coupon_code="ten",
            terms=applied_coupons.Terms(),
            now=day(1, 1),
        )
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.bill(day(4, 1))
    (invoice,) = await months.invoices()
    assert (
        invoice.coupons_amount_cents,
        invoice.sub_total_excluding_taxes_amount_cents,
        invoice.taxes_amount_cents,
        invoice.prepaid_credit_amount_cents,
        invoice.total_amount_cents,
    ) == (1000, 9000, 1800, 5000, 5800)
    await months.check()
    await months.services.invoices.void(place, invoice.id, now=day(4, 2))
    await months.check()
    again = await months.services.invoices.regenerate(place, invoice.id, now=day(4, 2))
    assert (again.coupons_amount_cents, again.total_amount_cents) == (1000, 5800)
    await months.bill(day(5, 1))
    last = (await months.invoices(invoice_type="subscription"))[-1]
    assert max(one.total_amount_cents for one in await months.invoices()) == 12_000
    assert last.currency == "USD"
    await months.check()
