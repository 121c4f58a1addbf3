"""What an invoice asks of the book, and what the book answers.

Amounts named ``*_minor`` are in the smallest unit of the currency's asset (10^-9), those named
``*_cents`` in the currency's own. Fees, credits, coupons, taxes and credit notes are whole cents.

    G = fees - progressive - coupons + taxes - credit notes       what is to be paid for
    G = debited + wallets + due - refunded - credited + rounding  how it is

An answer is kept as JSON with the invoice (`settlement`): voiding it needs to know what was booked.
"""

from typing import Any
from uuid import UUID

from msgspec import Struct, convert, field, to_builtins


class Payable(Struct, frozen=True, kw_only=True):
    """What is left to pay of one line: its tax included, its coupons and its debits taken off.

    It says which wallets may pay for it. Below nothing counts as nothing.
    """

    fee_id: UUID
    fee_type: str
    billable_metric_code: str | None = None
    amount_minor: int


class SettleRequest(Struct, frozen=True, kw_only=True):
    """An invoice whose amounts are fixed, to be settled once for each revision."""

    invoice_id: UUID
    revision: int
    currency: str
    invoice_type: str
    fees_minor: int
    progressive_minor: int = 0
    """Revenue that an earlier, progressive invoice has booked for the same usage."""
    coupons_minor: int = 0
    taxes_minor: int = 0
    credit_notes_minor: int = 0
    debited_minor: int = 0
    """What grants had paid for the usage on it, when it happened; reversals taken off.

    Without usage that a progressive invoice has settled.
    """
    overage_minor: int = 0
    """What nobody could pay of that usage then. The book knows how much of it is still owed; the
    rest was repaid by a later top-up, and counts as debited."""
    debited_from: dict[UUID, int] = {}
    """Which grants had paid `debited_minor`, as far as events name them."""
    payables: list[Payable] = []
    uses_wallets: bool = False
    """Whether wallets pay what is left: not for `one_off`, `credit` and regrouped paid fees."""


class GrantPart(Struct, frozen=True, kw_only=True):
    """What one grant paid of an invoice, or (below zero) got back from it."""

    id: UUID
    wallet_id: UUID
    kind: str
    amount_minor: int


class Booked(Struct, frozen=True, kw_only=True):
    """One transfer in the book. Below zero: it goes the other way than its name says.

    `fees` receivable → revenue; `overage` receivable → overage; `coupons` discounts → receivable;
    `taxes` receivable → tax_payable; `credit_notes` customer_credit → receivable; `prepaid` grant →
    receivable; `refund` receivable → grant; `credit` receivable → customer_credit; `rounding`
    revenue → receivable.
    """

    id: UUID
    name: str
    amount_minor: int
    grant_id: UUID | None = None


class Settlement(Struct, frozen=True, kw_only=True):
    """What was booked for an invoice when it was finalised."""

    debited_minor: int
    """What had been paid in real time, overage that was repaid since included."""
    overage_minor: int
    """Overage that moved onto this invoice."""
    wallets_minor: int
    """What grants paid now."""
    refunded_minor: int
    """What went back to grants: debited in real time beyond what the invoice comes to."""
    credited_minor: int
    """The same where no grant is left to take it: whole cents, for a credit note that is made with
    its balance and books nothing."""
    rounding_minor: int
    """Less than a cent that nobody can pay: what the house lets go (below zero: keeps)."""
    due_cents: int
    """What is still to be paid: `total_amount_cents`."""
    prepaid_cents: int
    prepaid_granted_cents: int
    prepaid_purchased_cents: int
    grants: list[GrantPart] = []
    transfers: list[Booked] = []

    def to_json(self) -> dict[str, Any]:
        """As it is kept in `invoices.settlement`."""
        return to_builtins(self)

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Settlement":
        """What `to_json` had written."""
        return convert(stored, cls)


class PayRequest(Struct, frozen=True, kw_only=True):
    """A payment of an invoice that has arrived, to be booked once.

    A `credit` invoice is paid by settling its wallet transaction: that books the money.
    """

    payment_id: UUID
    invoice_id: UUID
    currency: str
    amount_cents: int
    provider: str = "manual"


class VoidRequest(Struct, frozen=True, kw_only=True):
    """An unpaid invoice that is taken back, with all that its settlement had booked."""

    invoice_id: UUID
    currency: str
    settlement: Settlement


class Voided(Struct, frozen=True, kw_only=True):
    """What taking an invoice back has booked."""

    grants: list[GrantPart] = []
    """What grants got back (below zero: what had been refunded to them and was taken again)."""
    overage_minor: int = 0
    """What the customer owes as overage again."""
    credited_cents: int = 0
    """What could go back to no grant, because its wallet has ended: for a credit note that is made
    with its balance and books nothing."""
    rounding_minor: int = 0
    transfers: list[UUID] = []


class CreditNoteRequest(Struct, frozen=True, kw_only=True):
    """A credit note: what is credited of an invoice's lines, and where it goes.

    items - coupons + taxes = credit + refund + offset.
    """

    credit_note_id: UUID
    invoice_id: UUID
    currency: str
    items_cents: int
    """Before coupons and taxes."""
    coupons_cents: int = 0
    taxes_cents: int = 0
    credit_cents: int = 0
    refund_cents: int = 0
    offset_cents: int = 0


class BookedTransfers(Struct, frozen=True, kw_only=True):
    """The transfers that an operation has booked."""

    transfers: list[UUID] = field(default_factory=list[UUID])
