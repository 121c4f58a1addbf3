"""Random months of one customer: whatever happens on the way, usage is billed once and exactly.

What the customer is out of pocket for in the end (out of wallets, or still due, less credit that is
left) is what the lines of the invoices that stand come to.
"""

import itertools
import os
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import pytest
from msgspec import structs

from invoicing import invoice_credits
from invoicing.charge_changes import ChargeChanges
from invoicing.errors import InvoicingError, NotAllowed
from invoicing.invoices import Invoice
from invoicing.usage_thresholds import ThresholdChanges
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service.errors import WalletError
from wallet_service.invoice_finishing import worker_transactions
from wallet_service.usage_requests import EventRequest, ReverseRequest

SEEDS: Final = [int(seed) for seed in os.environ.get("WALLET_TEST_MONTHS", "3 8").split()]
STEPS: Final = int(os.environ.get("WALLET_TEST_MONTH_STEPS", "14"))
PRICES: Final = {"tokens": "0.0137", "seats": "0.251", "calls": "0.5"}
"""In dollars for a unit; a call costs less from the 100th on (`_volume`)."""
STANDING: Final = ("finalized", "closed")


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        for code in PRICES:
            await months.metric(code)
        await months.plan(
            "pro",
            standard("tokens", PRICES["tokens"], min_amount_cents=150),
            standard("seats", PRICES["seats"], pay_in_advance=True),
            _volume("calls"),
            amount_cents=3100,
            wanted_thresholds=[
                ThresholdChanges(amount_cents=500),
                ThresholdChanges(amount_cents=400, recurring=True),
            ],
        )
        yield months


def _volume(code: str) -> ChargeChanges:
    ranges = [(0, 99, PRICES[code]), (100, None, "0.1")]
    return ChargeChanges(
        billable_metric_code=code,
        charge_model="volume",
        properties={
            "volume_ranges": [
                {"from_value": a, "to_value": b, "per_unit_amount": each, "flat_amount": "0"}
                for a, b, each in ranges
            ]
        },
    )


