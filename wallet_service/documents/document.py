"""What a document says, before any language, format or page: plain facts, all amounts exact.

Amounts named `…_cents` are whole numbers of the currency's minor unit (yen, cents, fils). Amounts
that are Decimal are in the currency itself and may be finer than its minor unit: unit prices, what
tiers add up to, and what wallets paid as usage happened. Nothing here is computed or rounded: it is
what was stored when the document was issued.
"""

from datetime import date
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct, field


class Kind(StrEnum):
    """Which paper it is."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    PAYMENT_RECEIPT = "payment_receipt"


class State(StrEnum):
    """How far one may rely on it."""

    DRAFT = "draft"
    FINAL = "final"
    VOID = "void"


class Party(Struct, frozen=True, kw_only=True):
    """Who sells or who buys. `country` is an ISO 3166 code."""

    name: str
    legal_name: str | None = None
    address_line1: str | None = None
    address_line2: str | None = None
    city: str | None = None
    zipcode: str | None = None
    state: str | None = None
    country: str | None = None
    email: str | None = None
    phone: str | None = None
    legal_number: str | None = None
    tax_identification_number: str | None = None

    @property
    def shown_name(self) -> str:
        """The name that counts before the law, where there is one."""
        return self.legal_name or self.name


class Detail(Struct, frozen=True, kw_only=True):
    """One step of how a line's price came about, such as a tier."""

    kind: str
    """tier, tier_flat, volume, package, free or flat_fee."""
    from_value: Decimal | None = None
    """Of a tier: where it begins, which is where the one before it ends."""
    to_value: Decimal | None = None
    units: Decimal | None = None
    unit_amount: Decimal | None = None
    rate: Decimal | None = None
    package_size: Decimal | None = None
    amount: Decimal | None = None


class Line(Struct, frozen=True, kw_only=True):
    """One fee, or what a credit note gives back of one. `amount_cents` is before taxes."""

    id: str
    kind: str
    """The fee's type; `minimum` tops a charge up to its minimum, `correction` corrects a fee."""
    code: str
    name: str
    description: str | None = None
    filters: str | None = None
    group: dict[str, str] = field(default_factory=dict[str, str])
    from_on: date | None = None
    to_on: date | None = None
    """The last day, inclusive."""
    units: Decimal | None = None
    unit_amount: Decimal | None = None
    """What a unit costs; an average where units differ in price."""
    amount_cents: int
    discount_cents: Decimal = Decimal(0)
    """Its share of what was taken off before taxes, exactly."""
    taxes_rate: Decimal = Decimal(0)
    taxes_cents: Decimal = Decimal(0)
    """Its taxes, exactly."""
    tax_codes: list[str] = field(default_factory=list[str])
    details: list[Detail] = field(default_factory=list[Detail])


class Group(Struct, frozen=True, kw_only=True):
    """The lines of one subscription; without a name, those that belong to none."""

    name: str | None = None
    plan: str | None = None
    external_id: str | None = None
    lines: list[Line]


class Reduction(Struct, frozen=True, kw_only=True):
    """What made the document smaller by a whole amount: a coupon, a credit note, an invoice."""

    kind: str
    """coupon, credit_note or progressive_billing"""
    name: str
    amount_cents: int


class TaxShare(Struct, frozen=True, kw_only=True):
    """One tax of the whole document."""

    code: str
    name: str
    rate: Decimal
    base_cents: int
    amount_cents: int


class GrantShare(Struct, frozen=True, kw_only=True):
    """What one grant of a wallet has paid."""

    wallet: str
    kind: str
    """paid or promotional"""
    amount: Decimal


class Prepaid(Struct, frozen=True, kw_only=True):
    """What was paid from wallets before anybody was asked to pay."""

    debited: Decimal
    """When usage happened."""
    settled: Decimal
    """When the invoice was finalised: the rest, and the true-up. Negative: given back."""
    credited: Decimal = Decimal(0)
    """What was paid too much and came back as a credit note, since no wallet could take it."""
    total_cents: int
    granted_cents: int = 0
    purchased_cents: int = 0
    """Both together are the total."""
    grants: list[GrantShare] = field(default_factory=list[GrantShare])
    """Which grants `settled` is of."""


class Payment(Struct, frozen=True, kw_only=True):
    """A payment that a receipt is for."""

    paid_on: date
    provider: str
    reference: str
    invoice_number: str
    invoice_issued_on: date
    invoice_total_cents: int
    amount_cents: int


class Given(Struct, frozen=True, kw_only=True):
    """How a credit note's total reaches the customer."""

    credit_cents: int = 0
    refund_cents: int = 0
    offset_cents: int = 0


class Section(Struct, frozen=True, kw_only=True):
    """A text that the issuer adds."""

    title: str | None = None
    text: str


class Document(Struct, frozen=True, kw_only=True):
    """An invoice, a credit note or a receipt."""

    kind: Kind
    state: State = State.FINAL
    invoice_type: str = "subscription"
    self_billed: bool = False
    locale: str = "en"
    currency: str
    number: str
    issued_on: date
    due_on: date | None = None
    net_payment_term: int | None = None
    from_on: date | None = None
    to_on: date | None = None
    purchase_order_number: str | None = None
    seller: Party
    buyer: Party
    logo: str | None = None
    """A `data:` URI with a PNG or JPEG; anything else is not shown, and nothing is ever fetched."""

    groups: list[Group] = field(default_factory=list[Group])
    before_taxes: list[Reduction] = field(default_factory=list[Reduction])
    taxes: list[TaxShare] = field(default_factory=list[TaxShare])
    after_taxes: list[Reduction] = field(default_factory=list[Reduction])
    prepaid: Prepaid | None = None
    fees_cents: int = 0
    without_taxes_cents: int = 0
    taxes_cents: int = 0
    with_taxes_cents: int = 0
    total_cents: int = 0
    """What is to be paid; of a credit note: what is given; of a receipt: what was paid."""

    invoice_number: str | None = None
    """Of a credit note: the invoice it lowers."""
    invoice_issued_on: date | None = None
    reason: str | None = None
    given: Given | None = None
    payment: Payment | None = None

    facts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Metadata that is to be shown, by its name."""
    sections: list[Section] = field(default_factory=list[Section])
    footer: str | None = None

    @property
    def lines(self) -> list[Line]:
        """Every line, in order."""
        return [line for group in self.groups for line in group.lines]
