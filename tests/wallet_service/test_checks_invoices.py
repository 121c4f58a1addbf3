"""Invoices tie out with their lines, the book and each other, and what is planted is found."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import asyncpg
import pytest
from msgspec import structs

from invoicing import applied_coupons, coupons, taxes
from invoicing.applied_coupons import Terms
from invoicing.coupons import CouponChanges
from invoicing.credit_note_amounts import Item, Parts
from ledger.engines import open_ledger
from tests.conftest import new_ledger
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import as_owner, open_story, paid, promotional
from wallet_service.checks import running
from wallet_service.checks.running import Result, run_checks
from wallet_service.credit_notes import Wanted
from wallet_service.database import Database
from wallet_service.payments import NewPayment
from wallet_service.settings import Settings


@pytest.fixture(scope="module", params=["postgres", "tigerbeetle"])
def server_settings(request, redis_server, settings_for) -> Settings:
    settings = structs.replace(settings_for(""), redis_url=redis_server.url())
    if request.param == "tigerbeetle":
        addresses = request.getfixturevalue("tigerbeetle")
        settings = structs.replace(settings, ledger="tigerbeetle", tigerbeetle_addresses=addresses)
    return settings


@pytest.fixture(scope="module")
async def billed(server_settings, new_database) -> str:
    """The name of a database with invoices that were paid, credited, voided and billed again."""
    dsn = await new_database()
    settings = structs.replace(server_settings, database_url=dsn)
    name = urlsplit(dsn).path.strip("/")
    # The tests of all files share one TigerBeetle, so each story has a ledger of its own there.
    await as_owner(
        settings, f"alter table wallet.assets alter column ledger restart with {new_ledger()}"
    )
    async with open_story(settings) as story:
        await tell(Months(story))
    return name


async def tell(months: Months) -> None:
    services, organization = months.services, months.organization_id
    now = datetime.now(UTC)
    await months.metric("tokens")
    await months.plan("pro", standard("tokens", "0.0033"), amount_cents=20_00)
    for name, fundings in (("acme", (paid(12), promotional(3))), ("poor", ())):
        await months.customer(name, *fundings, has_wallet=bool(fundings))
        await months.subscribe(name, "pro", name, at=day(3, 1))
        for number in range(3):
            await months.use(name, "tokens", "101", at=day(3, 10 + number))
    async with services.database.tenant(organization) as connection:
        await taxes.create(
            connection,
            organization,
            taxes.TaxChanges(
                code="vat", name="VAT", rate=Decimal("19.5"), applied_to_organization=True
            ),
            now=day(3, 1),
        )
        lower = CouponChanges(
            code="ten",
            name="Ten",
            coupon_type="percentage",
            percentage_rate=Decimal("10.5"),
            frequency="forever",
            expiration="no_expiration",
        )
        await coupons.create(connection, organization, lower, now=day(3, 1))
        await applied_coupons.apply_coupon(
            connection,
            organization,
            external_customer_id="poor",
            coupon_code="ten",
            terms=Terms(),
            now=day(3, 1),
        )
    await months.bill(day(4, 1))
    first = await months.invoices()
    assert len(first) == 2
    poor = next(one for one in first if one.coupons_amount_cents)
    acme = next(one for one in first if one is not poor)
    assert poor.taxes_amount_cents
    await services.payments.create(
        organization, poor.id, NewPayment(amount_cents=10_00, reference="wire"), now=now
    )
    (line, *_) = await months.lines(poor)
    item = Item(fee_id=line.id, amount_cents=5_00, precise_amount_cents=Decimal(5_00))
    note = Wanted(items=[item], parts=Parts(credit_cents=3_00, offset_cents=2_34))
    await services.credit_notes.create(organization, poor.id, note, now=now)
    await services.invoices.void(organization, acme.id, now=day(4, 2))
    await services.invoices.regenerate(organization, acme.id, now=day(4, 2))
    await months.bill(day(5, 1))
    assert len(await months.invoices()) == 5


_copies = itertools.count(1)


@pytest.fixture
async def settings(billed, server_settings, postgres, monkeypatch) -> Settings:
    """A copy of the story's database, to be spoilt."""
    name = f"{billed}_copy_{next(_copies)}"
    connection = await asyncpg.connect(postgres.url("postgres"))
    await connection.execute(f"create database {name} template {billed}")
    await connection.close()
    monkeypatch.setattr(running, "_PAUSE_S", 0.05)
    return structs.replace(server_settings, database_url=postgres.url(name))


async def look(settings: Settings) -> list[Result]:
    async with await Database.open(settings) as database:
        ledger = open_ledger(
            settings.ledger, pool=database.worker, addresses=settings.tigerbeetle_addresses
        )
        try:
            return await run_checks(database, ledger)
        finally:
            await ledger.close()


