"""A billing run that dies at any step and is run again: no invoice twice, none missing, no gap.

The process is killed at every statement that a run sends, and at every settlement that it asks
for, before and after it: what had been sent is what the database has, and nothing else is known.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec import structs

from invoicing.records import Connection
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service import billing_rounds
from wallet_service.invoice_book import InvoiceBook
from wallet_service.invoice_finishing import Opening, worker_transactions

CUSTOMERS = 5


class Killed(BaseException):
    """The process is gone: nobody catches this."""


class Fuse:
    """Burns down step by step; kills at the last one."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


def fused(opened: Opening, fuse: Fuse) -> Opening:
    """Transactions that die at their beginning, or after all their statements and no commit."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[Connection]:
        fuse.step()
        async with opened() as connection:
            yield _Fused(connection, fuse)  # type: ignore[misc]
            fuse.step()
        fuse.step()

    return opening


class _Fused:
    """A connection whose statements burn the fuse."""

    def __init__(self, connection: Connection, fuse: Fuse) -> None:
        self._connection = connection
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"execute", "fetch", "fetchrow", "fetchval"}:
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            self._fuse.step()
            return await found(*arguments, **named)

        return call


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        await months.plan("pro", standard("tokens", "0.5"), amount_cents=2000)
        for number in range(CUSTOMERS):
            name = f"customer-{number}"
            await months.customer(name, paid(12), finalize_zero_amount_invoice="skip")
            await months.subscribe(name, "pro", name, at=day(2, 20))
            await months.use(name, "tokens", "10", at=day(2, 25))
        yield months


async def test_a_run_that_is_killed_at_every_step_bills_everything_once(months, monkeypatch):
    monkeypatch.setattr(billing_rounds, "_PORTION", 2)
    settle = InvoiceBook.settle
    fuse = Fuse(0)

    async def settle_or_die(self, *arguments, **named):
        fuse.step()
        result = await settle(self, *arguments, **named)
        fuse.step()
        return result

    monkeypatch.setattr(InvoiceBook, "settle", settle_or_die)
    opened = worker_transactions(months.services.database)
    deaths, steps = 0, 1
    while True:
        fuse.left = steps
        try:
            await months.services.invoices.bill(
                fused(opened, fuse),
                until=day(4, 1),
                now=day(4, 1),
                organization_id=months.organization_id,
            )
        except (Killed, asyncio.CancelledError):
            deaths += 1
            steps += 1
            continue
        break
    assert deaths > 20
    fuse.left = 0
    for invoice in await months.invoices(status="finalizing"):
        await months.services.invoices.retry(months.organization_id, invoice.id, now=day(4, 1))
    await everything_is_billed_once(months)


async def everything_is_billed_once(months: Months) -> None:
    found = await months.invoices()
    assert {one.status for one in found} == {"finalized"}
    periods = await months.story.read("select count(*) from invoicing.billed_periods")
    assert (len(found), periods) == (2 * CUSTOMERS, 2 * CUSTOMERS)  # February and March
    numbers = sorted(one.number.rsplit("-", 2)[1:] for one in found)
    wanted = [[f"{n:03}", f"{m:03}"] for n in range(1, CUSTOMERS + 1) for m in (1, 2)]
    assert numbers == wanted
    lines = await months.story.read("select count(*) from invoicing.fees")
    assert lines == 3 * CUSTOMERS
    told = await months.story.read(
        "select count(*) from invoicing.outbox where webhook_type = 'invoice.created'"
    )
    assert told == 2 * CUSTOMERS
    await months.check()
