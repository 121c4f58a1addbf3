"""Each check passes on a healthy story and finds what is planted: a changed row, a lost one."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
from click.testing import CliRunner
from msgspec import structs

from invoicing.settlements import CreditNoteRequest, Payable, PayRequest, SettleRequest, VoidRequest
from ledger.engines import open_ledger
from ledger.ids import new_uuid
from tests.conftest import new_ledger
from tests.wallet_service.prices import tell_prices
from tests.wallet_service.story import USD, Story, as_owner, open_story, paid, promotional
from wallet_service.budget_terms import AlertThreshold
from wallet_service.checks import running
from wallet_service.checks.running import run_checks
from wallet_service.checks.snapshot import open_snapshot
from wallet_service.cli import main
from wallet_service.database import Database
from wallet_service.decision.budget_windows import Rolling
from wallet_service.errors import InsufficientFunds
from wallet_service.jobs.grants import GrantCloser, expire_grants
from wallet_service.jobs.holds import expire_holds
from wallet_service.jobs.leader import Term
from wallet_service.jobs.reconciliation import Reconciler
from wallet_service.jobs.usage import Folder
from wallet_service.services import Services, open_services
from wallet_service.settings import Settings


@pytest.fixture(scope="module", params=["postgres", "tigerbeetle"])
def engine(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def server_settings(engine, redis_server, settings_for, request) -> Settings:
    settings = structs.replace(settings_for(""), redis_url=redis_server.url())
    if engine == "tigerbeetle":
        addresses = request.getfixturevalue("tigerbeetle")
        settings = structs.replace(settings, ledger=engine, tigerbeetle_addresses=addresses)
    return settings


@pytest.fixture(scope="module")
async def told(server_settings, new_database) -> str:
    """The name of a database in which most of what can happen to money has happened."""
    dsn = await new_database()
    settings = structs.replace(server_settings, database_url=dsn)
    name = urlsplit(dsn).path.strip("/")
    # The tests of all files share one TigerBeetle, so each story has a ledger of its own there.
    await as_owner(
        settings, f"alter table wallet.assets alter column ledger restart with {new_ledger()}"
    )
    async with open_story(settings) as story:
        await tell(story)
        await tell_prices(story)
    return name


_copies = itertools.count(1)


@pytest.fixture
async def settings(told, server_settings, postgres, monkeypatch) -> Settings:
    """A copy of the story's database, to be spoilt."""
    name = f"{told}_copy_{next(_copies)}"
    connection = await asyncpg.connect(postgres.url("postgres"))
    await connection.execute(f"create database {name} template {told}")
    await connection.close()
    monkeypatch.setattr(running, "_PAUSE_S", 0.05)
    return structs.replace(server_settings, database_url=postgres.url(name))


@pytest.fixture
async def services(settings) -> AsyncIterator[Services]:
    async with open_services(settings) as services:
        yield services


async def tell(story: Story) -> None:
    term = Term(1)
    acme = await story.customer("acme", paid(100), promotional(50), overdraft=10)
    await story.budget("ever", 100_000, alert_thresholds=[AlertThreshold(percentage=1)])
    await story.budget("hour", 100_000, window=Rolling(seconds=3600))
    captured = await story.hold(acme, 30)
    await story.capture(acme, captured, 12)
    partly = await story.hold(acme, 30)
    await story.capture(acme, partly, 5, final=False)
    await story.extend(acme, partly, expires_in_s=900)
    await story.void(acme, await story.hold(acme, 7))
    await story.refund(acme, captured, 4)
    await story.debit(acme, 3)
    await story.sell_tokens("acme")
    for code, value in (("tokens", "12"), ("tokens", "30"), ("seats", "ada"), ("seats", "bob")):
        await story.use("acme", code, value)
    assert await Folder().run(story.services, term) == 4
    await story.use("acme", "tokens", "1")
    poor = await story.customer("poor", paid(10))
    await story.sell_hours(poor, "poor")
    overdrawn = await story.hold(poor, 10)
    await story.capture(poor, overdrawn, 14)
    with pytest.raises(InsufficientFunds):
        await story.hold(poor, 1000)
    await story.fund(poor, paid(10))
    late = await story.hold(acme, 1)
    await as_owner(
        story.services.settings,
        "update wallet.authorizations set expires_at = now() - interval '1 second' where id = $1",
        late,
    )
    assert await expire_holds(story.services, term) == 1
    await tell_invoices(story, acme)
    await as_owner(
        story.services.settings,
        "update wallet.grants set expires_at = now() - interval '1 second' "
        "where kind = 'promotional'",
    )
    assert await expire_grants(story.services, term) == 1
    await GrantCloser().run(story.services, term)
    await Reconciler().run(story.services, term)


