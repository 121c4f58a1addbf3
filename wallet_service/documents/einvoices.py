"""Invoices and credit notes as data that accounting systems read: EN 16931, in its two syntaxes.

`CII` is what a Factur-X (ZUGFeRD) file carries, `UBL` what Peppol and most portals in Europe take.
Both say the same and are checked against their schemas before they leave. EN 16931 has one VAT rate
for a line and knows neither coupons nor wallets: what lowers an invoice before taxes is an
allowance for each rate; credit notes and prepaid balances are the amount already paid.

Source: EN 16931-1 (terms BT-…, groups BG-…, rules BR-…); code lists UNTDID 1001, 5189, 5305.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Any, Final, cast

import facturx  # pyright: ignore[reportMissingTypeStubs]
from msgspec import Struct

from wallet_service.documents.document import Document, Kind, Line, Party
from wallet_service.documents.formats import Formats
from wallet_service.documents.plain_texts import unbroken
from wallet_service.documents.words import words_of

_INVOICE: Final = "380"
_PREPAYMENT_INVOICE: Final = "386"
_SELF_BILLED_INVOICE: Final = "389"
_CREDIT_NOTE: Final = "381"
_DISCOUNT: Final = "95"
_UNIT: Final = "C62"
_DECIMALS_MAX: Final = 2


class Syntax(StrEnum):
    """How it is written."""

    CII = "cii"
    UBL = "ubl"


class Incomplete(ValueError):
    """What the standard demands and the document lacks; `fields` names it."""

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = list(fields)


class Vat(Struct, frozen=True, order=True):
    """A VAT category of the standard and its rate."""

    category: str
    rate: Decimal


class _Share(Struct):
    """What one rate has of the document, in cents."""

    lines: int = 0
    allowance: int = 0
    taxes: int = 0


def einvoice(document: Document, syntax: Syntax) -> bytes:
    """The document as XML, valid by its schema. Raises Incomplete."""
    lacking = missing(document)
    if lacking:
        raise Incomplete(lacking)
    is_ubl = syntax is Syntax.UBL
    made: bytes = cast("Any", facturx).generate_xml(
        _Writer(document).terms(),
        flavor="ubl-2.1" if is_ubl else "factur-x",
        level="en16931",
        check_xsd=True,
        check_schematron=False,
    )
    return made


def missing(document: Document) -> list[str]:
    """What the standard demands and the document lacks, by the fields' names."""
    lacking = [
        name
        for name, value in (
            ("billing_entity.country", document.seller.country),
            ("billing_entity.tax_identification_number", _identity(document)),
            ("customer.name", document.buyer.shown_name),
            ("customer.country", document.buyer.country),
        )
        if not value
    ]
    vats = {vat_of(document, line) for line in document.lines}
    if any(vat.category == "AE" for vat in vats) and not document.buyer.tax_identification_number:
        lacking.append("customer.tax_identification_number")
    if Formats.of("en", document.currency).exponent > _DECIMALS_MAX:
        lacking.append("currency")
    if document.kind is Kind.PAYMENT_RECEIPT:
        lacking.append("document")
    if not document.lines:
        lacking.append("fees")
    return lacking


def _identity(document: Document) -> str | None:
    """By what the seller is known (BR-CO-26); with VAT it must be the VAT number (BR-S-02)."""
    seller = document.seller
    if any(vat_of(document, line).category != "O" for line in document.lines):
        return seller.tax_identification_number
    return seller.tax_identification_number or seller.legal_number


def vat_of(document: Document, line: Line) -> Vat:
    """S standard, AE reverse charge, E exempt, Z zero rate, O outside of VAT altogether."""
    if line.taxes_rate:
        return Vat("S", line.taxes_rate.normalize())
    codes = " ".join(line.tax_codes)
    if "reverse_charge" in codes:
        return Vat("AE", Decimal(0))
    if "exempt" in codes:
        return Vat("E", Decimal(0))
    if line.tax_codes:
        return Vat("Z", Decimal(0))
    return Vat("E" if document.seller.tax_identification_number else "O", Decimal(0))


