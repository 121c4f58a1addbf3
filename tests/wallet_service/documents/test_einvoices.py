from decimal import Decimal
from io import BytesIO

import facturx
import pytest
from lxml import etree
from msgspec import structs
from pypdf import PdfReader

from tests.wallet_service.documents import samples
from wallet_service.documents.document import Document, Kind
from wallet_service.documents.einvoices import Incomplete, Syntax, Vat, einvoice, missing, shares
from wallet_service.documents.pdf import Renderer

NAMES = {
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
}
PAPERS = [samples.invoice, samples.credit_note, samples.long_invoice]


def amounts(xml: bytes, path: str) -> list[Decimal]:
    root = etree.fromstring(xml)
    return [Decimal(node.text) for node in root.iterfind(path, NAMES)]


def amount(document: Document, cents: int) -> Decimal:
    exponent = {"JPY": 0}.get(document.currency, 2)
    return Decimal(cents).scaleb(-exponent)


@pytest.mark.parametrize("paper", PAPERS)
def test_the_sums_of_factur_x_tie_to_the_document(paper):
    document = paper()
    xml = einvoice(document, Syntax.CII)
    facturx.xml_check_xsd(xml, flavor="factur-x", level="en16931")
    sums = ".//ram:SpecifiedTradeSettlementHeaderMonetarySummation/ram:"
    lines = amounts(xml, ".//ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount")
    taxes = amounts(xml, ".//ram:ApplicableHeaderTradeSettlement//ram:CalculatedAmount")
    bases = amounts(
        xml, ".//ram:ApplicableHeaderTradeSettlement/ram:ApplicableTradeTax/ram:BasisAmount"
    )
    assert sum(lines) == amount(document, document.fees_cents)
    assert amounts(xml, sums + "LineTotalAmount") == [sum(lines)]
    assert amounts(xml, sums + "TaxTotalAmount") == [amount(document, document.taxes_cents)]
    assert sum(taxes) == amount(document, document.taxes_cents)
    assert sum(bases) == amount(document, document.without_taxes_cents)
    assert amounts(xml, sums + "GrandTotalAmount") == [amount(document, document.with_taxes_cents)]
    assert amounts(xml, sums + "DuePayableAmount") == [amount(document, document.total_cents)]


@pytest.mark.parametrize("paper", PAPERS)
def test_the_sums_of_ubl_tie_to_the_document(paper):
    document = paper()
    xml = einvoice(document, Syntax.UBL)
    flavor = "ubl-2.1-creditnote" if document.kind is Kind.CREDIT_NOTE else "ubl-2.1-invoice"
    facturx.xml_check_xsd(xml, flavor=flavor)
    sums = ".//cac:LegalMonetaryTotal/cbc:"
    assert amounts(xml, ".//cac:TaxTotal/cbc:TaxAmount") == [amount(document, document.taxes_cents)]
    assert amounts(xml, sums + "PayableAmount") == [amount(document, document.total_cents)]
    assert amounts(xml, sums + "TaxExclusiveAmount") == [
        amount(document, document.without_taxes_cents)
    ]


def test_what_lowers_an_invoice_is_divided_over_its_rates():
    divided = shares(samples.invoice())
    low, high = Vat("S", Decimal("5.5")), Vat("S", Decimal(20))
    assert (divided[low].lines, divided[low].allowance, divided[low].taxes) == (2000, 181, 100)
    assert (divided[high].lines, divided[high].allowance, divided[high].taxes) == (
        53150,
        4819,
        9666,
    )


def test_prepaid_balances_and_credit_notes_are_amounts_already_paid():
    xml = einvoice(samples.invoice(), Syntax.CII)
    assert amounts(xml, ".//ram:TotalPrepaidAmount") == [Decimal("396.84")]


def test_a_line_whose_price_is_an_average_is_one_piece():
    xml = einvoice(samples.invoice(), Syntax.CII)
    prices = amounts(xml, ".//ram:NetPriceProductTradePrice/ram:ChargeAmount")
    units = amounts(xml, ".//ram:BilledQuantity")
    lines = amounts(xml, ".//ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount")
    assert [price * unit for price, unit in zip(prices, units, strict=True)] == lines
    assert (units[1], prices[1]) == (1, Decimal("312.50"))
    assert (units[4], prices[4]) == (48, Decimal("2.5"))


