"""Documents over HTTP: the files, the links that open them, and who gets neither."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest
from lxml import etree
from msgspec import Struct, structs, to_builtins
from pypdf import PdfReader

from invoicing import billing_entities, credit_notes, fees, invoices, payment_receipts, payments
from invoicing.credit_notes import CreditNote, CreditNoteItem
from invoicing.customers import Customer
from invoicing.fees import Fee
from invoicing.invoices import Invoice
from invoicing.payments import Payment
from invoicing.settlements import GrantPart, Settlement
from ledger.ids import new_uuid
from tests.api.conftest import Service
from tests.api.market import standard
from wallet_service.document_forms import Form
from wallet_service.document_links import Link, read, sign
from wallet_service.documents.document import Kind

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
MIDNIGHTS = datetime(2026, 10, 1, tzinfo=PARIS), datetime(2026, 11, 1, tzinfo=PARIS)
TAX = {
    "tax_id": None,
    "tax_code": "vat",
    "tax_name": "VAT",
    "tax_description": None,
    "tax_rate": Decimal(20),
    "amount_cents": 200,
}


class Issued(Struct, frozen=True, kw_only=True):
    """What has been issued to one customer."""

    invoice: UUID
    draft: UUID
    bare: UUID
    note: UUID
    receipt: UUID


def invoice_of(organization_id: UUID, customer: Any, entity_id: UUID, **terms: Any) -> Invoice:
    return Invoice(
        organization_id=organization_id,
        id=new_uuid(datetime.now(UTC)),
        customer_id=customer["id"],
        billing_entity_id=entity_id,
        invoice_type="subscription",
        currency="EUR",
        issuing_date=date(2026, 11, 1),
        payment_due_date=date(2026, 12, 1),
        net_payment_term=30,
        timezone="Europe/Paris",
        fees_amount_cents=1000,
        sub_total_excluding_taxes_amount_cents=1000,
        taxes_amount_cents=200,
        taxes_rate=Decimal(20),
        sub_total_including_taxes_amount_cents=1200,
        total_amount_cents=1200,
        applied_taxes=[TAX | {"fees_amount_cents": 1000}],
        created_at=NOW,
        updated_at=NOW,
        **terms,
    )


def fee_of(invoice: Invoice, subscription: UUID | None = None, **terms: Any) -> Fee:
    return Fee(
        organization_id=invoice.organization_id,
        id=new_uuid(datetime.now(UTC)),
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        subscription_id=subscription,
        fee_type="charge",
        item_code="tokens",
        item_name="#panic() Tokens",
        units=Decimal(4000),
        amount_cents=1000,
        precise_amount_cents=Decimal(1000),
        precise_unit_amount=Decimal("0.0025"),
        amount_currency="EUR",
        taxes_amount_cents=200,
        taxes_precise_amount_cents=Decimal(200),
        taxes_rate=Decimal(20),
        applied_taxes=[TAX],
        from_datetime=MIDNIGHTS[0],
        to_datetime=MIDNIGHTS[1],
        created_at=NOW,
        updated_at=NOW,
        **terms,
    )


SELLER = {
    "name": "Acme",
    "country": "FR",
    "tax_identification_number": "FR40303265045",
    "document_locale": "fr",
    "invoice_footer": "Merci.",
    "einvoicing": True,
    "logo_url": "http://169.254.169.254/logo.png",
}
BUYER = {"name": "Jörg & Co", "country": "DE", "billing_configuration": {"document_locale": "de"}}


async def issue(dsn: str, organization_id: UUID, external_id: str) -> Issued:
    """An invoice that wallets have paid in part, a draft, a credit note, a payment."""
    connection = await asyncpg.connect(dsn, server_settings={"role": "wallet_worker"})
    try:
        async with connection.transaction():
            entity = await billing_entities.ensure_default(connection, organization_id, now=NOW)
            customer = await connection.fetchrow(
                "select * from invoicing.customers where organization_id = $1 and external_id = $2",
                organization_id,
                external_id,
            )
            subscription = await connection.fetchval(
                "select id from invoicing.subscriptions where customer_id = $1", customer["id"]
            )
            settled = Settlement(
                debited_minor=3_333_333_333,
                overage_minor=0,
                wallets_minor=666_666_667,
                refunded_minor=0,
                credited_minor=0,
                rounding_minor=0,
                due_cents=800,
                prepaid_cents=400,
                prepaid_granted_cents=0,
                prepaid_purchased_cents=400,
                grants=[
                    GrantPart(
                        id=new_uuid(NOW),
                        wallet_id=new_uuid(NOW),
                        kind="paid",
                        amount_minor=666_666_667,
                    )
                ],
            )
            number = new_uuid(datetime.now(UTC)).hex[-8:].upper()
            final = structs.replace(
                invoice_of(
                    organization_id,
                    customer,
                    entity.id,
                    status="finalized",
                    number=f"INV-{number}",
                    prepaid_credit_amount_cents=400,
                    settlement=settled.to_json(),
                    customer_as_billed=to_builtins(Customer.of(customer)) | BUYER,
                    entity_as_billing=to_builtins(entity) | SELLER,
                    content_hash=b"1",
                    finalized_at=NOW,
                ),
                total_amount_cents=800,
            )
            draft = invoice_of(organization_id, customer, entity.id, status="draft", number="DRAFT")
            bare = invoice_of(
                organization_id,
                customer,
                entity.id,
                status="finalized",
                number=f"INV-{number}-B",
                content_hash=b"1",
                finalized_at=NOW,
            )
            for one in (final, draft, bare):
                await invoices.insert(connection, one)
            fee = fee_of(final, subscription)
            await fees.insert_all(connection, [fee, fee_of(bare)])
            note = CreditNote(
                organization_id=organization_id,
                id=new_uuid(datetime.now(UTC)),
                invoice_id=final.id,
                customer_id=final.customer_id,
                billing_entity_id=entity.id,
                status="finalized",
                number=f"INV-{number}-CN001",
                reason="order_change",
                currency="EUR",
                issuing_date=date(2026, 11, 5),
                total_amount_cents=550,
                credit_amount_cents=550,
                refund_amount_cents=0,
                offset_amount_cents=0,
                taxes_amount_cents=100,
                taxes_rate=Decimal(20),
                sub_total_excluding_taxes_amount_cents=450,
                coupons_adjustment_amount_cents=50,
                applied_taxes=[TAX | {"amount_cents": 100, "base_amount_cents": 500}],
                created_at=NOW,
                updated_at=NOW,
            )
            await credit_notes.insert(connection, note)
            item = CreditNoteItem(
                organization_id=organization_id,
                id=new_uuid(datetime.now(UTC)),
                credit_note_id=note.id,
                fee_id=fee.id,
                amount_cents=500,
                precise_amount_cents=Decimal(500),
                amount_currency="EUR",
                created_at=NOW,
            )
            await credit_notes.insert_item(connection, item)
            payment = Payment(
                organization_id=organization_id,
                id=new_uuid(datetime.now(UTC)),
                invoice_id=final.id,
                customer_id=final.customer_id,
                amount_cents=800,
                amount_currency="EUR",
                payment_status="succeeded",
                reference="SEPA 1",
                paid_at=NOW,
                created_at=NOW,
                updated_at=NOW,
            )
            await payments._queries.insert_payment(connection, **payment.columns())
            receipt = await payment_receipts.create(connection, payment, final, now=NOW)
    finally:
        await connection.close()
    return Issued(invoice=final.id, draft=draft.id, bare=bare.id, note=note.id, receipt=receipt.id)


@pytest.fixture(scope="module")
def customer(api: httpx.Client) -> str:
    metric = {"name": "Tokens", "code": "doc-tokens", "aggregation_type": "sum_agg"}
    metric |= {"field_name": "units"}
    made = api.post("/billable_metrics", json={"billable_metric": metric}).json()
    plan = {"name": "Scale", "code": "doc-scale", "interval": "monthly", "amount_cents": 0}
    plan |= {"amount_currency": "EUR"}
    plan |= {"charges": [standard(made["billable_metric"]["lago_id"], "0.0025")]}
    assert api.post("/plans", json={"plan": plan}).status_code == 200
    customer = {"external_id": "doc-customer", "name": "Jörg", "currency": "EUR"}
    assert api.post("/customers", json={"customer": customer}).status_code == 200
    subscription = {"external_customer_id": "doc-customer", "plan_code": "doc-scale"}
    subscription |= {"external_id": "doc-sub", "name": "Produktion"}
    assert api.post("/subscriptions", json={"subscription": subscription}).status_code == 200
    return "doc-customer"


@pytest.fixture(scope="module")
async def issued(service: Service, customer: str) -> Issued:
    return await issue(service.dsn, service.organization_id, customer)


def text_of(pdf: bytes) -> str:
    pages = [page.extract_text() for page in PdfReader(BytesIO(pdf)).pages]
    return "".join("".join(pages).split())


def test_the_link_of_a_download_opens_the_pdf_without_a_key(api, issued):
    answer = api.post(f"/invoices/{issued.invoice}/download")
    assert answer.status_code == 200
    body = answer.json()["invoice"]
    assert body["lago_id"] == str(issued.invoice)
    opened = httpx.get(body["file_url"], trust_env=False, timeout=60)
    assert opened.status_code == 200
    assert opened.headers["content-type"] == "application/pdf"
    assert opened.headers["content-disposition"].startswith('inline; filename="INV-')
    assert opened.headers["x-content-type-options"] == "nosniff"
    assert opened.content == api.get(f"/invoices/{issued.invoice}/document.pdf").content


def test_lagos_client_downloads(lago, issued):
    invoice = lago.invoices.download(str(issued.invoice))
    assert (invoice.lago_id, invoice.total_amount_cents) == (str(issued.invoice), 800)
    assert lago.invoices.find(str(issued.invoice)).file_url.startswith("http")
    note = lago.credit_notes.download(str(issued.note))
    assert note.total_amount_cents == 550
    for url in (invoice.file_url, note.file_url):
        assert httpx.get(url, trust_env=False, timeout=60).content.startswith(b"%PDF")


def test_the_pdf_of_a_final_invoice_speaks_the_customers_language_and_is_always_the_same(
    api, issued
):
    pdf = api.get(f"/invoices/{issued.invoice}/document.pdf").content
    shown = text_of(pdf)
    for expected in ("Rechnung", "Jörg&Co", "#panic()Tokens", "Produktion", "Zuzahlen8,00€"):
        assert expected in shown
    assert "BeiderNutzungbezahlt3,333333333€" in shown
    assert "MitdieserRechnungbezahlt0,666666667€" in shown
    assert "1.–31.Okt.2026" in shown
    assert api.get(f"/invoices/{issued.invoice}/document.pdf").content == pdf


def test_an_issuer_with_einvoicing_sends_factur_x(api, issued):
    pdf = api.get(f"/invoices/{issued.invoice}/document.pdf").content
    xml = api.get(f"/invoices/{issued.invoice}/document.xml").content
    assert PdfReader(BytesIO(pdf)).attachments["factur-x.xml"] == [xml]
    link = api.post(f"/invoices/{issued.invoice}/download_xml").json()["invoice"]["xml_url"]
    assert httpx.get(link, trust_env=False, timeout=60).content == xml
    ubl = api.get(f"/invoices/{issued.invoice}/document.xml?syntax=ubl").content
    assert etree.fromstring(ubl).tag.endswith("}Invoice")


def test_an_invoice_can_be_had_as_csv_and_json(api, issued):
    table = api.get(f"/invoices/{issued.invoice}/document.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.splitlines()[-1].endswith(",8.00")
    said = json.loads(api.get(f"/invoices/{issued.invoice}/document.json").content)
    assert said["groups"][0]["lines"][0]["unit_amount"] == "0.0025"
    assert said["total_cents"] == 800


def test_a_credit_note_and_a_receipt_have_files_too(api, issued):
    for path, root, words in (
        (
            f"/credit_notes/{issued.note}",
            "credit_note",
            ("Rechnungskorrektur", "Gutscheine-0,50€", "5,50€"),
        ),
        (f"/payment_receipts/{issued.receipt}", "payment_receipt", ("Zahlungsbeleg", "8,00€")),
    ):
        assert api.post(f"{path}/download_pdf").json()[root]["file_url"]
        link = api.get(path).json()[root]["file_url"]
        shown = text_of(httpx.get(link, trust_env=False, timeout=60).content)
        assert all(word in shown for word in words), shown
        assert api.get(f"{path}/document.csv").status_code == 200
        assert api.get(f"{path}/document.json").status_code == 200
    xml = api.get(f"/credit_notes/{issued.note}/document.xml?syntax=ubl").content
    assert etree.fromstring(xml).tag.endswith("}CreditNote")


def test_a_draft_says_that_it_is_one_and_is_no_einvoice(api, issued):
    pdf = api.get(f"/invoices/{issued.draft}/document.pdf").content
    assert "Entwurf" in text_of(pdf) or "Draft" in text_of(pdf)
    refused = api.get(f"/invoices/{issued.draft}/document.xml")
    assert (refused.status_code, refused.json()["code"]) == (405, "is_draft")
    assert api.get(f"/invoices/{issued.draft}").json()["invoice"]["file_url"] is None


def test_an_einvoice_that_lacks_facts_names_them(api, issued):
    refused = api.post(f"/invoices/{issued.bare}/download_xml")
    assert refused.status_code == 422
    assert refused.json()["error_details"] == {"billing_entity.country": ["value_is_mandatory"]}
    assert "customer.country" in refused.json()["message"]
    assert api.get(f"/invoices/{issued.bare}/document.pdf").status_code == 200


PATHS = [
    "/invoices/{id}/document.pdf",
    "/invoices/{id}/document.xml",
    "/invoices/{id}/document.csv",
    "/invoices/{id}/document.json",
    "/credit_notes/{id}/document.pdf",
    "/payment_receipts/{id}/document.pdf",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["nothing", "00000000-0000-0000-0000-000000000000", "%2e%2e"])
def test_there_is_no_file_of_what_does_not_exist(api, path, name):
    refused = api.get(path.format(id=name))
    assert refused.status_code == 404
    assert refused.json()["code"].endswith("_not_found")


def test_nobody_gets_the_files_of_another_organization(other_api, issued):
    for path, found in (
        ("/invoices", issued.invoice),
        ("/credit_notes", issued.note),
        ("/payment_receipts", issued.receipt),
    ):
        assert other_api.get(f"{path}/{found}/document.pdf").status_code == 404
        assert other_api.post(f"{path}/{found}/download").status_code == 404


def test_a_form_or_syntax_that_there_is_not_is_refused(api, issued):
    assert api.get(f"/invoices/{issued.invoice}/document.docx").status_code == 404
    refused = api.get(f"/invoices/{issued.invoice}/document.xml?syntax=edifact")
    assert refused.status_code == 422


def test_a_link_that_was_changed_opens_nothing(api, issued, service):
    link = api.post(f"/invoices/{issued.invoice}/download").json()["invoice"]["file_url"]
    token = urlsplit(link).path.rpartition("/")[2]
    claimed = read(token)
    assert claimed is not None
    genuine = claimed[0]
    forged = [
        sign(genuine, b"\0" * 32),
        sign(structs.replace(genuine, document_id=issued.draft), b"\0" * 32),
        token[:-2],
        token + "A",
        "A" * len(token),
        "x",
        "ä" * 20,
        "A" * 10_000,
    ]
    changed = bytearray(token.encode())
    changed[10] ^= 1
    for wrong in [*forged, changed.decode()]:
        refused = httpx.get(f"{service.url}/documents/{wrong}", trust_env=False, timeout=60)
        assert refused.status_code in {400, 404}, wrong
    assert httpx.get(link, trust_env=False, timeout=60).status_code == 200


@pytest.fixture
async def secret(service: Service, api: httpx.Client, issued: Issued) -> bytes:
    connection = await asyncpg.connect(service.dsn, server_settings={"role": "wallet_worker"})
    found: bytes = await connection.fetchval(
        "select secret from wallet.document_secrets where organization_id = $1",
        service.organization_id,
    )
    await connection.close()
    return found


def test_a_link_ends_and_is_good_for_one_organization(service, issued, secret):
    for expires_at, status in (
        (datetime(2020, 1, 1, tzinfo=UTC), 404),
        (datetime(2090, 1, 1, tzinfo=UTC), 200),
    ):
        link = Link(
            organization_id=service.organization_id,
            kind=Kind.INVOICE,
            form=Form.PDF,
            document_id=issued.invoice,
            expires_at=expires_at,
        )
        token = sign(link, secret)
        answer = httpx.get(f"{service.url}/documents/{token}", trust_env=False, timeout=60)
        assert answer.status_code == status
        theirs = structs.replace(link, organization_id=service.other_organization_id)
        stolen = sign(theirs, secret)
        answer = httpx.get(f"{service.url}/documents/{stolen}", trust_env=False, timeout=60)
        assert answer.status_code == 404


def test_a_key_without_the_scope_opens_no_documents(api, issued, service):
    scopes = ["plans:read", "invoices:read"]
    made = api.post("/api_keys", json={"api_key": {"name": "few", "scopes": scopes}})
    headers = {"Authorization": f"Bearer {made.json()['api_key']['value']}"}
    url = f"{service.url}/api/v1/invoices/{issued.invoice}/document.pdf"
    assert httpx.get(url, headers=headers, trust_env=False, timeout=60).status_code == 403
    assert httpx.get(url, trust_env=False, timeout=60).status_code == 401
    shown = httpx.get(
        url.removesuffix("/document.pdf"), headers=headers, trust_env=False, timeout=60
    )
    assert shown.json()["invoice"]["file_url"] is None
