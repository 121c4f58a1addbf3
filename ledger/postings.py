"""Every movement of money that there is. Whoever has read this file has seen all the accounting.

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

Ids come from the caller: `ids("post:0")` is derived from the operation, its leg and its attempt, so
a repeat books nothing twice. Amounts are positive; a leg of nothing is our own bug.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ledger.chart import AccountCode, TransferCode, house_account_id
from ledger.ids import low64
from ledger.money import MAX_MINOR
from ledger.transfers import Phase, Transfer, TransferId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.accounts import AccountId

Ids: TypeAlias = Callable[[str], TransferId]
"""The id of a leg of this operation in this attempt, by the leg's name."""


class Reference(Struct, frozen=True, kw_only=True):
    """What a transfer says it is about."""

    user_data_128: int = 0
    """Hash of organization and idempotency key: leads from the book back to the operation."""
    user_data_64: int = 0
    """Of the event or metric; in a reversal, the low half of the id that it reverses."""
    user_data_32: int = 0
    """Of the subscription."""


NO_REFERENCE = Reference()


class Leg(Struct, frozen=True):
    """So much from (or to) this account."""

    account_id: int
    amount: int


class Held(Struct, frozen=True):
    """One leg of a live hold: a pending transfer and the grant that it sets money aside of."""

    transfer_id: int
    account_id: int
    amount: int


class Reversed(Struct, frozen=True):
    """So much of an original transfer goes back to the account that paid it."""

    transfer_id: int
    account_id: int
    amount: int


class Undone(Struct, frozen=True):
    """A transfer as it was booked, or a part of it, that is to be booked the other way."""

    transfer_id: int
    debit_account_id: int
    credit_account_id: int
    amount: int


def chain(*parts: Sequence[Transfer]) -> list[Transfer]:
    """Several movements as one: all of them are booked, or none."""
    transfers = [transfer for part in parts for transfer in part]
    assert transfers, "an operation moves something"
    last = len(transfers) - 1
    return [
        transfer
        if transfer.linked == (position < last)
        else replace(transfer, linked=position < last)
        for position, transfer in enumerate(transfers)
    ]


def pending_of(held: Held, *, ledger: int) -> Transfer:
    """The pending transfer that `hold` made of a leg, as far as its end depends on it."""
    return Transfer(
        id=held.transfer_id,
        debit_account_id=held.account_id,
        credit_account_id=_house(ledger, AccountCode.REVENUE),
        amount=held.amount,
        ledger=ledger,
        code=TransferCode.HOLD,
        phase=Phase.PENDING,
    )


