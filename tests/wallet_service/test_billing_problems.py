"""What goes wrong with one invoice or customer, and keeps no other waiting."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

import pytest
from msgspec import structs

from invoicing import billing_entities, customers, invoices
from invoicing.billing_entities import BillingEntityChanges
from invoicing.errors import Invalid
from invoicing.invoice_conclusion import concluded, fixed
from invoicing.invoice_totals import settle_request
from invoicing.invoices import Invoice
from invoicing.settlements import Settlement
from tests.invoicing.billed import invoice_of
from tests.wallet_service.bills import line_of
from tests.wallet_service.months import Months, day
from tests.wallet_service.story import open_story
from wallet_service import billing, billing_rounds, invoice_finishing
from wallet_service.billing_rounds import Run
from wallet_service.invoice_writing import Raced
from wallet_service.jobs import billing as jobs
from wallet_service.jobs.billing import finalize_drafts, finish_invoices
from wallet_service.jobs.leader import Term

CUSTOMERS = ("ada", "bob", "cyd", "dan", "eve")
MOMENT = timedelta(seconds=1)


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        yield Months(story)


async def drafts(months: Months) -> list[Invoice]:
    """A draft of each customer, whose grace period is over."""
    await months.plan("pro", amount_cents=1000)
    for name in CUSTOMERS:
        terms = {"billing_configuration": {"invoice_grace_period": 3}}
        await months.customer(name, has_wallet=False, **terms)
        await months.subscribe(name, "pro", name, at=day(3, 1))
    await months.bill(day(4, 1))
    found = await months.invoices(status="draft")
    assert len(found) == len(CUSTOMERS)
    return found


async def test_drafts_that_cannot_be_made_final_keep_no_other_waiting(months, monkeypatch):
    bad = {one.id for one in (await drafts(months))[:3]}
    finalize = months.services.invoices.finalize

    async def fails_for_some(organization_id, invoice_id, *, now):
        if invoice_id in bad:
            raise RuntimeError("nobody has thought of it")
        return await finalize(organization_id, invoice_id, now=now)

    monkeypatch.setattr(months.services.invoices, "finalize", fails_for_some)
    monkeypatch.setattr(jobs, "_PORTION", 2)
    assert await finalize_drafts(months.services, Term(0)) == 2
    left = await months.invoices(status="draft")
    assert {one.id for one in left} == bad


async def test_a_draft_waits_until_its_day_has_come_where_the_customer_lives(months):
    await months.plan("pro", amount_cents=1000)
    terms = {"billing_configuration": {"invoice_grace_period": 3}}
    for name, zone in (("east", "Pacific/Kiritimati"), ("west", "Pacific/Pago_Pago")):
        await months.customer(name, has_wallet=False, timezone=zone, **terms)
        await months.subscribe(name, "pro", name, at=day(3, 1, 15))
    await months.bill(day(4, 2))
    east, west = sorted(
        await months.invoices(status="draft"), key=lambda one: one.timezone != "Pacific/Kiritimati"
    )
    expected = [east.expected_finalization_date, west.expected_finalization_date]
    begins = [
        datetime.combine(date, time(), tzinfo=one.zone).astimezone(UTC)
        for date, one in zip(expected, (east, west), strict=True)
    ]
    for at, over in (
        (begins[0] - MOMENT, []),
        (begins[0], [east.id]),
        (begins[1] - MOMENT, [east.id]),
        (begins[1], [east.id, west.id]),
    ):
        async with months.services.database.worker.acquire() as connection:
            found = await invoices.find_waiting(
                connection, statuses=["draft"], before=day(5, 1), over_at=at, limit=9
            )
        assert {one.id for one in found} == set(over)


async def finalizing(months: Months, monkeypatch) -> list[Invoice]:
    """The drafts, fixed, and nobody has settled them."""
    found = await drafts(months)

    async def nobody(*_, **__):
        raise RuntimeError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(months.services.invoice_book, "settle", nobody)
        for one in found:
            with pytest.raises(Exception, match="settled in a moment"):
                await months.services.invoices.finalize(
                    months.organization_id, one.id, now=day(4, 4)
                )
    return await months.invoices(status="finalizing")


async def test_invoices_that_cannot_be_settled_keep_no_other_waiting(months, monkeypatch):
    bad = {one.id for one in (await finalizing(months, monkeypatch))[:3]}
    settle = months.services.invoice_book.settle

    async def fails_for_some(organization_id: UUID, customer_id: UUID, request, *, now):
        if request.invoice_id in bad:
            raise RuntimeError("nobody has thought of it")
        return await settle(organization_id, customer_id, request, now=now)

    monkeypatch.setattr(months.services.invoice_book, "settle", fails_for_some)
    monkeypatch.setattr(jobs, "_PORTION", 2)
    assert await finish_invoices(months.services, Term(0)) == 2
    left = await months.invoices(status="finalizing")
    assert {one.id for one in left} == bad


async def test_an_invoice_that_cannot_be_concluded_keeps_no_other_waiting(months, monkeypatch):
    bad = (await finalizing(months, monkeypatch))[1].id

    def fails_for_one(invoice, *arguments, **named):
        if invoice.id == bad:
            raise RuntimeError("nobody has thought of it")
        return concluded(invoice, *arguments, **named)

    with monkeypatch.context() as broken:
        broken.setattr(invoice_finishing, "concluded", fails_for_one)
        assert await finish_invoices(months.services, Term(0)) == len(CUSTOMERS) - 1
    (left,) = await months.invoices(status="finalizing")
    assert left.id == bad
    assert await finish_invoices(months.services, Term(0)) == 1
    await months.check()


async def test_after_a_moment_that_somebody_else_has_changed_nothing_of_the_customer_is_billed(
    months, monkeypatch
):
    for code, amount in (("one", 1000), ("two", 1500), ("three", 1900)):
        await months.plan(code, amount_cents=amount, pay_in_advance=True)
    await months.customer("acme", has_wallet=False, currency="USD")
    await months.subscribe("acme", "one", "sub", at=day(8, 5, 9))
    await months.bill(day(8, 5, 10))
    await months.subscribe("acme", "two", "sub", at=day(8, 12, 9))
    await months.subscribe("acme", "three", "sub", at=day(8, 13, 9))
    write, calls = billing.write, 0

    async def raced_at_first(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Raced
        return await write(*arguments, **named)

    monkeypatch.setattr(billing, "write", raced_at_first)
    assert (await months.bill(day(8, 13, 10))).invoices == 0
    assert (await months.bill(day(8, 13, 10))).invoices == 2
    fees = [
        [line.amount_cents for line in await months.lines(one) if line.fee_type == "subscription"]
        for one in await months.invoices()
    ]
    assert [one for one in fees if one] == [[871], [968], [1165]]


async def test_no_two_portions_have_the_same_subscription(months, monkeypatch):
    await months.plan("pro", amount_cents=1000)
    for name in CUSTOMERS[:3]:
        await months.customer(name, has_wallet=False)
    for number in range(3):
        for name in CUSTOMERS[:3]:
            await months.subscribe(name, "pro", f"{name}-{number}", at=day(3, 1 + number))
    monkeypatch.setattr(billing_rounds, "_PORTION", 2)
    run = Run(until=day(4, 1), now=day(4, 1), organization_id=months.organization_id)
    given: list[UUID] = []
    async with months.services.database.worker.acquire() as connection, connection.transaction():
        while (due := await run.find_due(connection, corrects=False)) is not None:
            given += sorted({one.subscription.id for one in due})
    assert len(given) == len(set(given)) == 9


async def test_a_draft_that_is_computed_anew_is_of_whoever_bills_the_customer_now(months):
    made = await drafts(months)
    owner = await months.customer(CUSTOMERS[0], has_wallet=False)
    (draft,) = [one for one in made if one.customer_id == owner]
    place = months.organization_id
    async with months.services.database.tenant(place) as connection:
        changes = BillingEntityChanges(code="other", name="Other", document_number_prefix="OTHER-1")
        other = await billing_entities.create(connection, place, changes, now=day(4, 2))
        moved = customers.CustomerChanges(billing_entity_code="other")
        await customers.upsert(connection, place, CUSTOMERS[0], moved, now=day(4, 2))
    await months.services.invoices.refresh(place, draft.id, now=day(4, 2))
    (after,) = [one for one in await months.invoices() if one.id == draft.id]
    assert (after.billing_entity_id, after.number) == (other.id, "OTHER-1-DRAFT")
    assert after.entity_as_billing is not None
    assert after.entity_as_billing["id"] == str(after.billing_entity_id)
    final = await months.services.invoices.finalize(place, draft.id, now=day(4, 4))
    assert final.number.startswith("OTHER-1-")
    await months.check()
    # Who counts by itself has a prefix of its own, also one that another had when it counted.
    async with months.services.database.tenant(place) as connection:
        renamed = BillingEntityChanges(document_number_prefix="OTHER-2")
        await billing_entities.update(connection, place, "other", renamed, now=day(4, 5))
        for prefix in ("other-1", "OTHER-2"):
            third = BillingEntityChanges(code="third", name="Third", document_number_prefix=prefix)
            with pytest.raises(Invalid) as refused:
                await billing_entities.create(connection, place, third, now=day(4, 5))
            assert refused.value.details == {"document_number_prefix": ["value_already_exist"]}
            changed = BillingEntityChanges(document_number_prefix=prefix)
            with pytest.raises(Invalid):
                await billing_entities.update(connection, place, "default", changed, now=day(4, 5))
        again = BillingEntityChanges(document_number_prefix="OTHER-1")
        await billing_entities.update(connection, place, "other", again, now=day(4, 5))


def settled(due_cents: int) -> Settlement:
    return Settlement(
        **dict.fromkeys(
            (
                *("debited_minor", "overage_minor", "wallets_minor", "refunded_minor"),
                *("credited_minor", "rounding_minor", "prepaid_cents"),
                *("prepaid_granted_cents", "prepaid_purchased_cents"),
            ),
            0,
        ),
        due_cents=due_cents,
    )


@pytest.mark.parametrize(("due", "status"), [(0, "closed"), (20, "finalized")])
def test_an_invoice_that_asks_for_money_is_never_closed(due: int, status: str):
    """Lines of 1.00 and of -1.00, and only the first of them is taxed."""
    one = structs.replace(
        invoice_of(line_of(0)),
        invoice_type="subscription",
        fees_amount_cents=0,
        taxes_amount_cents=due,
        sub_total_including_taxes_amount_cents=due,
        total_amount_cents=due,
    )
    invoice = fixed(one, settle_request(one, [], paid={}), b"", now=day(4, 1))
    after = concluded(invoice, settled(due), skips_zero=True, now=day(4, 1))
    assert (after.status, after.total_amount_cents) == (status, due)
