"""Taxes and coupons of invoices from the billing run to the book, and tax services that fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from uuid import UUID

import pytest
from msgspec import structs

from invoicing import add_ons, applied_coupons, coupons, taxes
from invoicing.applied_coupons import Terms
from invoicing.errors import NotAllowed
from invoicing.one_off_fees import OneOffFee
from invoicing.tax_services import TaxedLine, TaxedPlace, TaxQuestion, TaxServiceFailed
from invoicing.tax_shares import TaxTerms
from invoicing.taxes import TaxChanges
from tests.invoicing.fee_lines import number
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story
from wallet_service import tax_service_http, tax_services
from wallet_service.errors import Unavailable
from wallet_service.invoice_finishing import worker_transactions
from wallet_service.invoice_previews import PreviewRequest
from wallet_service.invoices import Invoices
from wallet_service.jobs.billing import retry_failed
from wallet_service.jobs.leader import Term
from wallet_service.one_off_invoices import OneOffRequest
from wallet_service.tax_service_http import HttpTaxService


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        yield Months(story)


class Elsewhere:
    """A tax service that fails until it is told what the rate is."""

    def __init__(self) -> None:
        self.rate: Decimal | None = None
        self.fails_with = "unreachable"
        self.asked: list[TaxQuestion] = []

    async def taxes(self, question: TaxQuestion, /) -> Mapping[UUID, Sequence[TaxTerms]]:
        self.asked.append(question)
        if self.rate is None:
            raise TaxServiceFailed(self.fails_with, "gone")
        sales = TaxTerms(code="sales", name="Sales tax", rate=self.rate)
        return {one.id: [sales] for one in question.lines}


def asking(months: Months, service: Elsewhere) -> Invoices:
    services = months.services
    return Invoices(
        database=services.database,
        book=services.invoice_book,
        credit_notes=services.credit_notes,
        tax_service=service,
    )


async def tax(months: Months, code: str, rate: int, *, is_everybodys: bool = False) -> None:
    changes = TaxChanges(
        code=code, name=code, rate=Decimal(rate), applied_to_organization=is_everybodys
    )
    async with months.services.database.tenant(months.organization_id) as connection:
        await taxes.create(connection, months.organization_id, changes, now=day(1, 1))


async def coupon(months: Months, customer: str, cents: int) -> UUID:
    changes = coupons.CouponChanges(
        code="off",
        name="Off",
        coupon_type="fixed_amount",
        amount_cents=cents,
        amount_currency="USD",
        frequency="once",
    )
    async with months.services.database.tenant(months.organization_id) as connection:
        await coupons.create(connection, months.organization_id, changes, now=day(1, 1))
        applied = await applied_coupons.apply_coupon(
            connection,
            months.organization_id,
            external_customer_id=customer,
            coupon_code="off",
            terms=Terms(),
            now=day(1, 1),
        )
    return applied.id


async def left_of(months: Months, applied: UUID) -> tuple[str, int | None]:
    async with months.services.database.tenant(months.organization_id) as connection:
        found = await applied_coupons.get(connection, months.organization_id, applied)
    return found.status, found.amount_cents_remaining


async def test_an_invoice_is_lowered_then_taxed_and_gives_back_when_it_is_voided(months):
    await tax(months, "vat", 20, is_everybodys=True)
    await months.plan("pro", amount_cents=10_000)
    await months.customer("acme", has_wallet=False, currency="USD")
    applied = await coupon(months, "acme", 15_000)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.bill(day(4, 1))

    (invoice,) = await months.invoices()

    assert invoice.coupons_amount_cents == 10_000
    assert (invoice.taxes_amount_cents, invoice.total_amount_cents) == (0, 0)
    assert await left_of(months, applied) == ("active", 5_000)

    await months.bill(day(5, 1))
    second = max(await months.invoices(), key=lambda one: one.issuing_date)

    assert (second.coupons_amount_cents, second.taxes_amount_cents) == (5_000, 1_000)
    assert second.total_amount_cents == 6_000
    assert second.applied_taxes[0]["tax_code"] == "vat"
    assert await left_of(months, applied) == ("terminated", 0)
    await months.check()

    await months.services.invoices.void(months.organization_id, second.id, now=day(5, 2))
    assert await left_of(months, applied) == ("active", 5_000)
    await months.check()


async def test_what_a_tax_service_says_is_what_an_invoice_is_taxed_by(months):
    await tax(months, "vat", 20, is_everybodys=True)
    await months.plan("pro", amount_cents=10_000)
    await months.customer("acme", has_wallet=False, currency="USD", country="US", state="NY")
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    service = Elsewhere()
    service.rate = Decimal("8.875")

    await bill(months, asking(months, service))

    (invoice,) = await months.invoices()
    assert (invoice.status, invoice.taxes_amount_cents) == ("finalized", 888)
    assert invoice.applied_taxes[0]["tax_id"] is None
    (question,) = service.asked
    assert (question.customer.state, question.lines[0].amount_cents) == ("NY", 10_000)
    await months.check()


async def test_an_invoice_whose_taxes_nobody_says_has_failed_and_may_be_tried_again(months):
    await months.plan("pro", amount_cents=10_000)
    await months.customer("acme", has_wallet=False, currency="USD")
    applied = await coupon(months, "acme", 1_000)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    service = Elsewhere()
    desk = asking(months, service)

    await bill(months, desk)

    (failed,) = await months.invoices()
    assert failed.status == "failed"
    assert failed.error_details == [
        {"error_code": "tax_error", "details": {"tax_error": "unreachable", "message": "gone"}}
    ]
    assert await left_of(months, applied) == ("active", 1_000)
    await bill(months, desk)
    assert len(await months.invoices()) == 1

    still = await desk.retry(months.organization_id, failed.id, now=day(4, 2))
    assert still.status == "failed"
    service.rate = Decimal(10)
    final = await desk.retry(months.organization_id, failed.id, now=day(4, 3))

    assert (final.status, final.total_amount_cents, final.error_details) == ("finalized", 9_900, [])
    assert await left_of(months, applied) == ("terminated", 0)
    with pytest.raises(NotAllowed):
        await desk.retry(months.organization_id, failed.id, now=day(4, 3))
    await months.check()


async def test_what_is_billed_by_hand_may_fail_and_be_tried_again_too(months):
    await months.customer("acme", has_wallet=False, currency="USD")
    await tax(months, "books", 5)
    async with months.services.database.tenant(months.organization_id) as connection:
        book = add_ons.AddOnChanges(
            code="book", name="Book", amount_cents=1000, amount_currency="USD", tax_codes=["books"]
        )
        await add_ons.create(connection, months.organization_id, book, now=day(1, 1))
    request = OneOffRequest(external_customer_id="acme", fees=[OneOffFee(add_on_code="book")])
    own = await months.services.invoices.create_one_off(
        months.organization_id, request, now=day(4, 1)
    )
    assert own.taxes_amount_cents == 50

    service = Elsewhere()
    desk = asking(months, service)
    failed = await desk.create_one_off(months.organization_id, request, now=day(4, 1))
    assert failed.status == "failed"
    service.rate = Decimal(10)
    final = await desk.retry(months.organization_id, failed.id, now=day(4, 2))

    assert (final.status, final.total_amount_cents) == ("finalized", 1_100)
    await months.check()


async def test_what_is_billed_in_advance_asks_a_tax_service_too_and_is_tried_again_by_itself(
    months,
):
    await months.metric("tokens")
    await months.metric("calls")
    await months.plan(
        "pro",
        standard("tokens", "1", pay_in_advance=True),
        standard("calls", "1", pay_in_advance=True, invoiceable=False),
        amount_cents=10_000,
    )
    await months.customer("acme", has_wallet=False, currency="USD")
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 2))
    await months.use("acme-1", "calls", "7", at=day(3, 2))
    service = Elsewhere()
    desk, opened = asking(months, service), worker_transactions(months.services.database)
    assert await desk.advance.run(opened, now=day(3, 3)) == 1
    (failed,) = await months.invoices()
    assert (failed.status, failed.fees_amount_cents) == ("failed", 1_000)
    assert await tries(months) == (1, 60)
    words = (
        "select payload from invoicing.outbox where webhook_type = 'customer.tax_provider_error'"
    )
    told = json.loads(await months.story.read(words))
    assert (told["external_customer_id"], told["provider_error"]["error_code"]) == (
        "acme",
        "unreachable",
    )
    services = structs.replace(months.services, invoices=desk)
    term = Term(0)
    assert await retry_failed(services, term) == 0
    assert (await tries(months))[0] == 2
    assert await retry_failed(services, term) == 0  # it waits
    assert (await tries(months))[0] == 2
    await months.story.read(
        "update invoicing.invoices set try_again_at = now() - interval '1 minute' returning id"
    )
    service.rate = Decimal(10)
    assert await retry_failed(services, term) == 1
    (final,) = await months.invoices()
    assert (final.status, final.total_amount_cents, final.id) == ("finalized", 1_100, failed.id)

    await months.use("acme-1", "calls", "3", at=day(3, 5))
    assert await desk.advance.run(opened, now=day(3, 6)) == 1
    stand_alone = "select taxes_amount_cents from invoicing.fees where invoice_id is null"
    assert await months.story.read(stand_alone) == 30
    await bill(months, desk)
    period = (await months.invoices())[-1]
    assert period.fees_amount_cents == 10_000 + 700  # the fee whose taxes nobody said
    assert period.taxes_amount_cents == 1_070
    await months.check()


async def tries(months: Months) -> tuple[int, int]:
    async with months.services.database.tenant(months.organization_id) as connection:
        row = await connection.fetchrow(
            "select failed_tries, extract(epoch from try_again_at - updated_at)::int as waits"
            " from invoicing.invoices where status = 'failed'"
        )
    assert row is not None
    return row["failed_tries"], row["waits"]


async def test_a_preview_has_the_taxes_of_a_tax_service_or_is_not_made(months):
    await tax(months, "vat", 20, is_everybodys=True)
    await months.plan("pro", amount_cents=10_000)
    await months.customer("acme", has_wallet=False, currency="USD")
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    service = Elsewhere()
    desk = asking(months, service)
    request = PreviewRequest(external_customer_id="acme", external_subscription_ids=["acme-1"])
    with pytest.raises(Unavailable, match="tax service"):
        await desk.preview(months.organization_id, request, now=day(3, 2))
    service.rate = Decimal(10)
    shown = await desk.preview(months.organization_id, request, now=day(3, 2))
    assert shown.totalled.invoice.taxes_amount_cents == 1_000
    foreseen = [one async for one in desk.billing.foresee(until=day(4, 1), now=day(4, 1))]
    assert [one.invoice.taxes_amount_cents for one in foreseen] == [0]
    assert desk.billing.asks_for_taxes
    assert len(service.asked) == 2


async def bill(months: Months, desk: Invoices) -> None:
    opened = worker_transactions(months.services.database)
    await desk.bill(opened, until=day(4, 1), now=day(4, 1), organization_id=months.organization_id)


LINE = str(number(1))
TAXED = {"id": LINE, "taxes": [{"code": "sales", "name": "Sales", "rate": 8.875}]}


@asynccontextmanager
async def server(
    answer: bytes, status: str = "200 OK", *, pause_s: float = 0
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Somebody who answers every request alike, perhaps in bits with a pause before each."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        heard.append(await reader.readexactly(length))
        reply = f"HTTP/1.1 {status}\r\ncontent-length: {len(answer)}\r\nconnection: close\r\n\r\n"
        writer.write(reply.encode())
        for bit in [answer[at : at + 1] for at in range(len(answer))] if pause_s else [answer]:
            await asyncio.sleep(pause_s)
            writer.write(bit)
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield f"http://127.0.0.1:{port}/taxes", heard


def question() -> TaxQuestion:
    where = TaxedPlace(
        country="US",
        state="NY",
        city=None,
        zipcode=None,
        address_line1=None,
        tax_identification_number=None,
    )
    return TaxQuestion(
        invoice_id=number(9),
        issuing_date=day(4, 1).date(),
        currency="USD",
        external_customer_id="acme",
        customer=where,
        billing_entity_code="default",
        billing_entity=where,
        lines=[
            TaxedLine(
                id=number(1),
                type="subscription",
                item_code="pro",
                name="Pro",
                units=Decimal(1),
                amount_cents=10_000,
            )
        ],
    )


async def test_a_service_that_is_silent_is_not_waited_for_by_each_invoice(months, monkeypatch):
    monkeypatch.setattr(tax_services, "_AT_ONCE", 1)
    monkeypatch.setattr(tax_services, "_SILENT_MAX", 1)
    await months.plan("pro", amount_cents=1000)
    for name in ("acme", "bolt", "cove"):
        await months.customer(name, has_wallet=False, currency="USD")
        await months.subscribe(name, "pro", name, at=day(3, 1))
    service = Elsewhere()
    desk, opened = asking(months, service), worker_transactions(months.services.database)
    await desk.billing.run(opened, until=day(4, 1), now=day(4, 1))
    assert [one.status for one in await months.invoices()] == ["failed"] * 3
    assert len(service.asked) == 1
    services = structs.replace(months.services, invoices=desk)
    assert await retry_failed(services, Term(0)) == 0
    assert len(service.asked) == 2
    service.rate = Decimal(10)
    assert await retry_failed(services, Term(0)) == 2  # the third has just been tried
    assert len(service.asked) == 4


def one_tax(**wrong: object) -> dict[str, object]:
    return {"lines": [{"id": LINE, "taxes": [{"code": "a", "name": "a", "rate": 1} | wrong]}]}


async def test_a_service_is_asked_over_http_for_every_line():
    async with server(json.dumps({"lines": [TAXED]}).encode()) as (url, heard):
        service = HttpTaxService(url, timeout_s=60)
        found = await service.taxes(question())
        await service.close()

    assert found == {
        number(1): [TaxTerms(code="sales", name="Sales", rate=Decimal("8.875"))],
    }
    asked = json.loads(heard[0])["invoice"]
    assert (asked["currency"], asked["lines"][0]["id"]) == ("USD", LINE)


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        ({"lines": [TAXED]}, "504 Gateway Timeout", "unreachable"),
        ({"lines": [TAXED]}, "429 Too Many Requests", "unreachable"),
        ({"lines": [TAXED]}, "422 Unprocessable Content", "refused"),
        ({"lines": []}, "200 OK", "invalid_answer"),
        ([], "200 OK", "invalid_answer"),
        ({"lines": [{"id": "x"}]}, "200 OK", "invalid_answer"),
        (one_tax(rate=-1), "200 OK", "invalid_answer"),
        (one_tax(rate="NaN"), "200 OK", "invalid_answer"),
        (one_tax(rate="1_9"), "200 OK", "invalid_answer"),
        (one_tax(code=""), "200 OK", "invalid_answer"),
        (one_tax(code="\x00"), "200 OK", "invalid_answer"),
    ],
)
async def test_an_answer_that_says_no_taxes_is_a_failure(answer, status, reason):
    async with server(json.dumps(answer).encode(), status) as (url, _):
        service = HttpTaxService(url, timeout_s=60)
        with pytest.raises(TaxServiceFailed) as failed:
            await service.taxes(question())
        await service.close()
    assert failed.value.reason == reason


async def test_a_service_that_is_not_there_is_a_failure():
    service = HttpTaxService("http://127.0.0.1:1/taxes", timeout_s=1)
    with pytest.raises(TaxServiceFailed) as failed:
        await service.taxes(question())
    await service.close()
    assert failed.value.reason == "unreachable"


async def test_a_service_that_answers_in_drips_or_without_end_is_a_failure(monkeypatch):
    async with server(b" " * 6, pause_s=0.1) as (url, _):
        service = HttpTaxService(url, timeout_s=0.3)
        with pytest.raises(TaxServiceFailed) as failed:
            await service.taxes(question())
        await service.close()
    assert failed.value.reason == "unreachable"
    monkeypatch.setattr(tax_service_http, "_ANSWER_BYTES_MAX", 1000)
    async with server(b" " * 1001) as (url, _):
        service = HttpTaxService(url, timeout_s=60)
        with pytest.raises(TaxServiceFailed, match="too long"):
            await service.taxes(question())
        await service.close()
