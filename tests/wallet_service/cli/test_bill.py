"""`wallet bill`: what would be billed is shown, and then billed; a dry run changes nothing."""

import asyncio
import re

import asyncpg
import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service.cli import main
from wallet_service.settings import Settings


@pytest.fixture
async def sold(new_database, settings_for, redis_server) -> Settings:
    """A customer that has used something in a month that is over."""
    settings = structs.replace(settings_for(await new_database()), redis_url=redis_server.url())
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        await months.plan("pro", standard("tokens", "0.5"), amount_cents=2000)
        await months.customer("acme", paid(12))
        await months.subscribe("acme", "pro", "acme-1", at=day(9, 1))
        await months.use("acme-1", "tokens", "10", at=day(9, 10))
    return settings


async def run(settings: Settings, monkeypatch, *arguments: str) -> Result:
    monkeypatch.setenv("WALLET_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("WALLET_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("WALLET_ALLOW_UNSAFE_DATABASE", "true")
    monkeypatch.setenv("COLUMNS", "80")
    return await asyncio.to_thread(CliRunner().invoke, main, ["bill", *arguments])


async def count(settings: Settings, table: str) -> int:
    connection = await asyncpg.connect(settings.database_url)
    try:
        return await connection.fetchval(f"select count(*) from {table}")
    finally:
        await connection.close()


async def test_a_dry_run_shows_what_a_run_then_bills(sold, monkeypatch):
    shown = await run(sold, monkeypatch, "--until", "2026-10-02", "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert re.findall(r"│ (\w[\w ]*?) +│ +([\d.]+) │", shown.output) == [
        *(("Invoices", "1"), ("Fees", "2"), ("Amount", "25.00"), ("Coupons", "0.00")),
        *(("Taxes", "0.00"), ("Paid already", "5.00"), ("Left", "20.00")),
    ]
    monkeypatch.setenv("WALLET_TAX_SERVICE_URL", "http://127.0.0.1:9/")
    shown = await run(sold, monkeypatch, "--until", "2026-10-02", "--dry-run")
    assert re.findall(r"│ Taxes +│ +(\w+) │", shown.output) == ["unknown"]
    monkeypatch.delenv("WALLET_TAX_SERVICE_URL")
    tables = ("invoicing.invoices", "invoicing.billed_periods", "invoicing.billing_entities")
    assert [await count(sold, table) for table in tables] == [0, 0, 0]
    done = await run(sold, monkeypatch, "--until", "2026-10-02")
    assert done.exit_code == 0, done.output
    assert "1 invoices with 2 fees for 1 subscriptions; 0 could not be billed." in done.output
    again = await run(sold, monkeypatch, "--until", "2026-10-02")
    assert "0 invoices" in again.output
    assert await count(sold, "invoicing.invoices") == 1


async def test_only_a_dry_run_looks_into_the_future(sold, monkeypatch):
    refused = await run(sold, monkeypatch, "--until", "2999-01-01")
    assert refused.exit_code == 2
    assert "only a --dry-run" in refused.output
