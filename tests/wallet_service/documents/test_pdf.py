import base64
import struct
import zlib
from datetime import date
from decimal import Decimal
from io import BytesIO
from string import Formatter

import pytest
from msgspec import structs
from pypdf import PdfReader

from tests.wallet_service.documents import samples
from wallet_service.documents.document import Document, Party, Reduction, State
from wallet_service.documents.einvoices import Syntax, einvoice
from wallet_service.documents.pdf import Renderer
from wallet_service.documents.words import languages, words_of


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer()


def pages(pdf: bytes) -> list[str]:
    """The text of each page, all kinds of space made plain and soft breaks left out."""
    texts = [page.extract_text() for page in PdfReader(BytesIO(pdf)).pages]
    return [" ".join(text.replace("\u200b", "").split()) for text in texts]


def text_of(pdf: bytes) -> str:
    return " ".join(pages(pdf))


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            [
                "Invoice",
                "Amount due €202.32",
                "Total incl. tax €599.16",
                "TVA 5.5% on €18.19 €1.00",
            ],
        ),
        ("fr", ["Facture", "Reste à payer 202,32 €", "Total TTC 599,16 €", "1–30 nov. 2026"]),
        ("de", ["Rechnung", "Zu zahlen 202,32 €", "Summe brutto 599,16 €", "1.–30. Nov. 2026"]),
    ],
)
def test_an_invoice_shows_its_totals_in_the_customers_language(renderer, language, words):
    shown = text_of(renderer.pdf(samples.invoice(language)))
    for expected in words:
        assert squeezed(expected) in squeezed(shown)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("kind", [samples.invoice, samples.credit_note, samples.receipt])
def test_every_paper_can_be_written_in_every_language(renderer, language, kind):
    shown = text_of(renderer.pdf(kind(language)))
    assert "Northwind Intelligence SAS" in shown
    assert "{" not in shown


def test_every_language_has_the_same_words():
    english = words_of("en").texts
    for language in languages():
        texts = words_of(language).texts
        assert texts.keys() == english.keys()
        for key, text in texts.items():
            assert places(text) == places(english[key]), (language, key)