def top_up(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    amount: int,
    provider: str,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """A payment was confirmed: debit what the provider owes us, credit what we owe the customer."""
    return [
        _move(
            ids("top_up"),
            debit=_house(ledger, AccountCode.PAYMENTS, provider),
            credit=grant_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.TOP_UP,
            reference=reference,
        )
    ]


def promotion(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """We give credits away: debit the expense, credit what we owe the customer."""
    return [
        _move(
            ids("promotion"),
            debit=_house(ledger, AccountCode.PROMOTIONS),
            credit=grant_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.PROMOTION,
            reference=reference,
        )
    ]


def hold(
    *,
    ids: Ids,
    ledger: int,
    legs: Sequence[Leg],
    timeout_s: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Set money aside: one pending leg a grant, towards revenue, all or none.

    The grants' available balances fall at once; nothing is earned before a capture. `timeout_s` is
    the backstop after which the ledger gives it back by itself.
    """
    return chain(_hold_legs(ids, ledger, legs, timeout_s, reference))


def capture(
    *,
    ids: Ids,
    ledger: int,
    holds: Sequence[Held],
    used: Sequence[int],
    debits: Sequence[Leg] = (),
    overage: Leg | None = None,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Earn what was used of a hold and end it; what was not used is given back.

    `used` says so for each leg of the hold. Usage above the hold is debited from free grants and
    overdrafts (`debits`), and what nobody can pay is owed by the customer (`overage`).
    """
    return chain(
        _end_legs(ids, ledger, holds, used, reference),
        _debit_legs(ids, ledger, debits, overage, TransferCode.CAPTURE, reference),
    )


def partial_capture(
    *,
    ids: Ids,
    ledger: int,
    holds: Sequence[Held],
    used: Sequence[int],
    timeout_s: int,
    debits: Sequence[Leg] = (),
    overage: Leg | None = None,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Earn a part of a hold and hold the rest anew, at once: nobody else can take it in between.

    A pending transfer is posted once, so the rest needs new legs: the pending ones among what is
    returned. Legs that nothing was used of stay as they are.
    """
    touched = [leg for leg, taken in zip(holds, used, strict=True) if taken]
    rest = [
        Leg(leg.account_id, leg.amount - taken)
        for leg, taken in zip(holds, used, strict=True)
        if 0 < taken < leg.amount
    ]
    return chain(
        _end_legs(ids, ledger, touched, [taken for taken in used if taken], reference),
        _debit_legs(ids, ledger, debits, overage, TransferCode.CAPTURE, reference),
        _hold_legs(ids, ledger, rest, timeout_s, reference),
    )


def extend(
    *,
    ids: Ids,
    ledger: int,
    holds: Sequence[Held],
    legs: Sequence[Leg],
    timeout_s: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Give a hold back and set money aside anew, longer or more, in one step.

    A pending transfer's timeout cannot be changed. To hold more without holding longer, add legs
    with `hold`.
    """
    return chain(
        _void_legs(ids, ledger, holds, "void", reference),
        _hold_legs(ids, ledger, legs, timeout_s, reference),
    )


def void(
    *, ids: Ids, ledger: int, holds: Sequence[Held], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Give all of a hold back. Never linked to anything new."""
    return chain(_void_legs(ids, ledger, holds, "void", reference))


def expire_hold(
    *, ids: Ids, ledger: int, holds: Sequence[Held], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Give all of a hold back because nobody captured it in time. Never linked to anything new."""
    return chain(_void_legs(ids, ledger, holds, "expire", reference))


def debit(
    *,
    ids: Ids,
    ledger: int,
    legs: Sequence[Leg],
    overage: Leg | None = None,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Charge usage at once: debit grants and overdrafts, then the customer's overage; earn it."""
    return chain(_debit_legs(ids, ledger, legs, overage, TransferCode.DEBIT, reference))


def repay_overage(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    overage_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """The next top-up first pays what is owed: debit the new grant, credit the overage."""
    return [
        _move(
            ids("repay_overage"),
            debit=grant_id,
            credit=overage_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.REPAY_OVERAGE,
            reference=reference,
        )
    ]


def repay_overdraft(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    overdraft_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Fill a used overdraft up again: debit the new grant, credit the overdraft."""
    return [
        _move(
            ids("repay_overdraft"),
            debit=grant_id,
            credit=overdraft_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.REPAY_OVERDRAFT,
            reference=reference,
        )
    ]


def credit_line_up(
    *,
    ids: Ids,
    ledger: int,
    overdraft_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Grant an overdraft, or a higher one: debit the lines we gave, credit the overdraft."""
    return [
        _move(
            ids("credit_line_up"),
            debit=_house(ledger, AccountCode.CREDIT_LINES),
            credit=overdraft_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.CREDIT_LINE,
            reference=reference,
        )
    ]


def credit_line_down(
    *,
    ids: Ids,
    ledger: int,
    overdraft_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Take back what is unused of an overdraft: debit the overdraft, credit the lines we gave."""
    return [
        _move(
            ids("credit_line_down"),
            debit=overdraft_id,
            credit=_house(ledger, AccountCode.CREDIT_LINES),
            amount=amount,
            ledger=ledger,
            code=TransferCode.CREDIT_LINE,
            reference=reference,
        )
    ]


def refund(
    *, ids: Ids, ledger: int, legs: Sequence[Reversed], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Give back captured usage: debit revenue, credit the grants (or the overage) that paid it."""
    return _reverse(ids, ledger, legs, TransferCode.REFUND, reference)


def reversal(
    *, ids: Ids, ledger: int, legs: Sequence[Reversed], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Undo a charged event, likewise; the event itself stays, with a negative usage line."""
    return _reverse(ids, ledger, legs, TransferCode.REVERSAL, reference)


def grant_expired(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    amount: int,
    is_promotional: bool,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Take what is free of a grant whose time is over: what is held stays held until its hold ends.

    A paid grant's rest is our income (breakage); a promotional one's lowers what promotions cost.
    """
    return [
        _move(
            ids("grant_expired"),
            debit=grant_id,
            credit=_rest_of(ledger, is_promotional=is_promotional),
            amount=amount,
            ledger=ledger,
            code=TransferCode.GRANT_EXPIRED,
            reference=reference,
        )
    ]


def grant_voided(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    amount: int,
    is_promotional: bool,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Take so much of a grant back before its time, to where its rest would go on expiry."""
    return [
        _move(
            ids("grant_voided"),
            debit=grant_id,
            credit=_rest_of(ledger, is_promotional=is_promotional),
            amount=amount,
            ledger=ledger,
            code=TransferCode.GRANT_VOIDED,
            reference=reference,
        )
    ]


def issue(
    *,
    ids: Ids,
    money_ledger: int,
    money_amount: int,
    provider: str,
    unit_ledger: int,
    unit_code: str,
    grant: Leg,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Sell native units: the money is a debt until the units are used, the units are a grant.

    In money: debit what the provider owes us, credit deferred revenue. In units: debit what we
    issued, credit the grant.
    """
    return chain(
        [
            _move(
                ids("issue:money"),
                debit=_house(money_ledger, AccountCode.PAYMENTS, provider),
                credit=_house(money_ledger, AccountCode.DEFERRED_REVENUE),
                amount=money_amount,
                ledger=money_ledger,
                code=TransferCode.ISSUE,
                reference=reference,
            ),
            _move(
                ids("issue:units"),
                debit=_house(unit_ledger, AccountCode.ISSUED, unit_code),
                credit=grant.account_id,
                amount=grant.amount,
                ledger=unit_ledger,
                code=TransferCode.ISSUE,
                reference=reference,
            ),
        ]
    )


def issue_units(
    *,
    ids: Ids,
    ledger: int,
    unit_code: str,
    grant: Leg,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Hand out native units whose money is booked elsewhere.

    Debit what we issued, credit the grant.
    """
    return [
        _move(
            ids("issue:units"),
            debit=_house(ledger, AccountCode.ISSUED, unit_code),
            credit=grant.account_id,
            amount=grant.amount,
            ledger=ledger,
            code=TransferCode.ISSUE,
            reference=reference,
        )
    ]


def recognise_revenue(
    *, ids: Ids, money_ledger: int, amount: int, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Units were used: their cost basis is earned. Debit deferred revenue, credit revenue.

    Below zero (usage was given back), the other way.
    """
    return _between(
        ids("recognise_revenue"),
        debit=_house(money_ledger, AccountCode.DEFERRED_REVENUE),
        credit=_house(money_ledger, AccountCode.REVENUE),
        amount=amount,
        ledger=money_ledger,
        code=TransferCode.RECOGNISE_REVENUE,
        reference=reference,
    )


def invoice_overage(
    *,
    ids: Ids,
    ledger: int,
    overage_id: AccountId,
    amount: int,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """Overage goes onto the invoice that bills its usage: debit receivable, credit overage."""
    return [
        _move(
            ids("invoice_overage"),
            debit=_house(ledger, AccountCode.RECEIVABLE),
            credit=overage_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.INVOICE_OVERAGE,
            reference=reference,
        )
    ]


def units_expired(
    *, ids: Ids, money_ledger: int, amount: int, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Units that were paid for will never be used: debit deferred revenue, credit breakage.

    Below zero, the other way.
    """
    return _between(
        ids("units_expired"),
        debit=_house(money_ledger, AccountCode.DEFERRED_REVENUE),
        credit=_house(money_ledger, AccountCode.BREAKAGE),
        amount=amount,
        ledger=money_ledger,
        code=TransferCode.UNITS_EXPIRED,
        reference=reference,
    )


def invoice_fees(
    *, ids: Ids, ledger: int, amount: int, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """What an invoice earns beyond what was earned when usage happened: fees and the true-up.

    Debit receivable, credit revenue; below zero, the other way.
    """
    return _between(
        ids("fees"),
        debit=_house(ledger, AccountCode.RECEIVABLE),
        credit=_house(ledger, AccountCode.REVENUE),
        amount=amount,
        ledger=ledger,
        code=TransferCode.INVOICE,
        reference=reference,
    )


def invoice_coupons(
    *, ids: Ids, ledger: int, amount: int, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Coupons lower what is to be paid: debit discounts, credit receivable."""
    return _between(
        ids("coupons"),
        debit=_house(ledger, AccountCode.DISCOUNTS),
        credit=_house(ledger, AccountCode.RECEIVABLE),
        amount=amount,
        ledger=ledger,
        code=TransferCode.INVOICE_COUPONS,
        reference=reference,
    )


def invoice_taxes(
    *, ids: Ids, ledger: int, amount: int, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Taxes are asked for and owed to the state: debit receivable, credit tax payable."""
    return _between(
        ids("taxes"),
        debit=_house(ledger, AccountCode.RECEIVABLE),
        credit=_house(ledger, AccountCode.TAX_PAYABLE),
        amount=amount,
        ledger=ledger,
        code=TransferCode.INVOICE_TAXES,
        reference=reference,
    )


def invoice_credit_notes(
    *, ids: Ids, ledger: int, amount: int, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Credit notes pay a part: debit what we owe the customer for them, credit receivable."""
    return _between(
        ids("credit_notes"),
        debit=_house(ledger, AccountCode.CUSTOMER_CREDIT),
        credit=_house(ledger, AccountCode.RECEIVABLE),
        amount=amount,
        ledger=ledger,
        code=TransferCode.INVOICE_CREDIT_NOTES,
        reference=reference,
    )


def invoice_prepaid(
    *, ids: Ids, ledger: int, legs: Sequence[Leg], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Grants pay what is left of an invoice: debit each grant, credit receivable."""
    return chain(
        [
            _move(
                ids(f"prepaid:{position}"),
                debit=leg.account_id,
                credit=_house(ledger, AccountCode.RECEIVABLE),
                amount=leg.amount,
                ledger=ledger,
                code=TransferCode.INVOICE_PREPAID,
                reference=reference,
            )
            for position, leg in enumerate(legs)
        ]
    )


def invoice_refund(
    *, ids: Ids, ledger: int, legs: Sequence[Leg], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """More was debited in real time than the invoice comes to: debit receivable, credit grants."""
    return chain(
        [
            _move(
                ids(f"refund:{position}"),
                debit=_house(ledger, AccountCode.RECEIVABLE),
                credit=leg.account_id,
                amount=leg.amount,
                ledger=ledger,
                code=TransferCode.INVOICE_REFUND,
                reference=reference,
            )
            for position, leg in enumerate(legs)
        ]
    )


def invoice_credit(
    *, ids: Ids, ledger: int, amount: int, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """The same where the customer has no grant: debit receivable, credit customer credit."""
    return _between(
        ids("credit"),
        debit=_house(ledger, AccountCode.RECEIVABLE),
        credit=_house(ledger, AccountCode.CUSTOMER_CREDIT),
        amount=amount,
        ledger=ledger,
        code=TransferCode.INVOICE_CREDIT,
        reference=reference,
    )


def invoice_rounding(
    *, ids: Ids, ledger: int, amount: int, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Less than a cent that nobody can pay: debit revenue, credit receivable.

    Below zero, less than a cent that nobody can get back: the other way.
    """
    return _between(
        ids("rounding"),
        debit=_house(ledger, AccountCode.REVENUE),
        credit=_house(ledger, AccountCode.RECEIVABLE),
        amount=amount,
        ledger=ledger,
        code=TransferCode.INVOICE_ROUNDING,
        reference=reference,
    )


def invoice_payment(
    *, ids: Ids, ledger: int, amount: int, provider: str, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """An invoice was paid: debit what the provider owes us, credit receivable."""
    return _between(
        ids("payment"),
        debit=_house(ledger, AccountCode.PAYMENTS, provider),
        credit=_house(ledger, AccountCode.RECEIVABLE),
        amount=amount,
        ledger=ledger,
        code=TransferCode.INVOICE_PAYMENT,
        reference=reference,
    )


def invoice_voided(
    *, ids: Ids, ledger: int, originals: Sequence[Undone], reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """Take back what was booked for an invoice: each transfer the other way, named by its id."""
    assert reference.user_data_64 == 0, "this place names the original"
    return chain(
        [
            _move(
                ids(f"voided:{position}"),
                debit=undone.credit_account_id,
                credit=undone.debit_account_id,
                amount=undone.amount,
                ledger=ledger,
                code=TransferCode.INVOICE_VOIDED,
                reference=replace(reference, user_data_64=low64(undone.transfer_id)),
            )
            for position, undone in enumerate(originals)
        ]
    )


def invoice_return(
    *,
    ids: Ids,
    ledger: int,
    grant_id: AccountId,
    amount: int,
    original_id: TransferId,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """A grant had paid an invoice that is voided, and has ended since: a new one takes its place.

    Debit receivable, credit the new grant.
    """
    assert reference.user_data_64 == 0, "this place names the original"
    return [
        _move(
            ids("return"),
            debit=_house(ledger, AccountCode.RECEIVABLE),
            credit=grant_id,
            amount=amount,
            ledger=ledger,
            code=TransferCode.INVOICE_RETURN,
            reference=replace(reference, user_data_64=low64(original_id)),
        )
    ]


class CreditedParts(Struct, frozen=True, kw_only=True):
    """What a credit note takes back: revenue, less its coupons, and its taxes."""

    revenue: int
    coupons: int
    taxes: int


def credit_note(
    *, ids: Ids, ledger: int, parts: CreditedParts, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """The customer may use it on later invoices: it goes to customer credit."""
    return _credit_note(
        ids,
        ledger,
        parts,
        _house(ledger, AccountCode.CUSTOMER_CREDIT),
        TransferCode.CREDIT_NOTE,
        reference,
    )


def credit_note_offset(
    *, ids: Ids, ledger: int, parts: CreditedParts, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """It lowers what is still to be paid of its own invoice: it goes to receivable."""
    return _credit_note(
        ids,
        ledger,
        parts,
        _house(ledger, AccountCode.RECEIVABLE),
        TransferCode.CREDIT_NOTE_OFFSET,
        reference,
    )


def credit_note_refund(
    *,
    ids: Ids,
    ledger: int,
    parts: CreditedParts,
    provider: str,
    reference: Reference = NO_REFERENCE,
) -> list[Transfer]:
    """It was paid out: it goes to what the provider owes us."""
    return _credit_note(
        ids,
        ledger,
        parts,
        _house(ledger, AccountCode.PAYMENTS, provider),
        TransferCode.CREDIT_NOTE_REFUND,
        reference,
    )


def credit_note_voided(
    *, ids: Ids, ledger: int, parts: CreditedParts, reference: Reference = NO_REFERENCE
) -> list[Transfer]:
    """What is left of a credit is taken back, to where it came from."""
    return _credit_note(
        ids,
        ledger,
        CreditedParts(revenue=-parts.revenue, coupons=-parts.coupons, taxes=-parts.taxes),
        _house(ledger, AccountCode.CUSTOMER_CREDIT),
        TransferCode.CREDIT_NOTE_VOIDED,
        reference,
    )


def _credit_note(
    ids: Ids,
    ledger: int,
    parts: CreditedParts,
    receiver: AccountId,
    code: TransferCode,
    reference: Reference,
) -> list[Transfer]:
    name = code.name.lower()
    revenue = _house(ledger, AccountCode.REVENUE)
    taxes = _house(ledger, AccountCode.TAX_PAYABLE)
    discounts = _house(ledger, AccountCode.DISCOUNTS)
    moved = [
        _between(
            ids(f"{name}:{part}"),
            debit=debit,
            credit=credit,
            amount=amount,
            ledger=ledger,
            code=code,
            reference=reference,
        )
        for part, debit, credit, amount in (
            ("revenue", revenue, receiver, parts.revenue),
            ("taxes", taxes, receiver, parts.taxes),
            ("coupons", receiver, discounts, parts.coupons),
        )
        if amount
    ]
    return chain(*moved)


def _between(
    transfer_id: TransferId,
    *,
    debit: AccountId,
    credit: AccountId,
    amount: int,
    ledger: int,
    code: TransferCode,
    reference: Reference,
) -> list[Transfer]:
    """One movement; of an amount below zero, the other way."""
    if amount < 0:
        debit, credit = credit, debit
    return [
        _move(
            transfer_id,
            debit=debit,
            credit=credit,
            amount=abs(amount),
            ledger=ledger,
            code=code,
            reference=reference,
        )
    ]


def _house(ledger: int, code: AccountCode, detail: str = "") -> AccountId:
    return house_account_id(ledger=ledger, code=code, detail=detail)


def _rest_of(ledger: int, *, is_promotional: bool) -> AccountId:
    return _house(ledger, AccountCode.PROMOTIONS if is_promotional else AccountCode.BREAKAGE)


def _move(
    transfer_id: TransferId,
    *,
    debit: AccountId,
    credit: AccountId,
    amount: int,
    ledger: int,
    code: TransferCode,
    reference: Reference,
) -> Transfer:
    assert 0 < amount <= MAX_MINOR, f"a leg of {amount}"
    return Transfer(
        id=transfer_id,
        debit_account_id=debit,
        credit_account_id=credit,
        amount=amount,
        ledger=ledger,
        code=code,
        user_data_128=reference.user_data_128,
        user_data_64=reference.user_data_64,
        user_data_32=reference.user_data_32,
    )


def _hold_legs(
    ids: Ids, ledger: int, legs: Sequence[Leg], timeout_s: int, reference: Reference
) -> list[Transfer]:
    assert timeout_s > 0, "every hold ends"
    revenue = _house(ledger, AccountCode.REVENUE)
    transfers: list[Transfer] = []
    for position, leg in enumerate(legs):
        assert 0 < leg.amount <= MAX_MINOR, f"a leg of {leg.amount}"
        transfers.append(
            Transfer(
                id=ids(f"hold:{position}"),
                debit_account_id=leg.account_id,
                credit_account_id=revenue,
                amount=leg.amount,
                ledger=ledger,
                code=TransferCode.HOLD,
                phase=Phase.PENDING,
                user_data_128=reference.user_data_128,
                user_data_64=reference.user_data_64,
                user_data_32=reference.user_data_32,
                timeout_s=timeout_s,
                linked=True,
            )
        )
    return transfers


def _end_legs(
    ids: Ids, ledger: int, holds: Sequence[Held], used: Sequence[int], reference: Reference
) -> list[Transfer]:
    """Post what was used of each leg; legs that nothing was used of are given back."""
    transfers: list[Transfer] = []
    for position, (leg, taken) in enumerate(zip(holds, used, strict=True)):
        assert 0 <= taken <= leg.amount, "a leg is captured up to its amount"
        if taken:
            transfers.append(
                _end(ids(f"post:{position}"), leg, ledger, Phase.POST, taken, reference)
            )
        else:
            transfers.append(
                _end(ids(f"void:{position}"), leg, ledger, Phase.VOID, leg.amount, reference)
            )
    return transfers


def _void_legs(
    ids: Ids, ledger: int, holds: Sequence[Held], name: str, reference: Reference
) -> list[Transfer]:
    return [
        _end(ids(f"{name}:{position}"), leg, ledger, Phase.VOID, leg.amount, reference)
        for position, leg in enumerate(holds)
    ]


def _end(
    transfer_id: TransferId,
    leg: Held,
    ledger: int,
    phase: Phase,
    amount: int,
    reference: Reference,
) -> Transfer:
    """Accounts and code are those of the hold: the book refuses any others."""
    return Transfer(
        id=transfer_id,
        debit_account_id=leg.account_id,
        credit_account_id=_house(ledger, AccountCode.REVENUE),
        amount=amount,
        ledger=ledger,
        code=TransferCode.HOLD,
        phase=phase,
        pending_id=leg.transfer_id,
        user_data_128=reference.user_data_128,
        user_data_64=reference.user_data_64,
        user_data_32=reference.user_data_32,
        linked=True,
    )


def _debit_legs(
    ids: Ids,
    ledger: int,
    legs: Sequence[Leg],
    overage: Leg | None,
    code: TransferCode,
    reference: Reference,
) -> list[Transfer]:
    revenue = _house(ledger, AccountCode.REVENUE)
    transfers = [
        _move(
            ids(f"debit:{position}"),
            debit=leg.account_id,
            credit=revenue,
            amount=leg.amount,
            ledger=ledger,
            code=code,
            reference=reference,
        )
        for position, leg in enumerate(legs)
    ]
    if overage is not None:
        transfers.append(
            _move(
                ids("overage"),
                debit=overage.account_id,
                credit=revenue,
                amount=overage.amount,
                ledger=ledger,
                code=TransferCode.OVERAGE,
                reference=reference,
            )
        )
    return transfers


def _reverse(
    ids: Ids,
    ledger: int,
    legs: Sequence[Reversed],
    code: TransferCode,
    reference: Reference,
) -> list[Transfer]:
    assert reference.user_data_64 == 0, "this place names the original"
    revenue = _house(ledger, AccountCode.REVENUE)
    return chain(
        [
            _move(
                ids(f"{code.name.lower()}:{position}"),
                debit=revenue,
                credit=leg.account_id,
                amount=leg.amount,
                ledger=ledger,
                code=code,
                reference=replace(reference, user_data_64=low64(leg.transfer_id)),
            )
            for position, leg in enumerate(legs)
        ]
    )