async def test_nothing_is_wrong_with_what_was_billed(settings):
    results = await look(settings)
    assert {one.invariant: one.breaches for one in results if one.breaches} == {}
    assert next(one.checked for one in results if one.invariant == "I12") >= 5


PLANTED = {
    "a line that was changed": (
        (
            "update invoicing.fees set amount_cents = amount_cents + 1 "
            "where id = (select id from invoicing.fees where amount_cents > 0 limit 1)"
        ),
        ("fees, progressive", "it is not what was sent"),
    ),
    "a line that was lost": (
        "update invoicing.fees set deleted_at = now() where fee_type = 'charge'",
        ("fees, progressive", "it is not what was sent"),
    ),
    "a coupon that was lost": (
        "delete from invoicing.invoice_credits where kind = 'coupon'",
        ("fees, progressive", "it is not what was sent"),
    ),
    "words of a line that were changed": (
        "update invoicing.fees set invoice_display_name = 'Free'",
        ("it is not what was sent",),
    ),
    "units of a line that were changed": (
        "update invoicing.fees set units = units + 0.000000001 where fee_type = 'charge'",
        ("it is not what was sent",),
    ),
    "another address": (
        "update invoicing.invoices set customer_as_billed = '{}'",
        ("it is not what was sent",),
    ),
    "another number": (
        "update invoicing.invoices set number = number || 'x'",
        ("it is not what was sent",),
    ),
    "another hash": (
        "update invoicing.invoices set content_hash = sha256('') where content_hash is not null",
        ("it is not what was sent",),
    ),
    "an invoice that asks for more": (
        "update invoicing.invoices set total_amount_cents = total_amount_cents + 1",
        ("fees, progressive", "it comes to", "its invoices ask for", "it is not what was sent"),
    ),
    "a true-up that was not booked": (
        (
            "update invoicing.invoices set settlement = jsonb_set(settlement, '{debited_minor}', "
            "to_jsonb((settlement ->> 'debited_minor')::numeric + 1)) where settlement is not null"
        ),
        ("it comes to",),
    ),
    "a leg that is listed and not booked": (
        (
            "update invoicing.invoices set settlement = jsonb_set(settlement, '{transfers,0,id}', "
            "to_jsonb(gen_random_uuid())) where status = 'finalized'"
        ),
        ("it comes to",),
    ),
    "a void that was forgotten in the book": (
        (
            "update invoicing.invoices "
            "set settlement = jsonb_set(settlement, '{voided,transfers}', '[]') "
            "where status = 'voided'"
        ),
        ("is voided, and",),
    ),
    "an invoice that is void, neither taken back nor credited": (
        "update invoicing.invoices set settlement = settlement - 'voided' where status = 'voided'",
        ("is voided, and",),
    ),
    "a payment that was not booked": (
        (
            "update invoicing.invoices set total_paid_amount_cents = total_paid_amount_cents + 1 "
            "where status = 'finalized'"
        ),
        ("its invoices ask for",),
    ),
    "a credit note that is worth more": (
        "update invoicing.credit_notes set balance_amount_cents = balance_amount_cents + 1",
        ("its credit notes are worth",),
    ),
    "a number that nobody has": (
        "update invoicing.number_series set last = last + 1",
        (
            "series customers",
            "series invoices:",
            "series credit_notes:",
            "series payment_receipts:",
        ),
    ),
    "a series that begins anew": (
        "delete from invoicing.number_series where series like 'invoices:%'",
        ("series invoices:",),
    ),
    "usage that is billed twice": (
        (
            "insert into invoicing.billed_periods select organization_id, subscription_id, "
            "billing_at + interval '1 hour', reason, invoice_id, plan_id, from_at, to_at, "
            "charges_from_at + interval '1 hour', charges_to_at, fixed_charges_from_at, "
            "fixed_charges_to_at, sealed_xact_id, created_at, moment "
            "from invoicing.billed_periods where charges_to_at is not null limit 1"
        ),
        ("was billed at",),
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
async def test_what_is_planted_is_found(settings, planted):
    query, expected = PLANTED[planted]
    await as_owner(settings, query)
    (found,) = [one for one in await look(settings) if one.invariant == "I12"]
    for words in expected:
        assert any(words in breach for breach in found.breaches), found.breaches


async def test_a_leg_of_another_amount_is_found(settings):
    if settings.ledger != "postgres":
        pytest.skip("nobody can change what TigerBeetle keeps")
    await as_owner(
        settings, "update ledger.transfers set amount = amount + 1 where code = 21 and phase = 0"
    )
    (found,) = [one for one in await look(settings) if one.invariant == "I12"]
    assert any("it comes to" in breach for breach in found.breaches)
    assert any("its invoices ask for" in breach for breach in found.breaches)