def shares(document: Document) -> dict[Vat, "_Share"]:
    """What each rate has of lines, allowances and taxes; all three add up to the document's."""
    found: dict[Vat, _Share] = defaultdict(_Share)
    discounts: dict[Vat, Decimal] = defaultdict(Decimal)
    taxes: dict[Vat, Decimal] = defaultdict(Decimal)
    for line in document.lines:
        vat = vat_of(document, line)
        found[vat].lines += line.amount_cents
        discounts[vat] += line.discount_cents
        taxes[vat] += line.taxes_cents
    total = document.fees_cents - document.without_taxes_cents
    # Lines that know their share of what was taken off tell how it is divided, else their size.
    known = (
        discounts if sum(discounts.values()) else {v: Decimal(s.lines) for v, s in found.items()}
    )
    for vat, cents in divide(total, known).items():
        found[vat].allowance = cents
    for vat, cents in divide(document.taxes_cents, taxes).items():
        found[vat].taxes = cents
    return dict(sorted(found.items()))


def divide(total: int, weights: Mapping[Vat, Decimal]) -> dict[Vat, int]:
    """Whole cents in proportion to weights that add up to exactly the total: largest rest first.

    >>> a, b = Vat("S", Decimal(5)), Vat("S", Decimal(20))
    >>> divide(5, {a: Decimal("1.6"), b: Decimal("3.4")}) == {a: 2, b: 3}
    True
    """
    whole = sum(weights.values())
    if not whole:
        weights = dict.fromkeys(weights, Decimal(1))
        whole = Decimal(len(weights))
    if not weights:
        return {}
    exact = {key: total * weight / whole for key, weight in weights.items()}
    cents = {key: int(share.to_integral_value(ROUND_FLOOR)) for key, share in exact.items()}
    left = total - sum(cents.values())
    for key in sorted(exact, key=lambda key: (cents[key] - exact[key], key))[:left]:
        cents[key] += 1
    return cents


