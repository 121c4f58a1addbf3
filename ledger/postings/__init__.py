"""Every movement of money that there is. Whoever has read these files has seen all the accounting.

Each function is pure and returns the transfers of one operation as one linked chain: booked as a
whole or not at all. `debit → credit` is written in that order. In short:

    top_up            payments:<provider> → grant
    promotion         promotions → grant
    hold              grant ⇢ revenue, pending; overdrafts are grants here
    capture           posts of the hold, then grant → revenue, then overage → revenue
    void, expire_hold the hold is given back
    debit             grant → revenue, then overage → revenue
    repay_overage     grant → overage               repay_overdraft   grant → overdraft
    credit_line_up    credit_lines → overdraft      credit_line_down  overdraft → credit_lines
    refund, reversal  revenue → grant (or overage), naming the original
    grant_expired     grant → breakage (paid) or promotions (promotional): what is free
    grant_voided      the same, a given amount
    issue             payments:<provider> → deferred_revenue, issued:<unit> → grant of units
    issue_units       issued:<unit> → grant of units
    recognise_revenue deferred_revenue → revenue
    units_expired     deferred_revenue → breakage

An invoice is a claim on `receivable`, and each of its parts a movement there:

    invoice_fees      receivable → revenue: fees, less what was earned before; either way
    invoice_overage   receivable → overage
    invoice_coupons   discounts → receivable
    invoice_taxes     receivable → tax_payable
    invoice_credit_notes  customer_credit → receivable
    invoice_prepaid   grant → receivable
    invoice_refund    receivable → grant: debited in real time beyond what it comes to
    invoice_credit    receivable → customer_credit: the same, where there is no grant
    invoice_rounding  revenue → receivable: less than a cent that nobody pays; either way
    invoice_payment   payments:<provider> → receivable
    invoice_voided    each of these the other way, naming the original
    invoice_return    receivable → a new grant, for one that has ended since, naming the original
    credit_note       revenue, tax_payable → X, X → discounts, where X is who gets it:
                      customer_credit, receivable (offset), payments:<provider> (refund)
    credit_note_voided    the other way, for what is left of a credit

Each takes a `Booking`: the ledger, what it is about, and ids, which come from the caller.
`ids("post:0")` is derived from the operation, its leg and its attempt, so a repeat books nothing
twice. Amounts are positive; a leg of nothing is our own bug.
"""

from ledger.postings.credit_notes import (
    CreditedParts,
    credit_note,
    credit_note_offset,
    credit_note_refund,
    credit_note_voided,
)
from ledger.postings.grants import (
    credit_line_down,
    credit_line_up,
    grant_expired,
    grant_voided,
    promotion,
    repay_overage,
    repay_overdraft,
    top_up,
)
from ledger.postings.holds import (
    Held,
    capture,
    expire_hold,
    extend,
    hold,
    partial_capture,
    pending_of,
    void,
)
from ledger.postings.invoices import (
    Undone,
    invoice_coupons,
    invoice_credit,
    invoice_credit_notes,
    invoice_fees,
    invoice_overage,
    invoice_payment,
    invoice_prepaid,
    invoice_refund,
    invoice_return,
    invoice_rounding,
    invoice_taxes,
    invoice_voided,
)
from ledger.postings.movements import (
    NO_REFERENCE,
    Booking,
    Ids,
    Leg,
    Reference,
    chain,
)
from ledger.postings.units import (
    issue,
    issue_units,
    recognise_revenue,
    units_expired,
)
from ledger.postings.usage import (
    Reversed,
    debit,
    refund,
    reversal,
)

__all__ = [
    "NO_REFERENCE",
    "Booking",
    "CreditedParts",
    "Held",
    "Ids",
    "Leg",
    "Reference",
    "Reversed",
    "Undone",
    "capture",
    "chain",
    "credit_line_down",
    "credit_line_up",
    "credit_note",
    "credit_note_offset",
    "credit_note_refund",
    "credit_note_voided",
    "debit",
    "expire_hold",
    "extend",
    "grant_expired",
    "grant_voided",
    "hold",
    "invoice_coupons",
    "invoice_credit",
    "invoice_credit_notes",
    "invoice_fees",
    "invoice_overage",
    "invoice_payment",
    "invoice_prepaid",
    "invoice_refund",
    "invoice_return",
    "invoice_rounding",
    "invoice_taxes",
    "invoice_voided",
    "issue",
    "issue_units",
    "partial_capture",
    "pending_of",
    "promotion",
    "recognise_revenue",
    "refund",
    "repay_overage",
    "repay_overdraft",
    "reversal",
    "top_up",
    "units_expired",
    "void",
]