class Walk:
    """One customer, and what happens to it from March to June."""

    def __init__(self, months: Months, seed: int) -> None:
        self.months = months
        self.chance = random.Random(seed)
        self.name = f"walker-{seed}"
        self.now = day(3, 1)
        self.funded = 0
        self.events: dict[str, tuple[str, Decimal, datetime]] = {}
        self.numbers = itertools.count(1)
        self.told: list[str] = []

    async def begin(self) -> None:
        self.funded = self.chance.choice([0, 0, 3, 20, 1000])
        terms = {}
        if self.chance.random() < 0.4:
            terms["billing_configuration"] = {"invoice_grace_period": 3}
        self.customer = await self.months.customer(
            self.name,
            *([paid(self.funded)] if self.funded else []),
            has_wallet=self.funded > 0 or self.chance.random() < 0.5,
            **terms,
        )
        await self.months.subscribe(self.name, "pro", self.name, at=self.now)

    async def go(self) -> None:
        steps = [self.use, self.use, self.use, self.take_back, self.look, self.look_in_advance]
        steps += [self.void, self.regenerate, self.refresh, self.finalize]
        for month in (4, 5):
            for _ in range(STEPS // 2):
                self.now += timedelta(hours=self.chance.randrange(1, 40))
                self.now = min(self.now, day(month, 1) - timedelta(hours=1))
                await self.told_of(self.chance.choice(steps))
            self.now = max(self.now, day(month, 1) + timedelta(minutes=1))
            await self.told_of(self.bill)
        for month in (6, 7):
            for invoice in await self.of_mine():
                with suppress(NotAllowed):  # its events were taken back
                    await self.regenerate(invoice)
            self.now = day(month, 1)
            await self.bill()
            self.now = day(month, 6)
            for invoice in await self.of_mine():
                if invoice.status == "draft":
                    await self.finalize(invoice)
            await self.months.services.credit_notes.finish_due(now=self.now)

    async def told_of(self, step) -> None:
        try:
            await step()
        except (InvoicingError, WalletError) as error:
            self.told.append(f"{self.now:%m-%d %H} {step.__name__}: {error.code}")
        else:
            self.told.append(f"{self.now:%m-%d %H} {step.__name__}")

    # -- what may happen

    async def use(self) -> None:
        code = self.chance.choice(list(PRICES))
        units = Decimal(self.chance.choice([1, 3, 45, 70, 120, 777])) / self.chance.choice(
            [1, 1, 7]
        )
        units = round(units, 3)
        late = self.chance.choice([0, 0, 0, 24 * 3, 24 * 20])
        at = max(self.now - timedelta(hours=late), day(3, 1))
        key = f"{self.name}-{next(self.numbers)}"
        request = EventRequest(
            transaction_id=key,
            code=code,
            external_subscription_id=self.name,
            timestamp=str(int(at.timestamp())),
            properties={"value": str(units)},
        )
        services = self.months.services
        await services.usage.record(self.months.organization_id, request, now=self.now)
        self.events[key] = code, units, at
        self.told.append(f"  {key} {code} {units} at {at:%m-%d %H}")

    async def take_back(self) -> None:
        if not self.events:
            return
        key = self.chance.choice(list(self.events))
        request = ReverseRequest(transaction_id=f"{key}-back")
        services = self.months.services
        await services.usage.reverse(self.months.organization_id, key, request, now=self.now)
        del self.events[key]
        self.told.append(f"  {key}")

    async def look(self) -> None:
        opened = worker_transactions(self.months.services.database)
        await self.months.services.invoices.progressive.run(opened, now=self.now)

    async def look_in_advance(self) -> None:
        opened = worker_transactions(self.months.services.database)
        await self.months.services.invoices.advance.run(opened, now=self.now)

    async def bill(self) -> None:
        await self.months.bill(self.now)

    async def void(self) -> None:
        place = self.months.organization_id, (await self.any_of("finalized")).id
        await self.months.services.invoices.void(*place, now=self.now)

    async def regenerate(self, voided: Invoice | None = None) -> None:
        voided = voided or await self.any_of("voided")
        if voided.status != "voided" or voided.invoice_type != "subscription":
            return
        place = self.months.organization_id, voided.id
        if not any(one.voided_invoice_id == voided.id for one in await self.of_mine()):
            await self.months.services.invoices.regenerate(*place, now=self.now)

    async def refresh(self) -> None:
        place = self.months.organization_id, (await self.any_of("draft")).id
        await self.months.services.invoices.refresh(*place, now=self.now)

    async def finalize(self, draft: Invoice | None = None) -> None:
        place = self.months.organization_id, (draft or await self.any_of("draft")).id
        await self.months.services.invoices.finalize(*place, now=self.now)

    async def any_of(self, status: str) -> Invoice:
        found = [one for one in await self.of_mine() if one.status == status]
        if not found:
            raise InvoicingError
        return self.chance.choice(found)

    async def of_mine(self) -> list[Invoice]:
        return await self.months.invoices(customer_id=self.customer)

    # -- what must be so in the end

    async def check(self) -> None:
        mine = await self.of_mine()
        assert {one.status for one in mine} <= {*STANDING, "voided"}
        standing = [one for one in mine if one.status in STANDING]
        billed = [one for one in standing if one.invoice_type == "subscription"]
        used = Decimal(0)
        for invoice in billed:
            for fee in await self.months.lines(invoice):
                used += fee.precise_amount_cents if fee.fee_type == "charge" else 0
        # Parts of a cent may wait for the next line that bills more.
        assert abs(used - self.wanted_cents()) < 1, "usage is billed once"
        rounding = sum(_minor(one, "rounding_minor") for one in standing)
        due = sum(one.total_amount_cents for one in standing) * 10**7
        fees = sum(one.fees_amount_cents for one in billed) * 10**7
        spent = self.funded * 10**9
        hot = self.months.services.hot
        (state,) = (await hot.load([(self.months.organization_id, self.customer)])).values()
        spent -= sum(grant.available for grant in state.grants)
        spent += sum(state.overage.values())  # for the next who pays in
        credit = await self.months.story.read(
            "select coalesce(sum(balance_amount_cents), 0)::bigint from invoicing.credit_notes"
            " where customer_id = $1 and status = 'finalized' and credit_status = 'available'",
            self.customer,
        )
        self.told.append(f"{spent=} {due=} {rounding=} {credit=} {fees=}")
        assert spent + due + rounding - credit * 10**7 == fees, "it costs what it comes to"
        await self.months.check()

    def wanted_cents(self) -> Decimal:
        """What the events that were not taken back cost, month by month."""
        wanted = Decimal(0)
        for month in (3, 4, 5, 6):
            units = dict.fromkeys(PRICES, Decimal(0))
            for code, used, at in self.events.values():
                units[code] += used if at.month == month else 0
            each = Decimal("0.1") if units["calls"] > 99 else Decimal(PRICES["calls"])
            tokens = units["tokens"] * Decimal(PRICES["tokens"])
            wanted += max(tokens, Decimal("1.50"))
            wanted += units["seats"] * Decimal(PRICES["seats"]) + units["calls"] * each
        return wanted * 100


def _minor(invoice: Invoice, name: str) -> int:
    return int((invoice.settlement or {}).get(name, 0))


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_happens_usage_is_billed_once_and_costs_what_it_comes_to(months, seed):
    walk = Walk(months, seed)
    await walk.begin()
    try:
        await walk.go()
        await walk.check()
    except BaseException:
        print("\n".join(walk.told))  # noqa: T201
        for one in await walk.of_mine():
            lines = await months.lines(one)
            used = await invoice_credits_of(months, one)
            print(  # noqa: T201
                one.id.hex[-6:],
                one.invoice_type,
                one.status,
                f"{one.created_at:%m-%d %H}",
                f"F={one.fees_amount_cents} P={one.progressive_billing_credit_amount_cents}"
                f" N={one.credit_notes_amount_cents} D={one.debited_amount_minor / 10**7}"
                f" due={one.total_amount_cents}",
                {k: v for k, v in (one.settlement or {}).items() if k.endswith("_minor") and v},
                used,
            )
            for fee in lines:
                print(  # noqa: T201
                    f"      {fee.fee_type} {fee.item_code} {fee.units} {fee.amount_cents}"
                    f" ({fee.precise_amount_cents}) D={fee.debited_minor / 10**7}"
                    f" {fee.event_transaction_id or ''} from {fee.from_datetime:%m-%d}"
                )
        raise


async def invoice_credits_of(months: Months, invoice: Invoice) -> list[str]:
    async with months.services.database.tenant(months.organization_id) as connection:
        found = await invoice_credits.of_invoices(connection, months.organization_id, [invoice.id])
    return [f"{one.kind} {one.source_id.hex[-6:]} {one.amount_cents}" for one in found[invoice.id]]
