"""Documents to look at and to test with: what a month of an AI product might be billed."""

from datetime import date
from decimal import Decimal

import msgspec

from wallet_service.documents.document import (
    Detail,
    Document,
    Given,
    GrantShare,
    Group,
    Kind,
    Line,
    Party,
    Payment,
    Prepaid,
    Reduction,
    Section,
    TaxShare,
)

D = Decimal
SELLER = Party(
    name="Northwind AI",
    legal_name="Northwind Intelligence SAS",
    address_line1="12 rue de la Paix",
    zipcode="75002",
    city="Paris",
    country="FR",
    email="billing@northwind.example",
    legal_number="RCS Paris 852 379 001",
    tax_identification_number="FR40303265045",
)
BUYER = Party(
    name="Müller & Söhne",
    legal_name="Müller & Söhne Maschinenbau GmbH",
    address_line1="Industriestraße 7",
    address_line2="Gebäude C",
    zipcode="70565",
    city="Stuttgart",
    country="DE",
    email="rechnung@mueller.example",
    tax_identification_number="DE136695976",
)


def tier(first: int, last: int | None, units: str, price: str, amount: str) -> Detail:
    return Detail(
        kind="tier",
        from_value=D(first),
        to_value=None if last is None else D(last),
        units=D(units),
        unit_amount=D(price),
        amount=D(amount),
    )


def invoice(locale: str = "en", currency: str = "EUR") -> Document:
    """Two subscriptions, tiers, a minimum, a coupon, two tax rates, a credit note, a wallet.

    Fees 49.00 + 312.50 + 41.25 + 8.75 + 120.00 + 20.00 = 551.50; coupon 50.00; 501.50 without
    taxes; 20 % of 483.31 = 96.66, 5.5 % of 18.19 = 1.00; 599.16 with taxes; credit note 24.00;
    wallet 372.84; 202.32 is due.
    """
    november = {"from_on": date(2026, 11, 1), "to_on": date(2026, 11, 30)}
    vat = {"taxes_rate": D(20), "tax_codes": ["fr_standard"]}
    api = Group(
        name="Production API",
        plan="Scale",
        external_id="sub_prod_01",
        lines=[
            Line(
                id="1",
                kind="subscription",
                code="scale",
                name="Scale plan",
                from_on=date(2026, 12, 1),
                to_on=date(2026, 12, 31),
                units=D(1),
                unit_amount=D(49),
                amount_cents=4900,
                discount_cents=D("444.24297"),
                taxes_cents=D("891.151406"),
                **vat,
            ),
            Line(
                id="2",
                kind="charge",
                code="tokens",
                name="Tokens",
                filters="model: large · input",
                units=D(142_500_000),
                unit_amount=D("0.0000021929824561403508"),
                amount_cents=31250,
                discount_cents=D("2833.18223"),
                taxes_cents=D("5683.363554"),
                details=[
                    tier(0, 100_000_000, "100000000", "0.0000025", "250"),
                    tier(100_000_000, None, "42500000", "0.000001470588235", "62.5"),
                ],
                **november,
                **vat,
            ),
            Line(
                id="3",
                kind="charge",
                code="tokens",
                name="Tokens",
                filters="model: small · output",
                units=D("165000.5"),
                unit_amount=D("0.00025"),
                amount_cents=4125,
                discount_cents=D("373.98006"),
                taxes_cents=D("750.203988"),
                **november,
                **vat,
            ),
            Line(
                id="4",
                kind="minimum",
                code="tokens",
                name="Tokens",
                filters="model: small · output",
                units=D(1),
                unit_amount=D("8.75"),
                amount_cents=875,
                discount_cents=D("79.32910"),
                taxes_cents=D("159.13418"),
                **november,
                **vat,
            ),
        ],
    )
    training = Group(
        plan="Training",
        external_id="sub_train_77",
        lines=[
            Line(
                id="5",
                kind="charge",
                code="gpu_hours",
                name="GPU hours",
                group={"region": "eu-west-3"},
                units=D("48"),
                unit_amount=D("2.5"),
                amount_cents=12000,
                discount_cents=D("1087.94198"),
                taxes_cents=D("2182.411604"),
                **november,
                **vat,
            ),
            Line(
                id="6",
                kind="add_on",
                code="handbook",
                name="Printed handbook",
                units=D(1),
                unit_amount=D(20),
                amount_cents=2000,
                discount_cents=D("181.32366"),
                taxes_cents=D("100.0271987"),
                taxes_rate=D("5.5"),
                tax_codes=["fr_books"],
            ),
        ],
    )
    return Document(
        kind=Kind.INVOICE,
        locale=locale,
        currency=currency,
        number="NOR-004-012",
        issued_on=date(2026, 12, 1),
        due_on=date(2026, 12, 31),
        net_payment_term=30,
        purchase_order_number="PO-88120",
        seller=SELLER,
        buyer=BUYER,
        groups=[api, training],
        before_taxes=[Reduction(kind="coupon", name="Launch partner", amount_cents=5000)],
        taxes=[
            TaxShare(
                code="fr_standard", name="TVA", rate=D(20), base_cents=48331, amount_cents=9666
            ),
            TaxShare(code="fr_books", name="TVA", rate=D("5.5"), base_cents=1819, amount_cents=100),
        ],
        after_taxes=[Reduction(kind="credit_note", name="NOR-004-011-CN001", amount_cents=2400)],
        prepaid=Prepaid(
            debited=D("353.750125"),
            settled=D("19.089875"),
            total_cents=37284,
            purchased_cents=32284,
            granted_cents=5000,
            grants=[
                GrantShare(wallet="Main balance", kind="paid", amount=D("14.089875")),
                GrantShare(wallet="Welcome credits", kind="promotional", amount=D("5")),
            ],
        ),
        fees_cents=55150,
        without_taxes_cents=50150,
        taxes_cents=9766,
        with_taxes_cents=59916,
        total_cents=20232,
        sections=[
            Section(
                title="Bank details",
                text="IBAN FR76 3000 6000 0112 3456 7890 189\nBIC AGRIFRPP",
            )
        ],
        footer="Northwind Intelligence SAS, capital 50 000 €. "
        "Late payment: 3 times the legal rate and a fixed fee of 40 € (art. L441-10 C. com.).",
        **november,
    )