async def tell_invoices(story: Story, customer: UUID) -> None:
    """Two invoices: one is paid and credited, the other is taken back."""
    book, now = story.services.invoice_book, datetime.now(UTC)
    place = story.organization_id, customer
    requests = [
        SettleRequest(
            invoice_id=new_uuid(now),
            revision=1,
            currency="USD",
            invoice_type="subscription",
            fees_minor=900 * USD,
            coupons_minor=USD,
            taxes_minor=2 * USD,
            debited_minor=USD // 7,
            uses_wallets=True,
            payables=[Payable(fee_id=new_uuid(now), fee_type="subscription", amount_minor=5 * USD)],
        )
        for _ in range(2)
    ]
    first, second = [await book.settle(*place, request, now=now) for request in requests]
    assert first.wallets_minor > 0
    payment = PayRequest(
        payment_id=new_uuid(now),
        invoice_id=requests[0].invoice_id,
        currency="USD",
        amount_cents=first.due_cents,
    )
    await book.pay(*place, payment, now=now)
    note = CreditNoteRequest(
        credit_note_id=new_uuid(now),
        invoice_id=requests[0].invoice_id,
        currency="USD",
        items_cents=100,
        credit_cents=60,
        refund_cents=40,
    )
    await book.issue_credit_note(*place, note, now=now)
    await book.refund_credit_note(*place, note, now=now)
    await book.void_credit_note(*place, note, balance_cents=60, now=now)
    void = VoidRequest(invoice_id=requests[1].invoice_id, currency="USD", settlement=second)
    await book.void(*place, void, now=now)


async def look(services: Services) -> dict[str, list[str]]:
    """What is wrong, by invariant."""
    results = await run_checks(services.database, services.ledger, services.hot)
    return {result.invariant: result.breaches for result in results if result.breaches}


async def test_the_view_of_everything_may_stand_still_for_as_long_as_customers_are_compared(
    services,
):
    async with open_snapshot(services.database, services.ledger) as snapshot:
        shown = await snapshot.connection.fetchval("show idle_in_transaction_session_timeout")
    assert shown == "0"


async def test_nothing_is_wrong_with_a_healthy_story(services):
    results = await run_checks(services.database, services.ledger, services.hot)
    assert {result.invariant: result.breaches for result in results if result.breaches} == {}
    assert [result.invariant for result in results] == [
        *("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I11", "I12", "I14", "I16", "I24"),
        "I25",
    ]
    assert all(result.checked for result in results)
    copied = "select count(*) from wallet.checked_operations"
    assert await services.database.worker.fetchval(copied) == 0


OF_THE_BOOK = {
    "a kept balance that was changed": (
        (
            "update ledger.balances set credits_posted = credits_posted + 1 "
            "where account_id = (select id from wallet.grants where kind = 'paid' limit 1)"
        ),
        "I1",
    ),
    "a folded sum that was changed": (
        "update ledger.house_balances set credits_posted = credits_posted + 1",
        "I1",
    ),
    "an amount that was changed": (
        (
            "update ledger.transfers set amount = amount - 1 where phase = 2 "
            "and id = (select id from ledger.transfers where phase = 2 limit 1)"
        ),
        "I1",
    ),
    "a transfer that was deleted": (
        "delete from ledger.transfers where code = 7 and phase = 0",
        "I2",
    ),
    "a debit that came before its credit": (
        "update ledger.transfers set timestamp = timestamp + 3600000000000 where code = 1",
        "I3",
    ),
    "a chain that is in the book twice": (
        (
            "insert into ledger.transfers select gen_random_uuid(), debit_account_id, "
            "credit_account_id, amount, released, ledger, code, phase, flags, pending_id, "
            "user_data_128, user_data_64, user_data_32, timeout_s, expires_at, timestamp + 1 "
            "from ledger.transfers where code = 7 limit 1"
        ),
        "I5",
    ),
    "a live transfer that nobody knows": (
        (
            "insert into ledger.transfers select gen_random_uuid(), debit_account_id, "
            "credit_account_id, amount, 0, ledger, code, 1, 0, null, user_data_128, user_data_64, "
            "user_data_32, 0, null, timestamp + 1 from ledger.transfers where code = 7 limit 1"
        ),
        "I7",
    ),
    "a role that may delete transfers": (
        "grant delete on ledger.transfers to wallet_worker",
        "I16",
    ),
    "a guard that was switched off": (
        "alter table ledger.transfers disable trigger append_only",
        "I16",
    ),
}