class _Writer:
    """Puts a document into the standard's business terms."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.formats = Formats.of("en", document.currency)
        self.words = words_of(document.locale)

    def terms(self) -> dict[str, Any]:
        """All business terms, by their names."""
        document = self.document
        divided = shares(document)
        allowances = sum(share.allowance for share in divided.values())
        paid = document.with_taxes_cents - document.total_cents
        is_note = document.kind is Kind.CREDIT_NOTE
        terms = {
            "BT-1": unbroken(document.number),
            "BT-2": document.issued_on,
            "BT-3": self._type_code(),
            "BT-5": document.currency,
            "BT-9": None if is_note else document.due_on,
            "BT-13": unbroken(document.purchase_order_number),
            "BT-20": None if document.due_on else self.words("headline_nothing_due"),
            "BT-72": document.to_on or document.issued_on,
            "BT-73": document.from_on,
            "BT-74": document.to_on,
            "BG-1": self._notes(),
            "BG-3": self._preceding(),
            "BG-4": self._party(document.seller, is_seller=True),
            "BG-7": self._party(document.buyer, is_seller=False),
            "BG-20": self._allowances(divided),
            "BG-23": [self._breakdown(vat, share) for vat, share in divided.items()],
            "BG-25": [self._line(index, line) for index, line in enumerate(document.lines, 1)],
            "BT-106": self._cents(document.fees_cents),
            "BT-107": self._cents(allowances) if allowances else None,
            "BT-109": self._cents(document.without_taxes_cents),
            "BT-110": self._cents(document.taxes_cents),
            "BT-112": self._cents(document.with_taxes_cents),
            "BT-113": self._cents(paid) if paid and not is_note else None,
            "BT-115": self._cents(document.total_cents),
        }
        return {name: term for name, term in terms.items() if term}

    def _type_code(self) -> str:
        document = self.document
        if document.kind is Kind.CREDIT_NOTE:
            return _CREDIT_NOTE
        if document.self_billed:
            return _SELF_BILLED_INVOICE
        return _PREPAYMENT_INVOICE if document.invoice_type == "credit" else _INVOICE

    def _notes(self) -> list[dict[str, str]]:
        texts = [section.text for section in self.document.sections] + [self.document.footer or ""]
        return [{"BT-22": unbroken(text)} for text in texts if text.strip()]

    def _preceding(self) -> list[dict[str, Any]]:
        document = self.document
        if not document.invoice_number:
            return []
        reference = {
            "BT-25": unbroken(document.invoice_number),
            "BT-26": document.invoice_issued_on,
        }
        return [{name: term for name, term in reference.items() if term}]

    def _party(self, party: Party, *, is_seller: bool) -> dict[str, Any]:
        categories = {vat_of(self.document, line).category for line in self.document.lines}
        shows_vat_number = "O" not in categories  # BR-O-02 to BR-O-04
        has_other_name = party.name and party.name != party.shown_name
        contact = {"name": unbroken(party.shown_name), "email": unbroken(party.email)}
        terms = {
            "name": unbroken(party.shown_name),
            "biz_name": unbroken(party.name) if has_other_name else None,
            "legal_identifier": unbroken(party.legal_number),
            "vat_identifier": unbroken(party.tax_identification_number)
            if shows_vat_number
            else None,
            "addr_l1": unbroken(party.address_line1),
            "addr_l2": unbroken(party.address_line2),
            "postcode": unbroken(party.zipcode),
            "city": unbroken(party.city),
            "country_subdivision": unbroken(party.state),
            "country_code": (party.country or "").upper(),
            "contacts": [contact] if is_seller and party.email else None,
        }
        return {name: term for name, term in terms.items() if term}

    def _allowances(self, divided: Mapping[Vat, _Share]) -> list[dict[str, Any]]:
        reason = ", ".join(unbroken(reduction.name) for reduction in self.document.before_taxes)
        return [
            {
                "amount": self._cents(share.allowance),
                "reason": reason or self.words("coupon", name="").rstrip(" :"),
                "reason_code": _DISCOUNT,
                **self._vat(vat, category="vat_category_code", rate="vat_rate"),
            }
            for vat, share in divided.items()
            if share.allowance
        ]

    def _breakdown(self, vat: Vat, share: _Share) -> dict[str, Any]:
        reasons = {
            "AE": self.words("reverse_charge"),
            "E": self.words("outside_of_tax"),
            "O": self.words("outside_of_tax"),
        }
        terms = {
            "BT-116": self._cents(share.lines - share.allowance),
            "BT-117": self._cents(share.taxes),
            **self._vat(vat, category="BT-118", rate="BT-119"),
            "BT-120": reasons.get(vat.category),
            "BT-121": {"AE": "VATEX-EU-AE", "O": "VATEX-EU-O"}.get(vat.category),
        }
        return {name: term for name, term in terms.items() if term}

    def _line(self, index: int, line: Line) -> dict[str, Any]:
        units, price = self._units_and_price(line)
        notes = filter(None, (line.filters, line.description, *line.group.values()))
        description = " · ".join(unbroken(note) for note in notes)
        terms = {
            "BT-126": str(index),
            "BT-129": f"{units:f}",
            "BT-130": _UNIT,
            "BT-131": self._cents(line.amount_cents),
            "BT-134": line.from_on,
            "BT-135": line.to_on,
            "BT-146": f"{price:f}",
            **self._vat(vat_of(self.document, line), category="BT-151", rate="BT-152"),
            "BT-153": unbroken(line.name) or unbroken(line.code) or "-",
            "BT-154": description,
            "BT-155": unbroken(line.code),
        }
        return {name: term for name, term in terms.items() if term}

    def _units_and_price(self, line: Line) -> tuple[Decimal, Decimal]:
        """Units at a price where they make the amount exactly; else the whole as one.

        A price is never below zero (BR-27), so what is given back has units below zero.
        """
        amount = self.formats.amount(line.amount_cents)
        units, price = line.units, line.unit_amount
        if units and price is not None and price >= 0 and units * price == amount:
            return units, price
        return Decimal(-1 if amount < 0 else 1), abs(amount)

    def _vat(self, vat: Vat, *, category: str, rate: str) -> dict[str, str]:
        """What is outside of VAT has no rate at all (BR-O-05)."""
        terms = {category: vat.category}
        return terms if vat.category == "O" else terms | {rate: f"{vat.rate:f}"}

    def _cents(self, cents: int) -> str:
        return f"{self.formats.amount(cents):f}"
