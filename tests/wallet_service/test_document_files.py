"""Documents of what was really billed: what the page says is what the invoice and the book say."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO

import pytest
from msgspec import structs
from pypdf import PdfReader

from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service.document_files import WAITING_MAX, Documents
from wallet_service.document_forms import Form
from wallet_service.documents.document import Kind
from wallet_service.errors import Busy


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        yield months


async def billed(months: Months):
    """5.00 were debited in March, the wallet's other 7.00 pay for the plan; 13.00 are left."""
    await months.plan("pro", standard("tokens", "0.5"), amount_cents=2000)
    await months.customer("acme", paid(12), legal_name="Acme Ltd")
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    await months.bill(day(4, 1))
    (invoice,) = await months.invoices()
    return invoice


def text_of(pdf: bytes) -> str:
    return "".join("".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


async def test_the_page_says_what_the_book_has_settled(months):
    invoice = await billed(months)
    documents = months.services.documents
    made = await documents.file(months.organization_id, Kind.INVOICE, invoice.id, form=Form.PDF)
    assert made.name == f"{invoice.number}.pdf"
    shown = text_of(made.content)
    for expected in (
        "AcmeLtd",
        "ProSubscriptionfee1$20.00$20.00",
        "Tokens10$0.50$5.00",
        "Paidwhenusagehappened$5.00",
        "Settledwiththisinvoice$7.00",
        "(purchased)$7.00",
        "Alreadypaidfromyourwallet-$12.00",
        "Amountdue$13.00",
    ):
        assert expected in shown, shown
    again = await documents.file(months.organization_id, Kind.INVOICE, invoice.id, form=Form.PDF)
    assert again.content == made.content


async def test_too_many_at_once_are_told_to_come_again(months):
    invoice = await billed(months)
    documents = Documents(months.services.database, fonts="", link_lifetime_s=60)
    asked = [
        documents.file(months.organization_id, Kind.INVOICE, invoice.id, form=Form.CSV)
        for _ in range(WAITING_MAX * 3)
    ]
    results = await asyncio.gather(*asked, return_exceptions=True)
    refused = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, Busy) for error in refused)
    assert len(refused) < len(results)
    assert await documents.file(months.organization_id, Kind.INVOICE, invoice.id, form=Form.CSV)