OF_POSTGRES = {
    "an operation that was lost": ("delete from wallet.operations where kind = 'event'", "I2"),
    "a leg of another amount": (
        (
            "update invoicing.events set paid = jsonb_set(paid, '{0,2}', '1')"
            " where jsonb_array_length(paid) > 0"
        ),
        "I2",
    ),
    "a posted operation without a reply": (
        "update wallet.operations set reply = null where kind = 'capture'",
        "I5",
    ),
    "an operation called refused that moved money": (
        "update wallet.operations set state = 'refused', reply = null where kind = 'event'",
        "I6",
    ),
    "a live hold called ended": (
        "update wallet.authorizations set status = 'voided' where status = 'held'",
        "I7",
    ),
    "an ended hold called live": (
        (
            "update wallet.authorizations a set status = 'held', legs = b.legs, expires_at = now() "
            "+ interval '1 hour' from wallet.authorizations b "
            "where a.status = 'voided' and b.status = 'held'"
        ),
        "I7",
    ),
    "a hold that should be over": (
        (
            "update wallet.authorizations set expires_at = now() - interval '1 minute' "
            "where status = 'held'"
        ),
        "I7",
    ),
    "a capture of another amount": (
        (
            "update wallet.authorizations set captured_minor = captured_minor + 1 "
            "where status = 'captured'"
        ),
        "I8",
    ),
    "an overage that is not named": (
        "update wallet.authorizations set overage_minor = 0 where overage_minor > 0",
        "I8",
    ),
    "an exact price that was changed": (
        (
            "update invoicing.events set lines = jsonb_set(lines, '{0,exact}', '1.5') "
            "where code = 'images' and rating_status = 'postpaid'"
        ),
        "I11",
    ),
    "a line of usage that was changed": (
        (
            "update invoicing.events set lines = jsonb_set(lines, '{0,units}', '9') "
            "where code = 'traffic'"
        ),
        "I11",
    ),
    "a property that was changed": (
        (
            "update invoicing.events set properties = jsonb_set(properties, '{region}', '\"us\"') "
            "where code = 'traffic' and properties ->> 'region' = 'eu'"
        ),
        "I11",
    ),
    "a price version that was changed": (
        (
            "update invoicing.events e set plan_version_id = v.id from invoicing.plan_versions v "
            "where v.version = 1 and e.plan_version_id <> v.id and e.code = 'calls'"
        ),
        "I11",
    ),
    "prices that were changed afterwards": (
        (
            "update invoicing.plan_versions set "
            "charges = replace(charges::text, '0.0000000015', '0.0000000014')::jsonb"
        ),
        "I11",
    ),
    "a total that was changed": (
        (
            "update invoicing.events set "
            "lines = jsonb_set(lines, '{0,priced_from,charged}', '0.5') where code = 'payments'"
        ),
        "I11",
    ),
    "a debit that names another transfer": (
        (
            "update invoicing.events set paid = jsonb_set(paid, '{0,0}', "
            "to_jsonb(gen_random_uuid())) where code = 'gpu' and jsonb_array_length(paid) > 0"
        ),
        "I11",
    ),
    "a reversal of another event": (
        (
            "update invoicing.events set reverses_event_id = (select id from invoicing.events "
            "where code = 'calls' limit 1) where reverses_event_id is not null"
        ),
        "I11",
    ),
    "usage of a capture that was lost": (
        "delete from invoicing.events where transaction_id like 'authorization:%:final:0'",
        "I11",
    ),
    "a grant said to be larger": (
        "update wallet.grants set amount_minor = amount_minor + 1 where kind = 'paid'",
        "I14",
    ),
    "an expiry that was forgotten": (
        "update wallet.grants set expired_minor = 0 where expired_minor > 0",
        "I14",
    ),
    "a grant that was lost": ("delete from wallet.grants where kind = 'promotional'", "I14"),
    "revenue of units that was not booked": (
        "update wallet.grants set earned_minor = earned_minor + 1 where deferred_minor > 0",
        "I14",
    ),
    "units that were rolled up twice": (
        "update invoicing.usage_rollups set units = units + 42 where width = 'month'",
        "I24",
    ),
    "an hour of usage that is not in its day": (
        "delete from invoicing.usage_rollups where width = 'hour'",
        "I24",
    ),
    "usage that was folded and not rolled up": (
        "update invoicing.usage_marks set folded_below = pg_current_xact_id()",
        "I24",
    ),
    "a member that was lost": (
        "delete from invoicing.usage_members where member_hash = sha256('ada')",
        "I24",
    ),
    "a bucket that holds what nobody has reserved": (
        "update wallet.budget_buckets set held_minor = held_minor + 1",
        "I25",
    ),
    "spending that was forgotten": ("delete from wallet.budget_windows", "I25"),
    "spending that nobody has done": (
        "update wallet.budget_windows set spent_minor = spent_minor + 1",
        "I25",
    ),
    "an event whose budget was lost": ("delete from wallet.event_budgets", "I25"),
    "an authorization whose budgets were lost": (
        "update wallet.authorizations set budgets = null where status = 'captured'",
        "I25",
    ),
    "more reserved in a budget than is held": (
        "update wallet.authorizations set legs = '\\x90' where status = 'held'",
        "I25",
    ),
    "an event that has spent more than it was charged": (
        (
            "with a as (update wallet.event_budgets set amount_minor = amount_minor * 2 "
            "returning organization_id, budget_id, starts_at, amount_minor / 2 as more) "
            "update wallet.budget_windows w set spent_minor = spent_minor + a.more from a "
            "where w.organization_id = a.organization_id and w.budget_id = a.budget_id "
            "and w.starts_at = a.starts_at"
        ),
        "I25",
    ),
    "a role that may change events": (
        "grant update (timestamp) on invoicing.events to wallet_committer",
        "I16",
    ),
    "a month of events without a guard": (
        "drop trigger append_only on invoicing.events",
        "I16",
    ),
}


