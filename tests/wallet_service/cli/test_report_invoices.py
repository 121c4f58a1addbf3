"""`wallet report` on months that were really billed: lines of invoices are told apart."""

import asyncio
import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from tests.wallet_service.cli.test_report import bean_check
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service.cli import main


@pytest.fixture(scope="module")
async def billed(new_database, settings_for, redis_server) -> tuple[str, str]:
    """A database with an invoice of March, and its number. 3.333 of usage was debited before."""
    dsn = await new_database()
    settings = structs.replace(settings_for(dsn), redis_url=redis_server.url())
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        await months.plan("pro", standard("tokens", "0.033"), amount_cents=20_00)
        await months.customer("acme", paid(12))
        await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
        await months.use("acme-1", "tokens", "101", at=day(3, 10))
        await months.bill(day(4, 1))
        (invoice,) = await months.invoices()
    return dsn, invoice.number


async def run(billed: tuple[str, str], folder: Path, *arguments: str) -> Result:
    environment = {"WALLET_DATABASE_URL": billed[0], "WALLET_DATA_DIR": str(folder)}
    result = await asyncio.to_thread(
        CliRunner().invoke, main, ["report", *arguments], env=environment
    )
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize(
    ("by", "usage", "fees"),
    [
        ("metric", "tokens", {"subscription": "20", "tokens": "-0.003"}),
        ("plan", "pro", {"pro": "19.997"}),
        ("subscription", "acme-1", {"acme-1": "19.997"}),
    ],
)
async def test_what_was_invoiced_is_told_by(billed, tmp_path, by, usage, fees):
    result = await run(billed, tmp_path, "revenue", "--format", "csv", "--by", by)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row[by]: row["amount"] for row in rows if row["line"] == "usage"} == {usage: "3.333"}
    assert {row[by]: row["amount"] for row in rows if row["line"] == "invoiced"} == fees
    # Usage of 3.333 is a line of 3.33, and the plan 20.00.
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal("23.33")


async def test_the_journal_names_invoice_and_customer(billed, tmp_path):
    result = await run(billed, tmp_path, "revenue", "--format", "beancount")
    path = tmp_path / "book.beancount"
    path.write_text(result.stdout)
    assert bean_check(path).stderr == ""
    (entry,) = [one for one in result.stdout.split("\n\n") if '"invoice"' in one]
    assert f'  invoice: "{billed[1]}"' in entry
    assert '  customer: "acme"' in entry
    assert "Assets:Receivable  19.997 USD" in entry
