"""`wallet report`: it ties out with the ledger, and other programs read its journals."""

import asyncio
import csv
import io
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec import Struct, structs

from invoicing.settlements import CreditNoteRequest, Payable, PayRequest, SettleRequest, VoidRequest
from ledger import reconciliation
from ledger.chart import AccountCode
from ledger.ids import new_uuid
from tests.conftest import new_ledger
from tests.wallet_service.story import USD, Story, as_owner, open_story, paid, promotional
from wallet_service import assets
from wallet_service.cli import main
from wallet_service.jobs.grants import expire_grants
from wallet_service.jobs.leader import Term
from wallet_service.settings import Settings

NASTY = 'acme "x" \\, date:2099-13-01 [2099-13-01] ; | = @'
BEAN_CHECK = Path(sys.executable).parent / "bean-check"
HLEDGER = shutil.which("hledger")

Run = Callable[..., Awaitable[Result]]


class Told(Struct):
    settings: Settings
    middle: datetime
    totals: dict[tuple[str, int], tuple[int, int]]
    """Of the ledger itself: debits and credits posted, by asset and kind of account."""


@pytest.fixture(scope="module", params=["postgres", "tigerbeetle"])
def server_settings(request, settings_for, redis_server) -> Settings:
    settings = structs.replace(settings_for(""), redis_url=redis_server.url())
    if request.param == "tigerbeetle":
        addresses = request.getfixturevalue("tigerbeetle")
        settings = structs.replace(settings, ledger="tigerbeetle", tigerbeetle_addresses=addresses)
    return settings


@pytest.fixture(scope="module")
async def told(server_settings, new_database) -> Told:
    """A book in which all has happened that an income statement tells apart, in two halves."""
    dsn = await new_database()
    settings = structs.replace(server_settings, database_url=dsn)
    # The tests of all files share one TigerBeetle, so each story has a ledger of its own there.
    await as_owner(
        settings, f"alter table wallet.assets alter column ledger restart with {new_ledger()}"
    )
    async with open_story(settings) as story:
        customer = await story.customer(NASTY, paid(100), promotional(50), overdraft=10)
        await story.sell_tokens(NASTY)
        await story.use(NASTY, "tokens", "1234.56789012")
        await story.debit(customer, 3)
        hold = await story.hold(customer, 20)
        await story.capture(customer, hold, 12)
        await story.refund(customer, hold, 2)
        await story.hold(customer, 1)  # pending: in no report
        await asyncio.sleep(0.05)
        middle = datetime.now(UTC)
        await asyncio.sleep(0.05)
        poor = await story.customer("poor", paid(10))
        await story.capture(poor, await story.hold(poor, 10), 14)
        await tell_units(story, poor)
        await story.sell_hours(poor, "poor")
        await tell_invoices(story, customer)
        await as_owner(
            settings,
            "update wallet.grants set expires_at = now() - interval '1 second' "
            "where kind = 'promotional'",
        )
        await expire_grants(story.services, Term(1))
        totals: dict[tuple[str, int], tuple[int, int]] = {}
        async with story.services.database.worker.acquire() as connection:
            rows = await connection.fetch("select code, ledger from wallet.assets")
        for row in rows:
            found = await reconciliation.trial_balance(story.services.ledger, row["ledger"])
            for line in found.lines:
                sums = line.balance.debits_posted, line.balance.credits_posted
                if any(sums):
                    totals[row["code"], line.code] = sums
    return Told(settings, middle, totals)


async def tell_units(story: Story, customer) -> None:
    """Native units whose codes other programs cannot take as they are."""
    for code, scale in (("TRUE", 0), ("GPU_", 2), ("GPU__", 18)):
        async with story.services.database.tenant(story.organization_id) as connection:
            row = await assets.create(
                connection,
                story.organization_id,
                code=code,
                name='GPU "hours" \\',
                kind="unit",
                scale=scale,
                now=datetime.now(UTC),
            )
        funding = structs.replace(paid(1), amount_minor=123_456_789)
        await story.wallet(customer, "poor", funding, asset=row.asset())


async def tell_invoices(story: Story, customer) -> None:
    book, now = story.services.invoice_book, datetime.now(UTC)
    place = story.organization_id, customer
    requests = [
        SettleRequest(
            invoice_id=new_uuid(now),
            revision=1,
            currency="USD",
            invoice_type="subscription",
            fees_minor=200 * USD,
            coupons_minor=USD,
            taxes_minor=2 * USD,
            debited_minor=USD // 7,
            uses_wallets=True,
            payables=[Payable(fee_id=new_uuid(now), fee_type="subscription", amount_minor=5 * USD)],
        )
        for _ in range(2)
    ]
    first, second = [await book.settle(*place, request, now=now) for request in requests]
    invoice_id = requests[0].invoice_id
    payment = PayRequest(
        payment_id=new_uuid(now),
        invoice_id=invoice_id,
        currency="USD",
        amount_cents=first.due_cents,
        provider="acme_pay_",
    )
    await book.pay(*place, payment, now=now)
    note = CreditNoteRequest(
        credit_note_id=new_uuid(now),
        invoice_id=invoice_id,
        currency="USD",
        items_cents=100,
        taxes_cents=10,
        credit_cents=70,
        refund_cents=40,
    )
    await book.issue_credit_note(*place, note, now=now)
    await book.refund_credit_note(*place, note, now=now)
    void = VoidRequest(invoice_id=requests[1].invoice_id, currency="USD", settlement=second)
    await book.void(*place, void, now=now)