async def found_after(settings: Settings, query: str) -> set[str]:
    """The invariants that are broken once something was done that nobody may do."""
    await as_owner(settings, query)
    async with await Database.open(settings) as database:
        ledger = open_ledger(
            settings.ledger, pool=database.worker, addresses=settings.tigerbeetle_addresses
        )
        try:
            results = await run_checks(database, ledger)
        finally:
            await ledger.close()
    return {result.invariant for result in results if result.breaches}


@pytest.mark.parametrize("planted", OF_THE_BOOK)
async def test_what_is_planted_in_the_book_is_found(settings, planted):
    if settings.ledger != "postgres":
        pytest.skip("nobody can change what TigerBeetle keeps")
    query, invariant = OF_THE_BOOK[planted]
    assert invariant in await found_after(settings, query)


@pytest.mark.parametrize("planted", OF_POSTGRES)
async def test_what_is_planted_in_the_rows_is_found(settings, planted):
    query, invariant = OF_POSTGRES[planted]
    assert invariant in await found_after(settings, query)


async def a_customer(services: Services) -> tuple[UUID, UUID]:
    query = "select organization_id, customer_id from wallet.grants where is_open limit 1"
    row = await services.database.worker.fetchrow(query)
    return row["organization_id"], row["customer_id"]


async def test_an_altered_hot_balance_is_found(services):
    place = await a_customer(services)
    state = await services.hot.get(place)
    state.version = 2**63
    state.grants[0].available += 1
    await services.hot.put([state])
    assert list(await look(services)) == ["I4"]
    await services.balances.forget(*place)


async def test_a_customer_that_redis_does_not_know_is_no_breach(services):
    await services.balances.forget(*await a_customer(services))
    assert await look(services) == {}


async def test_the_command_prints_what_it_found_and_ends_with_one_if_anything_is_wrong(
    settings, monkeypatch
):
    monkeypatch.setenv("WALLET_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("WALLET_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("WALLET_LEDGER", settings.ledger)
    monkeypatch.setenv("WALLET_TIGERBEETLE_ADDRESSES", settings.tigerbeetle_addresses)
    monkeypatch.setenv("WALLET_ALLOW_UNSAFE_DATABASE", "true")

    def run(*arguments: str):
        return asyncio.to_thread(CliRunner().invoke, main, ["check", *arguments])

    healthy = await run()
    assert healthy.exit_code == 0, healthy.output
    assert "I14" in healthy.output
    query, _ = OF_POSTGRES["a grant said to be larger"]
    await as_owner(settings, query)
    broken = await run("--json")
    assert broken.exit_code == 1
    breaches = {row["invariant"]: row["breaches"] for row in json.loads(broken.stdout)}
    assert "granted" in breaches["I14"][0]