def long_invoice(locale: str = "en", lines: int = 120) -> Document:
    """An invoice of many pages: each line is 312.50, taxed with 20 %."""
    one = invoice(locale)
    first = one.groups[0].lines[1]
    many = [
        msgspec.structs.replace(
            first,
            id=str(index),
            filters=f"model: m-{index:03}",
            unit_amount=D("0.0000021929824561403508"),
            discount_cents=D(0),
            taxes_cents=D(6250),
            details=first.details if index % 9 == 0 else [],
        )
        for index in range(lines)
    ]
    fees = 31250 * lines
    taxes = fees // 5
    base = TaxShare(code="fr_standard", name="TVA", rate=D(20), base_cents=fees, amount_cents=taxes)
    return msgspec.structs.replace(
        one,
        groups=[Group(name="Production API", plan="Scale", external_id="sub_1", lines=many)],
        before_taxes=[],
        after_taxes=[],
        taxes=[base],
        fees_cents=fees,
        without_taxes_cents=fees,
        taxes_cents=taxes,
        with_taxes_cents=fees + taxes,
        total_cents=fees + taxes - 37284,
    )


def credit_note(locale: str = "en") -> Document:
    one = invoice(locale)
    line = one.groups[0].lines[0]
    return Document(
        kind=Kind.CREDIT_NOTE,
        locale=locale,
        currency="EUR",
        number="NOR-004-012-CN001",
        issued_on=date(2026, 12, 10),
        seller=SELLER,
        buyer=BUYER,
        groups=[
            Group(
                name="Production API",
                plan="Scale",
                lines=[
                    msgspec.structs.replace(
                        line,
                        amount_cents=3000,
                        units=None,
                        unit_amount=None,
                        discount_cents=D(0),
                        taxes_cents=D(600),
                    )
                ],
            )
        ],
        taxes=[
            TaxShare(code="fr_standard", name="TVA", rate=D(20), base_cents=3000, amount_cents=600)
        ],
        fees_cents=3000,
        without_taxes_cents=3000,
        taxes_cents=600,
        with_taxes_cents=3600,
        total_cents=3600,
        invoice_number="NOR-004-012",
        invoice_issued_on=date(2026, 12, 1),
        reason="order_change",
        given=Given(credit_cents=2000, refund_cents=1600),
        footer=one.footer,
    )


def receipt(locale: str = "en") -> Document:
    return Document(
        kind=Kind.PAYMENT_RECEIPT,
        locale=locale,
        currency="EUR",
        number="NOR-RCPT-000-007",
        issued_on=date(2026, 12, 15),
        seller=SELLER,
        buyer=BUYER,
        payment=Payment(
            paid_on=date(2026, 12, 15),
            provider="manual",
            reference="SEPA 2026-12-15/991",
            invoice_number="NOR-004-012",
            invoice_issued_on=date(2026, 12, 1),
            invoice_total_cents=20232,
            amount_cents=20232,
        ),
        total_cents=20232,
    )
