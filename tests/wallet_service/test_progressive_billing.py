"""Progressive billing: usage is billed when a threshold is crossed, and never twice."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from msgspec import structs

from invoicing import applied_coupons, coupons, taxes
from invoicing.charge_changes import ChargeChanges
from invoicing.errors import NotAllowed
from invoicing.progressive_billing import crossed
from invoicing.usage_thresholds import ThresholdChanges, UsageThreshold
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from tests.wallet_service.test_billing_crashes import Fuse, Killed, fused
from tests.wallet_service.test_billing_taxes import Elsewhere, asking
from wallet_service.errors import Unavailable
from wallet_service.invoice_book import InvoiceBook
from wallet_service.invoice_finishing import worker_transactions
from wallet_service.invoice_states import CreditedParts
from wallet_service.progressive_billing import ProgressiveBilling
from wallet_service.usage_requests import ReverseRequest

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def threshold(amount: int, *, recurring: bool = False) -> UsageThreshold:
    return UsageThreshold(
        id=UUID(int=amount),
        amount_cents=amount,
        recurring=recurring,
        created_at=NOW,
        updated_at=NOW,
    )


@pytest.mark.parametrize(
    ("before", "total", "amounts"),
    [
        (0, 99, []),
        (0, 100, [100]),
        (100, 199, []),
        (50, 249, [100, 200]),
        (200, 249, []),
        (200, 250, [50]),
        (250, 299, []),
        (260, 410, [50]),
        (0, 260, [100, 200, 50]),
    ],
)
def test_thresholds_are_crossed_once_and_the_recurring_one_again_and_again(before, total, amounts):
    known = [threshold(100), threshold(200), threshold(50, recurring=True)]
    assert [one.amount_cents for one in crossed(known, before, total)] == amounts


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        await months.plan(
            "pro",
            standard("tokens", "0.0002"),
            amount_cents=3100,
            wanted_thresholds=[ThresholdChanges(amount_cents=20_000)],
        )
        yield months


async def look(months: Months, at: datetime) -> int:
    opened = worker_transactions(months.services.database)
    return await months.services.invoices.progressive.run(opened, now=at)


@pytest.mark.parametrize("funding", [0, 250, 1000])
async def test_the_period_is_billed_less_what_was_billed_when_a_threshold_was_crossed(
    months, funding
):
    """Source: Lago, progressive_billing_spec: 200.00, then 431.00 - 200.00 = 231.00."""
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "900000", at=day(3, 10))
    assert await look(months, day(3, 11)) == 0
    await months.use("acme-1", "tokens", "100000", at=day(3, 11))
    assert await look(months, day(3, 12)) == 1
    assert await look(months, day(3, 12, 1)) == 0
    await months.use("acme-1", "tokens", "1000000", at=day(3, 20))
    assert await look(months, day(3, 21)) == 0
    await months.bill(day(4, 1))
    interim = (await months.invoices(invoice_type="progressive_billing"))[0]
    final = (await months.invoices(invoice_type="subscription"))[0]
    assert interim.fees_amount_cents == 20_000
    assert final.fees_amount_cents == 43_100
    assert final.progressive_billing_credit_amount_cents == 20_000
    assert final.sub_total_including_taxes_amount_cents == 23_100
    due = interim.total_amount_cents + final.total_amount_cents
    assert due == max(43_100 - funding * 100, 0)
    await months.check()
    assert await look(months, day(4, 2)) == 0
    await months.bill(day(5, 1))  # what was billed ahead did not come late
    last = (await months.invoices(invoice_type="subscription"))[-1]
    assert last.fees_amount_cents == 3100


@pytest.mark.parametrize("funding", [0, 1000])
async def test_what_comes_late_for_a_period_that_was_billed_ahead_counts_its_debits_once(
    months, funding
):
    """Also where all of a line was taken back that had been billed ahead."""
    customer = await months.customer(
        "acme", *([paid(funding)] if funding else []), has_wallet=funding > 0
    )
    await months.metric("calls")
    await months.plan(
        "calls",
        standard("tokens", "0.0002", min_amount_cents=500),
        standard("calls", "1"),
        wanted_thresholds=[ThresholdChanges(amount_cents=20_000)],
    )
    await months.subscribe("acme", "calls", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "5000", at=day(3, 2))
    await months.use("acme-1", "calls", "240", at=day(3, 2), key="calls")
    assert await look(months, day(3, 3)) == 1
    await months.services.usage.reverse(
        months.organization_id, "calls", ReverseRequest(transaction_id="back"), now=day(3, 4)
    )
    await months.bill(day(4, 1))
    await months.services.credit_notes.finish_due(now=day(4, 2))
    final = (await months.invoices(invoice_type="subscription"))[0]
    assert (final.fees_amount_cents, final.debited_amount_minor) == (
        500,
        -240 * 10**9 if funding else 0,
    )
    await months.use("acme-1", "tokens", "50000", at=day(3, 20))
    await months.bill(day(5, 1))
    late = (await months.invoices(invoice_type="subscription"))[-1]
    assert sorted(line.amount_cents for line in await months.lines(late)) == [-400, 500, 1000]
    assert late.debited_amount_minor == (10 * 10**9 if funding else 0)
    await months.check()
    due = sum(one.total_amount_cents for one in await months.invoices())
    credit = await months.story.read(
        "select sum(balance_amount_cents)::bigint from invoicing.credit_notes"
    )
    out_of_pocket = due - credit
    if funding:
        out_of_pocket += (1000 - await months.left(customer)) * 100
    assert out_of_pocket == 1100 + 500  # March and April


@pytest.mark.parametrize("funding", [0, 1000])
async def test_a_draft_that_takes_off_what_is_voided_is_computed_anew(months, funding):
    await months.customer(
        "acme",
        *([paid(funding)] if funding else []),
        has_wallet=funding > 0,
        billing_configuration={"invoice_grace_period": 3},
    )
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "1000000", at=day(3, 2))
    assert await look(months, day(3, 3)) == 1
    await months.bill(day(4, 1))
    interim, draft = await months.invoices()
    assert (draft.status, draft.progressive_billing_credit_amount_cents) == ("draft", 20_000)
    desk, place = months.services.invoices, months.organization_id
    await desk.void(place, interim.id, now=day(4, 2))
    (_, draft) = await months.invoices()
    assert (draft.status, draft.progressive_billing_credit_amount_cents) == ("draft", 0)
    assert draft.sub_total_including_taxes_amount_cents == 23_100
    final = await desk.finalize(place, draft.id, now=day(4, 4))
    assert final.total_amount_cents == max(23_100 - funding * 100, 0)
    await months.check()


async def test_what_was_given_back_of_a_threshold_is_not_taken_off_again_by_who_bills_again(months):
    await months.plan(
        "bulk",
        volume("tokens", (0, 1000, "0.2"), (1001, None, "0.05")),
        wanted_thresholds=[ThresholdChanges(amount_cents=20_000)],
    )
    await months.customer("acme", has_wallet=False)
    await months.subscribe("acme", "bulk", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "1000", at=day(3, 2))
    assert await look(months, day(3, 2, 1)) == 1
    await months.use("acme-1", "tokens", "1000", at=day(3, 3))
    await months.bill(day(4, 1))
    await months.services.credit_notes.finish_due(now=day(4, 2))
    (final,) = await months.invoices(invoice_type="subscription")
    desk, place = months.services.invoices, (months.organization_id, final.id)
    await desk.void(*place, now=day(4, 2))
    await months.use("acme-1", "tokens", "2000", at=day(3, 20))
    again = await desk.regenerate(*place, now=day(4, 2))
    await months.services.credit_notes.finish_due(now=day(4, 2))
    assert again.fees_amount_cents == 20_000
    assert again.progressive_billing_credit_amount_cents == 10_000  # the other half is a note
    assert await months.story.read("select count(*) from invoicing.credit_notes") == 1
    await months.check()


def volume(code: str, *ranges: tuple[int, int | None, str]) -> ChargeChanges:
    return ChargeChanges(
        billable_metric_code=code,
        charge_model="volume",
        properties={
            "volume_ranges": [
                {
                    "from_value": first,
                    "to_value": last,
                    "per_unit_amount": price,
                    "flat_amount": "0",
                }
                for first, last, price in ranges
            ]
        },
    )


async def interims(months: Months) -> list[tuple[int, list[int]]]:
    """What each progressive invoice asks for before taxes, and the thresholds that it names."""
    return [
        (
            one.sub_total_excluding_taxes_amount_cents,
            [threshold["amount_cents"] for threshold in one.applied_usage_thresholds],
        )
        for one in await months.invoices(invoice_type="progressive_billing")
    ]


@pytest.mark.parametrize("funding", [0, 7, 500])
async def test_several_thresholds_crossed_at_once_are_one_invoice_and_the_recurring_one_goes_on(
    months, funding
):
    await months.plan(
        "steps",
        standard("tokens", "0.01"),
        wanted_thresholds=[
            ThresholdChanges(amount_cents=1000),
            ThresholdChanges(amount_cents=2000),
            ThresholdChanges(amount_cents=500, recurring=True),
        ],
    )
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    await months.subscribe("acme", "steps", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "2123.4567", at=day(3, 2))
    assert await look(months, day(3, 2, 1)) == 1
    await months.use("acme-1", "tokens", "300", at=day(3, 3))
    assert await look(months, day(3, 3, 1)) == 0
    await months.use("acme-1", "tokens", "100", at=day(3, 4))
    assert await look(months, day(3, 4, 1)) == 1
    assert await interims(months) == [(2123, [1000, 2000]), (400, [500])]
    words = await months.story.read(
        "select count(*) from invoicing.outbox"
        " where webhook_type = 'subscription.usage_threshold_reached'"
    )
    assert words == 3
    await months.use("acme-1", "tokens", "10", at=day(3, 5))
    await months.bill(day(4, 1))
    (final,) = await months.invoices(invoice_type="subscription")
    assert final.fees_amount_cents == 2533
    assert final.sub_total_excluding_taxes_amount_cents == 10
    due = sum(one.total_amount_cents for one in await months.invoices())
    assert due == max(2533 - funding * 100, 0)
    await months.check()


async def test_only_what_has_been_used_since_is_looked_at_again(months, monkeypatch):
    await months.customer("acme", has_wallet=False)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    read = months.services.invoices.billing.read_snapshot
    asked: list[int] = []

    def counted(opened, run, due):
        asked.append(len(due))
        return read(opened, run, due)

    monkeypatch.setattr(months.services.invoices.billing, "read_snapshot", counted)
    await look(months, day(3, 2))
    await look(months, day(3, 2))
    assert asked == [1]
    # Whoever leads next knows what was seen.
    invoices = months.services.invoices
    opened = worker_transactions(months.services.database)
    another = ProgressiveBilling(billing=invoices.billing, finisher=invoices.finisher)
    assert await another.run(opened, now=day(3, 2)) == 0
    assert asked == [1]
    await months.use("acme-1", "tokens", "1000000", at=day(3, 1))
    assert await look(months, day(3, 2)) == 1
    assert asked == [1, 1]
    await look(months, day(3, 2, 2))  # with time usage may move by itself
    assert len(asked) == 3


@pytest.mark.parametrize("funding", [0, 50, 1000])
async def test_what_was_billed_ahead_beyond_what_the_period_comes_to_is_credited(months, funding):
    await months.plan(
        "bulk",
        volume("tokens", (0, 1000, "0.2"), (1001, None, "0.05")),
        wanted_thresholds=[ThresholdChanges(amount_cents=20_000)],
    )
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    await months.subscribe("acme", "bulk", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "1000", at=day(3, 2))
    assert await look(months, day(3, 2, 1)) == 1
    await months.use("acme-1", "tokens", "1000", at=day(3, 3))
    await months.bill(day(4, 1))
    await months.services.credit_notes.finish_due(now=day(4, 2))
    (final,) = await months.invoices(invoice_type="subscription")
    assert final.fees_amount_cents == 10_000
    assert final.progressive_billing_credit_amount_cents == 10_000
    (interim,) = await months.invoices(invoice_type="progressive_billing")
    assert interim.fees_amount_cents == 20_000
    notes = await months.story.read(
        "select jsonb_agg(jsonb_build_array(status, credit_amount_cents))"
        " from invoicing.credit_notes"
    )
    assert json.loads(notes) == [["finalized", 10_000]]
    await months.check()


async def test_who_changes_to_a_dearer_plan_does_not_cross_the_same_thresholds_again(months):
    await months.plan(
        "max",
        standard("tokens", "0.0002"),
        amount_cents=9900,
        wanted_thresholds=[ThresholdChanges(amount_cents=20_000)],
    )
    await months.customer("acme", paid(1000))
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "1200000", at=day(3, 2))
    assert await look(months, day(3, 2, 1)) == 1
    await months.subscribe("acme", "max", "acme-1", at=day(3, 10))
    await months.bill(day(3, 10, 1))
    (final,) = await months.invoices(invoice_type="subscription")
    assert final.progressive_billing_credit_amount_cents == 24_000
    await months.use("acme-1", "tokens", "1000", at=day(3, 11))
    assert await look(months, day(3, 11, 1)) == 0
    await months.check()


async def test_whoever_bills_the_period_and_whoever_bills_the_threshold_exclude_each_other(
    months, monkeypatch
):
    await months.customer("acme", paid(1000))
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "1000000", at=day(3, 20))
    billing = months.services.invoices.billing
    read = billing.read_snapshot

    @asynccontextmanager
    async def slow(opened, run, due):
        async with read(opened, run, due) as found:
            yield found
        await months.bill(day(4, 1))

    monkeypatch.setattr(billing, "read_snapshot", slow)
    assert await look(months, day(3, 31, 23)) == 0
    monkeypatch.setattr(billing, "read_snapshot", read)
    build = billing.build

    async def late(connection, run, due):
        found = await build(connection, run, due)
        monkeypatch.setattr(billing, "build", build)
        assert await look(months, day(4, 30, 23)) == 1
        return found

    await months.use("acme-1", "tokens", "1000000", at=day(4, 20))
    monkeypatch.setattr(billing, "build", late)
    await months.bill(day(5, 1))
    await months.bill(day(5, 1))
    assert await interims(months) == [(20_000, [20_000])]
    last = (await months.invoices(invoice_type="subscription"))[-1]
    assert last.fees_amount_cents == 23_100
    assert last.progressive_billing_credit_amount_cents == 20_000
    await months.check()


async def test_a_threshold_that_is_billed_by_a_process_that_dies_at_any_step_is_billed_once(
    months, monkeypatch
):
    await months.customer("acme", paid(150))
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "1000000", at=day(3, 2))
    settle, fuse = InvoiceBook.settle, Fuse(0)

    async def settle_or_die(self, *arguments, **named):
        fuse.step()
        result = await settle(self, *arguments, **named)
        fuse.step()
        return result

    monkeypatch.setattr(InvoiceBook, "settle", settle_or_die)
    opened = fused(worker_transactions(months.services.database), fuse)
    invoices = months.services.invoices
    deaths = 0
    while True:
        fuse.left = deaths + 1
        started = ProgressiveBilling(billing=invoices.billing, finisher=invoices.finisher)
        try:
            await started.run(opened, now=day(3, 3))
        except Killed:
            deaths += 1
            continue
        break
    assert deaths > 10
    fuse.left = 0
    for invoice in await months.invoices(status="finalizing"):
        await invoices.retry(months.organization_id, invoice.id, now=day(3, 3))
    (interim,) = await months.invoices()
    assert (interim.status, interim.total_amount_cents) == ("finalized", 5000)
    assert await months.story.read("select count(*) from invoicing.outbox") == 2
    await months.bill(day(4, 1))
    await months.check()


async def test_whoever_looks_with_a_clock_from_before_the_period_was_billed_bills_nothing(months):
    await months.customer("acme", has_wallet=False)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "1000000", at=day(3, 20))
    await months.bill(day(4, 1))
    assert await look(months, day(3, 31, 23)) == 0
    (final,) = await months.invoices()
    assert final.fees_amount_cents == 23_100
    await months.check()


@pytest.mark.parametrize("funding", [0, 250, 1000])
@pytest.mark.parametrize(
    ("zone", "moved"),
    [
        ("America/New_York", day(3, 5)),
        ("Asia/Tokyo", day(3, 5)),
        ("America/New_York", day(3, 1, 1)),
        ("America/New_York", day(3, 15)),
        ("Asia/Tokyo", day(3, 15)),
    ],
)
async def test_a_customer_who_moves_to_another_zone_is_billed_once_for_usage(
    months, zone, moved, funding
):
    """Whether moved before a threshold is crossed, or after."""
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    await months.subscribe("acme", "pro", "acme-1", at=day(2, 1))
    await months.use("acme-1", "tokens", "50000", at=day(2, 10))
    await months.bill(day(3, 1))
    if moved < day(3, 11):
        await months.customer("acme", has_wallet=False, timezone=zone)
        assert await look(months, moved + timedelta(hours=1)) == 0
    await months.use("acme-1", "tokens", "1000000", at=day(3, 1, 2))
    assert await look(months, day(3, 12)) == 1
    if moved > day(3, 11):
        await months.customer("acme", has_wallet=False, timezone=zone)
    await months.use("acme-1", "tokens", "5000", at=day(3, 20))
    await months.bill(day(4, 1, 12))
    assert await interims(months) == [(20_000, [20_000])]
    first, last = await months.invoices(invoice_type="subscription")
    assert first.fees_amount_cents == 3100 + 1000
    assert last.fees_amount_cents == 3100 + 20_100
    assert last.progressive_billing_credit_amount_cents == 20_000
    due = sum(one.total_amount_cents for one in await months.invoices())
    assert due == max(4100 + 23_200 - funding * 100, 0)
    await months.check()


async def test_what_the_periods_invoice_has_taken_off_cannot_be_voided_before_it(months):
    await months.customer("acme", has_wallet=False)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "1000000", at=day(3, 2))
    assert await look(months, day(3, 3)) == 1
    await months.bill(day(4, 1))
    interim, final = await months.invoices()
    desk, place = months.services.invoices, months.organization_id
    with pytest.raises(NotAllowed, match="not_voidable"):
        await desk.void(place, interim.id, now=day(4, 2))
    with pytest.raises(NotAllowed, match="not_voidable"):
        await months.services.invoice_states.void_by_credit_note(
            place, interim.id, CreditedParts(), now=day(4, 2)
        )
    await desk.void(place, final.id, now=day(4, 2))
    await desk.void(place, interim.id, now=day(4, 2))
    again = await desk.regenerate(place, final.id, now=day(4, 2))
    assert again.total_amount_cents == 23_100
    await months.check()


async def test_an_invoice_that_is_being_voided_is_not_taken_off_the_periods(months, monkeypatch):
    await months.customer("acme", has_wallet=False)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "1000000", at=day(3, 2))
    assert await look(months, day(3, 3)) == 1
    (interim,) = await months.invoices()
    desk, place = months.services.invoices, months.organization_id
    build = desk.billing.build

    async def meanwhile(connection, run, due):
        found = await build(connection, run, due)
        monkeypatch.setattr(desk.billing, "build", build)
        with monkeypatch.context() as broken:
            broken.setattr(InvoiceBook, "void", gone)
            with pytest.raises(Unavailable):
                await desk.void(place, interim.id, now=day(4, 1))
        return found

    async def gone(*_arguments, **_named):
        raise Unavailable("the book")

    monkeypatch.setattr(desk.billing, "build", meanwhile)
    await months.bill(day(4, 1))
    assert len(await months.invoices()) == 1
    await months.bill(day(4, 1))
    (final,) = await months.invoices(invoice_type="subscription")
    assert final.total_amount_cents == 23_100
    (interim,) = await months.invoices(invoice_type="progressive_billing")
    voided = await desk.finish_void(interim, now=day(4, 2))
    assert voided.status == "voided"
    await months.check()


async def test_months_of_a_year_that_are_billed_count_on_the_way_to_a_threshold(months):
    await months.plan(
        "year",
        standard("tokens", "0.01"),
        interval="yearly",
        bill_charges_monthly=True,
        wanted_thresholds=[ThresholdChanges(amount_cents=20_000)],
    )
    await months.customer("acme", has_wallet=False)
    await months.subscribe("acme", "year", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "15000", at=day(3, 10))
    assert await look(months, day(3, 11)) == 0
    await months.bill(day(4, 1))
    await months.use("acme-1", "tokens", "6000", at=day(4, 10))
    assert await look(months, day(4, 11)) == 1
    assert await interims(months) == [(6000, [20_000])]
    await months.bill(day(5, 1))
    last = (await months.invoices(invoice_type="subscription"))[-1]
    assert last.progressive_billing_credit_amount_cents == 6000
    await months.check()


async def test_a_threshold_waits_for_the_taxes_that_a_service_does_not_say(months):
    for customer in ("acme", "bolt"):
        await months.customer(customer, has_wallet=False)
        await months.subscribe(customer, "pro", f"{customer}-1", at=day(3, 1))
        await months.use(f"{customer}-1", "tokens", "1000000", at=day(3, 2))
    service = Elsewhere()
    progressive = asking(months, service).progressive
    opened = worker_transactions(months.services.database)
    assert await progressive.run(opened, now=day(3, 3)) == 0
    assert len(service.asked) == 1  # who is not there is waited for once
    assert await months.invoices() == []
    service.fails_with = "refused"
    assert await progressive.run(opened, now=day(3, 3)) == 0
    assert len(service.asked) == 3
    service.rate = Decimal(10)
    assert await progressive.run(opened, now=day(3, 3)) == 2
    found = [(one.status, one.taxes_amount_cents) for one in await months.invoices()]
    assert found == [("finalized", 2000)] * 2
    await months.check()


@pytest.mark.parametrize("funding", [0, 250])
async def test_what_was_billed_ahead_and_voided_is_billed_when_the_period_ends(months, funding):
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "1000000", at=day(3, 2))
    assert await look(months, day(3, 3)) == 1
    (interim,) = await months.invoices()
    invoices, place = months.services.invoices, (months.organization_id, interim.id)
    await invoices.void(*place, now=day(3, 4))
    assert await look(months, day(3, 5)) == 0
    await months.bill(day(4, 1))
    (final,) = await months.invoices(invoice_type="subscription")
    assert final.sub_total_including_taxes_amount_cents == 23_100
    assert final.total_amount_cents == max(23_100 - funding * 100, 0)
    await months.check()


@pytest.mark.parametrize("funding", [0, 100, 1000])
async def test_taxes_and_coupons_of_what_was_billed_ahead_are_not_taken_again(months, funding):
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    place = months.organization_id
    async with months.services.changing_catalogue(place) as connection:
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
            expiration="no_expiration",
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
    await months.use("acme-1", "tokens", "1000000", at=day(3, 2))
    assert await look(months, day(3, 3)) == 1
    await months.use("acme-1", "tokens", "1000000", at=day(3, 20))
    await months.bill(day(4, 1))
    (interim,) = await months.invoices(invoice_type="progressive_billing")
    (final,) = await months.invoices(invoice_type="subscription")
    assert interim.sub_total_including_taxes_amount_cents == 22_800  # (200 - 10) x 1.2
    assert final.sub_total_including_taxes_amount_cents == 27_720  # 231 x 1.2
    due = interim.total_amount_cents + final.total_amount_cents
    assert due == max(50_520 - funding * 100, 0)
    await months.check()