def places(text: str) -> set[str]:
    """Name what is filled into a text."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("kind", ["coupon", "coupons", "credit_note", "progressive_billing"])
def test_whatever_lowers_a_document_has_a_name(renderer, kind):
    lowered = [Reduction(kind=kind, name="Launch", amount_cents=5000)]
    document = structs.replace(samples.invoice(), before_taxes=lowered)
    assert "-€50.00" in text_of(renderer.pdf(document))


def test_what_wallets_have_paid_is_shown_to_the_last_digit(renderer):
    shown = squeezed(text_of(renderer.pdf(samples.invoice())))
    assert squeezed("Paid when usage happened €353.750125") in shown
    assert squeezed("Settled with this invoice €19.089875") in shown
    assert squeezed("Main balance (purchased) €14.089875") in shown
    assert squeezed("Paid from your wallet €372.84") in shown


@pytest.mark.parametrize(
    ("currency", "expected"),
    [("JPY", "¥20,232"), ("KWD", "KWD 20.232"), ("USD", "$202.32"), ("ISK", "ISK 20,232")],
)
def test_each_currency_has_its_own_decimals(renderer, currency, expected):
    shown = text_of(renderer.pdf(samples.invoice("en", currency)))
    assert squeezed(f"Amount due {expected}") in squeezed(shown)


def test_tiers_say_how_a_price_came_about_instead_of_an_average(renderer):
    shown = text_of(renderer.pdf(samples.invoice()))
    assert "First 100,000,000 units 100,000,000 €0.0000025 €250.00" in shown
    assert "Above 100,000,000 42,500,000 €0.000001470588235 €62.50" in shown
    assert "0.00000219298" not in shown


def test_a_long_invoice_repeats_the_heads_of_its_columns_and_counts_its_pages(renderer):
    shown = pages(renderer.pdf(samples.long_invoice()))
    assert len(shown) > 3
    for number, page in enumerate(shown, 1):
        assert f"Page {number} of {len(shown)}" in page
        assert "Description" in page
        assert "NOR-004-012" in page
    everything = " ".join(shown)
    assert all(f"model: m-{index:03}" in everything for index in range(120))


def test_no_steps_of_a_price_are_torn_from_their_line(renderer):
    for page in pages(renderer.pdf(samples.long_invoice())):
        assert page.count("First 100,000,000 units") == page.count("Above 100,000,000")


def test_the_same_document_is_always_the_same_bytes(renderer):
    one, xml = samples.invoice("fr"), einvoice(samples.invoice("fr"), Syntax.CII)
    assert renderer.pdf(one) == Renderer().pdf(samples.invoice("fr"))
    assert renderer.facturx(one, xml) == Renderer().facturx(one, xml)


def test_drafts_and_voided_invoices_say_so(renderer):
    draft = structs.replace(samples.invoice(), state=State.DRAFT)
    void = structs.replace(samples.invoice("de"), state=State.VOID)
    assert "This is a draft" in text_of(renderer.pdf(draft))
    assert "wurde storniert" in text_of(renderer.pdf(void))


HOSTILE = [
    "#panic()",
    "*bold* _it_ `raw` $x^2$ <label> @ref \\ //comment /*",
    '#read("/etc/passwd")',
    '#image("http://127.0.0.1/x.png")',
    "= Heading - list + enum / term: x",
    "{date} {0} %s {{",
    "</rdf:RDF><script>alert(1)</script>&amp;",
    "9 0 obj<</Type/Metadata/Length 5>>stream",
    "مرحبا بالعالم",
    "日本語テスト",
    "שלום עולם",
    "e\u0301" * 20,
    "\u202e0.01 EUR\u202c",
    "a\x00b\x07c\x1b[31md",
    "\ud800",
    "한국어 ไทย \ue000 \U0001f9fe",
    "x" * 10_000,
    "word " * 2_000,
    "\n" * 10_000 + "end",
    "a\u0300" + "\u0301" * 5_000,
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_plain_texts_on_the_page(renderer, hostile):
    one = samples.invoice()
    lines = [
        structs.replace(line, name=hostile, filters=hostile, group={hostile: hostile})
        for line in one.lines
    ]
    document = structs.replace(
        one,
        number=hostile,
        seller=Party(name=hostile, address_line1=hostile, tax_identification_number=hostile),
        buyer=Party(name=hostile, country=hostile),
        groups=[structs.replace(one.groups[0], name=hostile, plan=hostile, lines=lines)],
        before_taxes=[Reduction(kind="coupon", name=hostile, amount_cents=5000)],
        facts=[(hostile, hostile)],
        footer=hostile,
        sections=[structs.replace(one.sections[0], title=hostile, text=hostile)],
        locale=hostile,
    )
    shown = text_of(renderer.pdf(document))
    assert squeezed("Amount due €202.32") in squeezed(shown)
    start = hostile[:8]
    if start.isascii() and start.isprintable() and "x" * 8 not in start:
        assert squeezed(start) in squeezed(shown)


def test_no_text_can_reverse_the_amounts_beside_it(renderer):
    document = structs.replace(samples.invoice(), footer="\u202epay 1 EUR")
    assert "\u202e" not in text_of(renderer.pdf(document))


def picture(width: int = 40, height: int = 20) -> bytes:
    """A red PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + b"\xc0\x20\x20" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def with_logo(uri: str) -> Document:
    return structs.replace(samples.invoice(), logo=uri)


def data_uri(content: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def test_a_logo_that_comes_with_the_data_is_shown(renderer):
    pdf = renderer.pdf(with_logo(data_uri(picture())))
    assert len(PdfReader(BytesIO(pdf)).pages[0].images) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://example.com/logo.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "data:text/html;base64,PGI+",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:image/png;base64,!!!!",
        data_uri(b"\x89PNG\r\n\x1a\n" + b"\0" * 100),
        data_uri(picture()[:60]),
        data_uri(b"\xff\xd8\xff\xe0\x00\x04ab" + b"\0" * 40, "jpeg"),
        data_uri(
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 60_000, 60_000) + b"\x08\2\0\0\0"
        ),
        data_uri(b"\0" * 300_000),
    ],
    ids=range(12),
)
def test_any_other_logo_leaves_the_invoice_as_it_is_without_one(renderer, uri):
    assert renderer.pdf(with_logo(uri)) == renderer.pdf(samples.invoice())


def test_an_invoice_without_lines_or_addresses_is_a_page_too(renderer):
    bare = Document(
        kind=samples.Kind.INVOICE,
        currency="XXX",
        number="",
        issued_on=date(2026, 1, 31),
        seller=Party(name=""),
        buyer=Party(name=""),
    )
    assert "Nothing to pay" in text_of(renderer.pdf(bare))


def test_a_grant_that_got_money_back_is_shown_with_its_sign(renderer):
    prepaid = samples.Prepaid(
        debited=Decimal("10.000001"), settled=Decimal("-0.000001"), total_cents=1000
    )
    document = structs.replace(samples.invoice(), prepaid=prepaid)
    shown = squeezed(text_of(renderer.pdf(document)))
    assert squeezed("Given back with this invoice -€0.000001") in shown