def test_a_credit_note_names_its_invoice():
    xml = einvoice(samples.credit_note(), Syntax.UBL)
    path = ".//cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID"
    assert etree.fromstring(xml).findtext(path, namespaces=NAMES) == "NOR-004-012"


@pytest.mark.parametrize(
    ("codes", "seller_number", "category"),
    [
        (["eu_reverse_charge"], "FR40303265045", "AE"),
        (["eu_tax_exempt"], "FR40303265045", "E"),
        (["zero"], "FR40303265045", "Z"),
        ([], "FR40303265045", "E"),
        ([], None, "O"),
    ],
)
def test_an_invoice_without_vat_says_why(codes, seller_number, category):
    one = samples.credit_note()
    lines = [
        structs.replace(line, taxes_rate=Decimal(0), tax_codes=codes, taxes_cents=Decimal(0))
        for line in one.lines
    ]
    document = structs.replace(
        one,
        seller=structs.replace(one.seller, tax_identification_number=seller_number),
        groups=[structs.replace(one.groups[0], lines=lines)],
        taxes=[],
        taxes_cents=0,
        with_taxes_cents=3000,
        total_cents=3000,
    )
    root = etree.fromstring(einvoice(document, Syntax.CII))
    assert {node.text for node in root.iterfind(".//ram:CategoryCode", NAMES)} == {category}
    assert (root.find(".//ram:ExemptionReason", NAMES) is None) == (category == "Z")


def test_an_einvoice_that_lacks_what_the_standard_demands_is_refused_by_name():
    one = samples.invoice()
    bare = structs.replace(
        one,
        seller=structs.replace(one.seller, country=None, tax_identification_number=None),
        buyer=structs.replace(one.buyer, country=None),
    )
    with pytest.raises(Incomplete) as refused:
        einvoice(bare, Syntax.CII)
    assert refused.value.fields == [
        "billing_entity.country",
        "billing_entity.tax_identification_number",
        "customer.country",
    ]
    assert missing(samples.invoice(currency="KWD")) == ["currency"]
    assert "document" in missing(samples.receipt())


def test_yen_have_no_decimals():
    document = samples.invoice(currency="JPY")
    assert amounts(einvoice(document, Syntax.UBL), ".//cbc:PayableAmount") == [Decimal(20232)]


@pytest.mark.parametrize("syntax", Syntax)
def test_hostile_texts_stay_texts_in_xml(syntax):
    hostile = "</ram:Name><!-- \x00 & ]]> \ud800 \u202e <?xml?> &xxe;" + "y" * 10_000
    one = samples.invoice()
    lines = [
        structs.replace(line, name=hostile, filters=hostile, code=hostile) for line in one.lines
    ]
    document = structs.replace(
        one,
        number=hostile,
        seller=structs.replace(one.seller, name=hostile, legal_name=hostile, email=hostile),
        buyer=structs.replace(one.buyer, name=hostile, legal_name=None, address_line1=hostile),
        groups=[structs.replace(one.groups[0], lines=lines)],
        footer=hostile,
    )
    root = etree.fromstring(einvoice(document, syntax))
    assert any((node.text or "").startswith("</ram:Name><!-- & ]]>") for node in root.iter())


def test_a_factur_x_file_carries_its_invoice_and_says_so():
    document = samples.invoice("fr")
    xml = einvoice(document, Syntax.CII)
    pdf = Renderer().facturx(document, xml)
    assert facturx.get_xml_from_pdf(pdf) == ("factur-x.xml", xml)
    reader = PdfReader(BytesIO(pdf))
    assert reader.attachments["factur-x.xml"] == [xml]
    metadata = reader.trailer["/Root"]["/Metadata"].get_data().decode()
    etree.fromstring(metadata.encode())
    assert "<fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>" in metadata
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