@pytest.fixture
def run(told: Told, tmp_path: Path) -> Run:
    """Run `wallet report`, in a thread with its own loop."""
    environment = {
        "WALLET_DATABASE_URL": told.settings.database_url,
        "WALLET_LEDGER": told.settings.ledger,
        "WALLET_TIGERBEETLE_ADDRESSES": told.settings.tigerbeetle_addresses,
        "WALLET_DATA_DIR": str(tmp_path),
        "COLUMNS": "160",
    }

    async def invoke(*arguments: object) -> Result:
        return await asyncio.to_thread(
            CliRunner().invoke, main, ["report", *map(str, arguments)], env=environment
        )

    return invoke


def rows_of(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def minor(row: dict[str, str], column: str) -> int:
    scale = {"TRUE": 0, "GPU_": 2, "HOURS": 2, "GPU__": 18}.get(row["asset_code"], 9)
    return int(Decimal(row[column]).scaleb(scale))


async def test_the_trial_balance_is_that_of_the_ledger(run, told):
    rows = rows_of(await run("trial-balance", "--format", "csv"))
    sums: dict[tuple[str, int], tuple[int, int]] = {}
    for row in rows:
        code = AccountCode[row["account"].split(":")[0].upper()]
        debits, credits_ = sums.get((row["asset_code"], code), (0, 0))
        sums[row["asset_code"], code] = (
            debits + minor(row, "debits"),
            credits_ + minor(row, "credits"),
        )
    assert sums == told.totals
    assert {row["opening"] for row in rows} == {"0"}


async def test_what_was_before_is_the_opening_balance_of_what_follows(run, told):
    middle = told.middle.isoformat()
    before = rows_of(await run("trial-balance", "--format", "csv", "--to", middle))
    after = rows_of(await run("trial-balance", "--format", "csv", "--from", middle))
    whole = rows_of(await run("trial-balance", "--format", "csv"))
    closing = {(row["asset_code"], row["account"]): row["closing"] for row in before}
    assert closing
    for row in after:
        assert row["opening"] == closing.get((row["asset_code"], row["account"]), "0")
    assert [row["closing"] for row in after] == [row["closing"] for row in whole]


async def test_revenue_is_told_by_who_paid_and_what_it_was_for(run):
    rows = rows_of(await run("revenue", "--format", "csv", "--by", "total", "--asset", "USD"))
    amounts = {(row["section"], row["line"]): Decimal(row["amount"]) for row in rows}
    usage = sum(amount for (_, line), amount in amounts.items() if line.startswith("usage"))
    assert usage == Decimal("12.3456789012").quantize(Decimal("1e-9")) + 3 + 12 - 2 + 14
    assert amounts["revenue", "usage_overage"] == 4
    debited = Decimal(10**9 // 7).scaleb(-9)
    assert amounts["revenue", "invoiced"] == 2 * (200 - debited)
    assert amounts["revenue", "invoices_voided"] + 200 - debited == pytest.approx(0, abs=0.01)
    assert amounts["revenue", "credit_notes"] == -1
    assert amounts["discounts", "coupons"] == -2
    assert amounts["discounts", "invoices_voided"] == 1
    assert amounts["promotions", "credits_granted"] == -50
    assert amounts["taxes", "invoiced"] == 4
    assert amounts["taxes", "credit_notes"] == Decimal("-0.1")


async def test_units_are_earned_at_what_was_paid_for_them(run):
    rows = rows_of(await run("revenue", "--format", "csv", "--by", "total"))
    amounts = {(row["asset_code"], row["line"]): row["amount"] for row in rows}
    assert amounts["EUR", "units_used"] == "100"
    assert amounts["HOURS", "usage_paid"] == "40"


async def test_revenue_by_metric_is_all_revenue(run):
    total = rows_of(await run("revenue", "--format", "csv", "--by", "total", "--asset", "USD"))
    for by in ("metric", "plan", "subscription"):
        rows = rows_of(await run("revenue", "--format", "csv", "--by", by, "--asset", "USD"))
        assert sum(Decimal(row["amount"]) for row in rows) == sum(
            Decimal(row["amount"]) for row in total
        )
        found = {row[by]: row["amount"] for row in rows if row["line"] == "usage"}
        name = {"metric": "tokens", "plan": "tokens", "subscription": NASTY}[by]
        assert found[name] == "12.345678901"


async def test_what_is_owed_is_what_the_accounts_say(run, told):
    rows = rows_of(await run("liabilities", "--format", "csv", "--from", told.middle.isoformat()))
    owed = {(row["asset_code"], row["line"]): row for row in rows}
    debits, credits_ = told.totals["USD", AccountCode.GRANT_PAID]
    line = owed["USD", "paid_credits"]
    assert minor(line, "closing") == credits_ - debits
    assert Decimal(line["closing"]) == (
        Decimal(line["opening"]) + Decimal(line["increase"]) - Decimal(line["decrease"])
    )
    assert owed["USD", "overage"]["closing"] == "4"
    assert owed["USD", "customer_credit"]["closing"] == "0.7"
    assert owed["USD", "promotional_credits"]["closing"] == "1"  # held still
    assert owed["EUR", "deferred_revenue"]["increase"] == "250"
    assert owed["EUR", "deferred_revenue"]["closing"] == "150"
    assert owed["HOURS", "paid_credits"]["closing"] == "60"
    assert owed["GPU_", "paid_credits"]["closing"] == "1234567.89"


async def test_tables_show_names_as_they_are_and_sums(run):
    result = await run("revenue", "--by", "subscription")
    assert result.exit_code == 0, result.output
    assert "[2099-13-01]" in result.output.replace("\n", "")
    assert "net income" in result.output
    result = await run("trial-balance")
    assert "payments:acme_pay_" not in result.output  # no row of ours names this provider
    assert "issued:GPU_" in result.output


@pytest.mark.parametrize("by", ["transfer", "day"])
@pytest.mark.parametrize("half", ["whole", "first", "second"])
async def test_beancount_accepts_the_journal(run, told, tmp_path, by, half):
    path = tmp_path / "book.beancount"
    result = await run(
        "trial-balance", "--format", "beancount", "--by", by, *times(told.middle, half)
    )
    assert result.exit_code == 0, result.output
    path.write_text(result.stdout)
    checked = bean_check(path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert (' * "opening balances"' in result.stdout) == (half == "second")


async def test_beancount_would_notice_the_smallest_difference(run, tmp_path):
    path = tmp_path / "book.beancount"
    text = (await run("revenue", "--format", "beancount")).stdout
    path.write_text(text.replace("12.345678901 USD", "12.345678902 USD"))
    assert "accumulated" in bean_check(path).stderr


@pytest.mark.skipif(HLEDGER is None, reason="hledger is not installed")
@pytest.mark.parametrize("by", ["transfer", "day"])
@pytest.mark.parametrize("half", ["whole", "first", "second"])
async def test_hledger_accepts_the_journal_and_its_balances_are_the_trial_balance(
    run, told, tmp_path, by, half
):
    path = tmp_path / "book.journal"
    given = times(told.middle, half)
    result = await run("liabilities", "--format", "hledger", "--by", by, *given)
    assert result.exit_code == 0, result.output
    path.write_text(result.stdout)
    checked = hledger(path, "check", "--strict")
    assert (checked.returncode, checked.stderr) == (0, "")
    listed = hledger(path, "balance", "--flat", "--no-total", "--layout", "bare", "-O", "csv")
    balances = {
        (row["commodity"], row["account"]): Decimal(row["balance"])
        for row in csv.DictReader(io.StringIO(listed.stdout))
        if Decimal(row["balance"])
    }
    trial = rows_of(await run("trial-balance", "--format", "csv", *given))
    expected = [Decimal(row["closing"]) for row in trial if Decimal(row["closing"])]
    assert sorted(balances.values()) == sorted(expected)
    by_name = {(row["asset_code"], row["account"]): row["closing"] for row in trial}
    assert balances["USD", "Income:Revenue"] == Decimal(by_name["USD", "revenue"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("revenue", "--from", "2999-01-01"), "--from must be in the past"),
        (("revenue", "--from", "2025-02-01", "--to", "2025-02-01"), "must be before --to"),
        (("liabilities", "--by", "day"), "is for journals"),
        (("revenue", "--by", "plan", "--format", "hledger"), "by transfer or by day"),
        (("revenue", "--asset", "NOPE"), "there is no asset NOPE"),
        (("revenue", "--organization", new_uuid(datetime.now(UTC))), "there is no organization"),
        (("liabilities", "--by", "metric"), "Invalid value for '--by'"),
    ],
)
async def test_what_makes_no_sense_is_said_in_a_line(run, arguments, message):
    result = await run(*arguments)
    assert result.exit_code in {1, 2}
    assert message in result.output
    assert "Traceback" not in result.output


async def test_a_time_in_which_nothing_moved_has_a_journal_too(run, told, tmp_path):
    given = ("--to", (told.middle - timedelta(days=400)).isoformat())
    assert "nothing has moved" in (await run("revenue", *given)).output
    path = tmp_path / "book.beancount"
    path.write_text((await run("revenue", "--format", "beancount", *given)).stdout)
    assert bean_check(path).returncode == 0


def times(middle: datetime, half: str) -> tuple[str, ...]:
    return {
        "whole": (),
        "first": ("--to", middle.isoformat()),
        "second": ("--from", middle.isoformat()),
    }[half]


def bean_check(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BEAN_CHECK, "--no-cache", path], capture_output=True, text=True, check=False
    )


def hledger(path: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert HLEDGER is not None
    return subprocess.run(
        [HLEDGER, command, "-f", path, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"LANG": "C.UTF-8"},
    )
