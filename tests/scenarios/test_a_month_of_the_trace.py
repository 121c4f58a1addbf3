"""A month in the life of a customer, from a real trace: plan fees, tiers, taxes, a coupon, an
upgrade in the middle, credits that expire. All of it ties out: events, invoices, the book.

The exact price is computed here, from the tokens alone.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from msgspec import structs

from invoicing import applied_coupons, coupons, taxes
from invoicing.charge_changes import ChargeChanges
from invoicing.invoices import Invoice
from ledger.chart import AccountCode
from tests.wallet_service.months import Months, day, dollars, standard
from tests.wallet_service.story import as_owner, open_story, paid
from wallet_service.cli.replay.trace import Call, read_trace
from wallet_service.decision.commands import Funding
from wallet_service.jobs import grants
from wallet_service.jobs.leader import Term
from wallet_service.settings import Settings
from wallet_service.usage_requests import EventRequest

TRACE = Path(__file__).parents[3] / "shared" / "data" / "AzureLLMInferenceTrace_conv.csv"
CALLS = int(os.environ.get("TRACE_CALLS", "1500"))
"""How many calls of the trace are made, evenly over the month; the whole has 19,366."""

START, UPGRADE, END = day(3, 1), day(3, 16), day(4, 1)
FIRST_TIER, DEAR, CHEAP = 500_000, Decimal("0.000003"), Decimal("0.0000015")
OUTPUT, BIG_INPUT, BIG_OUTPUT = Decimal("0.000015"), Decimal("0.000001"), Decimal("0.00001")
STARTER, SCALE = Decimal(49), Decimal(99)
CODES = ("llm_input", "llm_output")
FEW = 40
"""So many calls are made while the promotional credits last."""


def cents(amount: Decimal) -> int:
    return int((amount * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def calls_of_a_month() -> list[tuple[datetime, Call]]:
    whole = read_trace(TRACE)
    some = whole[:: max(1, len(whole) // CALLS)][:CALLS]
    step = (END - START - timedelta(hours=2)) / len(some)
    return [(START + timedelta(hours=1) + step * at, call) for at, call in enumerate(some)]


def starter_prices(calls: Sequence[Call]) -> tuple[Decimal, Decimal]:
    units = sum(call.input_tokens for call in calls)
    first = min(units, FIRST_TIER)
    inputs = first * DEAR + (units - first) * CHEAP
    return inputs, sum(call.output_tokens for call in calls) * OUTPUT


def scale_prices(calls: Sequence[Call]) -> tuple[Decimal, Decimal]:
    return (
        sum(call.input_tokens for call in calls) * BIG_INPUT,
        sum(call.output_tokens for call in calls) * BIG_OUTPUT,
    )


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        for code in CODES:
            await months.metric(code)
        tiers = [
            {"from_value": 0, "to_value": FIRST_TIER, "per_unit_amount": str(DEAR)},
            {"from_value": FIRST_TIER + 1, "to_value": None, "per_unit_amount": str(CHEAP)},
        ]
        graduated = ChargeChanges(
            billable_metric_code="llm_input",
            charge_model="graduated",
            properties={"graduated_ranges": [one | {"flat_amount": "0"} for one in tiers]},
        )
        await months.plan(
            "starter",
            graduated,
            standard("llm_output", str(OUTPUT)),
            amount_cents=cents(STARTER),
            pay_in_advance=True,
        )
        await months.plan(
            "scale",
            standard("llm_input", str(BIG_INPUT)),
            standard("llm_output", str(BIG_OUTPUT)),
            amount_cents=cents(SCALE),
            pay_in_advance=True,
        )
        yield months


async def add_tax_and_coupon(months: Months) -> None:
    async with months.services.database.tenant(months.organization_id) as connection:
        await taxes.create(
            connection,
            months.organization_id,
            taxes.TaxChanges(
                code="vat", name="VAT", rate=Decimal(20), applied_to_organization=True
            ),
            now=START,
        )
        await coupons.create(
            connection,
            months.organization_id,
            coupons.CouponChanges(
                code="launch",
                name="Launch",
                coupon_type="percentage",
                percentage_rate=Decimal(10),
                frequency="forever",
                expiration="no_expiration",
            ),
            now=START,
        )
        await applied_coupons.apply_coupon(
            connection,
            months.organization_id,
            external_customer_id="acme",
            coupon_code="launch",
            terms=applied_coupons.Terms(),
            now=START,
        )


async def make(months: Months, calls: Sequence[tuple[datetime, Call]]) -> None:
    """Make the calls: an event for what went in, and one for what came out."""
    requests = [
        EventRequest(
            transaction_id=f"{code}-{at.timestamp()}",
            code=code,
            external_subscription_id="acme-1",
            timestamp=str(at.timestamp()),
            properties={"value": str(tokens)},
        )
        for at, call in calls
        for code, tokens in zip(CODES, (call.input_tokens, call.output_tokens), strict=True)
    ]
    for first in range(0, len(requests), 500):
        outcomes = await months.services.usage.record_all(
            months.organization_id, requests[first : first + 500], now=datetime.now(UTC)
        )
        assert not [one for one in outcomes if isinstance(one, Exception)]


async def usage_billed(months: Months, invoice: Invoice) -> dict[str, Decimal]:
    """What each metric costs on an invoice, exactly, in dollars."""
    return {
        line.item_code: line.precise_amount_cents / 100
        for line in await months.lines(invoice)
        if line.fee_type == "charge"
    }


@pytest.mark.skipif(not TRACE.exists(), reason=f"{TRACE.name} is not here")
async def test_events_invoices_and_the_book_tie_out_over_a_month(
    months: Months, tmp_path: Path
) -> None:
    calls = calls_of_a_month()
    before = [call for at, call in calls if at < UPGRADE]
    after = [call for at, call in calls if at >= UPGRADE]
    gift = Funding(
        kind="promotional",
        amount_minor=5 * 10**9,
        credit_amount=Decimal(5),
        priority=1,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    acme = await months.customer("acme", paid(1000))
    await add_tax_and_coupon(months)

    await months.subscribe("acme", "starter", "acme-1", at=START)
    await months.bill(START)
    await months.story.fund(acme, gift)
    await make(months, calls[:FEW])
    await as_owner(
        months.services.settings,
        "update wallet.grants set expires_at = now() - interval '1 second'"
        " where kind = 'promotional'",
    )
    await grants.expire_grants(months.services, Term(1))
    await make(months, [one for one in calls[FEW:] if one[0] < UPGRADE])
    await months.subscribe("acme", "scale", "acme-1", at=UPGRADE)
    await months.bill(UPGRADE)
    await make(months, [one for one in calls[FEW:] if one[0] >= UPGRADE])
    await months.bill(END)

    started, upgraded, ended = await months.invoices()
    billed_before, billed_after = starter_prices(before), scale_prices(after)
    assert await usage_billed(months, upgraded) == dict(zip(CODES, billed_before, strict=True))
    assert await usage_billed(months, ended) == dict(zip(CODES, billed_after, strict=True))

    scale_of_half_a_month = cents(SCALE * 16 / 31)
    assert totals(started) == expected(cents(STARTER))
    assert totals(upgraded) == expected(*map(cents, billed_before), scale_of_half_a_month)
    assert totals(ended) == expected(*map(cents, billed_after), cents(SCALE))

    # Sixteen of the month's 31 days come back of the plan that was paid for, as they were paid:
    # less the coupon, with the tax.
    back = cents(STARTER * 16 / 31)
    back_coupon = cents(Decimal(back) / 1000)
    back_tax = cents(Decimal(back - back_coupon) * 20 / 10_000)
    assert upgraded.credit_notes_amount_cents == back - back_coupon + back_tax == 2731
    assert not started.credit_notes_amount_cents
    assert not ended.credit_notes_amount_cents

    invoices = (started, upgraded, ended)
    assert {one.payment_status for one in invoices} == {"succeeded"}
    assert not sum(one.total_amount_cents for one in invoices)
    book = await months.book()
    left = await months.left(acme)
    gone = Decimal(5) - dollars(book[AccountCode.PROMOTIONS])
    assert 0 < gone < 5, "some of the gift has expired"
    spent = Decimal(sum(one.prepaid_credit_amount_cents for one in invoices)) / 100
    assert left == 1000 + 5 - gone - spent
    assert in_cents(book) == {
        AccountCode.REVENUE: back - sum(one.fees_amount_cents for one in invoices),
        AccountCode.DISCOUNTS: sum(one.coupons_amount_cents for one in invoices) - back_coupon,
        AccountCode.TAX_PAYABLE: back_tax - sum(one.taxes_amount_cents for one in invoices),
        AccountCode.RECEIVABLE: 0,
        AccountCode.CUSTOMER_CREDIT: 0,
    }
    await months.check()
    await asyncio.to_thread(bean_check, months.services.settings, tmp_path)


def bean_check(settings: Settings, folder: Path) -> None:
    """The whole book as a journal, checked by an accounting program that is not ours."""
    environment = {
        "PATH": "",
        "WALLET_DATABASE_URL": settings.database_url,
        "WALLET_REDIS_URL": settings.redis_url,
    }
    report = (sys.executable, "-m", "wallet_service.cli", "report", "trial-balance")
    told = subprocess.run(
        (*report, "--format", "beancount"),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    journal = folder / "month.beancount"
    journal.write_text(told.stdout)
    program = Path(sys.executable).parent / "bean-check"
    checked = subprocess.run(
        [program, "--no-cache", journal], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert told.stdout.count("\n") > CALLS


def expected(*lines_cents: int) -> tuple[int, int, int]:
    """Fees, coupon and tax of an invoice with such lines, in cents."""
    fees = sum(lines_cents)
    coupon = cents(Decimal(fees) / 1000)
    return fees, coupon, cents(Decimal(fees - coupon) * 20 / 10_000)


def totals(invoice: Invoice) -> tuple[int, int, int]:
    return (
        invoice.fees_amount_cents,
        invoice.coupons_amount_cents,
        invoice.taxes_amount_cents,
    )


def in_cents(book: dict[AccountCode, int]) -> dict[AccountCode, int]:
    """What the house's accounts of an invoice stand at, debits above zero: whole cents."""
    shown = (
        AccountCode.REVENUE,
        AccountCode.DISCOUNTS,
        AccountCode.TAX_PAYABLE,
        AccountCode.RECEIVABLE,
        AccountCode.CUSTOMER_CREDIT,
    )
    assert not [code for code in shown if book[code] % 10**7]
    return {code: book[code] // 10**7 for code in shown}
