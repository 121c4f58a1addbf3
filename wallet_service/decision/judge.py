"""The decision: operations and locked state in, outcomes out. No I/O, no clock, no chance."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from wallet_service.errors import Denied, KeyReused, WalletError

from . import (
    credit_notes,
    deferred_revenue,
    grants,
    holds,
    invoice_voiding,
    invoices,
    usage,
    wallet_transactions,
    wallets,
)
from .case import Case
from .commands import (
    Authorize,
    BookCreditNote,
    Capture,
    CloseGrant,
    CreateWallet,
    Debit,
    Expire,
    ExpireGrant,
    Extend,
    Fail,
    MoveCredits,
    Operation,
    PayInvoice,
    RecogniseRevenue,
    Refund,
    RefundCreditNote,
    Reverse,
    Settle,
    SettleInvoice,
    UpdateWallet,
    Void,
    VoidCreditNote,
    VoidInvoice,
)
from .outcomes import Done, Outcome, Refused, Replayed, Waits
from .state import CustomerState, KnownOperation, LockedState

__all__ = ["decide"]

_SPENDING = frozenset({Authorize, Debit})

_JUDGES: dict[type, Any] = {
    Authorize: holds.authorize,
    Capture: holds.capture,
    Extend: holds.extend,
    Void: holds.void,
    Expire: holds.expire,
    Refund: holds.refund,
    Debit: usage.debit,
    Reverse: usage.reverse,
    MoveCredits: wallet_transactions.move_credits,
    CreateWallet: wallets.create_wallet,
    UpdateWallet: wallets.update_wallet,
    Settle: wallet_transactions.settle,
    Fail: wallet_transactions.fail,
    ExpireGrant: grants.expire_grant,
    CloseGrant: grants.close_grant,
    SettleInvoice: invoices.settle_invoice,
    PayInvoice: invoices.pay_invoice,
    VoidInvoice: invoice_voiding.void_invoice,
    BookCreditNote: credit_notes.book_credit_note,
    RefundCreditNote: credit_notes.refund_credit_note,
    VoidCreditNote: credit_notes.void_credit_note,
    RecogniseRevenue: deferred_revenue.recognise_revenue,
}


def decide(
    operations: Sequence[Operation], state: LockedState, *, is_atomic: bool
) -> list[Outcome]:
    """Judge operations in order against locked balances, totals and keys.

    Later ones see what earlier ones did. ``is_atomic``: the ledger commits with these rows (same
    database), so an outcome is a fact for the rest of the batch. Otherwise it is an intent until
    the ledger has it, and what builds on it waits.
    """
    return [_judge(operation, state, is_atomic=is_atomic) for operation in operations]


def _judge(operation: Operation, state: LockedState, *, is_atomic: bool) -> Outcome:
    place = (operation.organization_id, operation.kind, operation.key)
    known = state.keys.get(place)
    answer = _answer_of_key(operation, known) if known else None
    if answer is not None:
        return answer
    customer = _customer(operation, state)
    command = operation.command
    subject = _subject(operation)
    reason = None if is_atomic else _reason_to_wait(customer, subject)
    if reason is not None:
        return Waits(reason)
    case = Case(
        operation,
        operation_id=known.id if known else operation.id,
        attempt=known.attempt + 1 if known else 1,
        customer=customer,
        now=state.now,
        budgets=state.budgets,
    )
    try:
        reply = _JUDGES[type(command)](case, command)
    except Denied as error:
        _remember(place, case, state, "refused", None)
        # Its stack holds this frame, and this frame holds it: only a collector could free them.
        error.__traceback__ = None
        return Refused(error, case.attempt, case.operation_id, is_recorded=True)
    except WalletError as error:
        error.__traceback__ = None
        return Refused(error)
    case.link()
    case.effect.authorization_id = case.effect.authorization_id or subject
    _remember(place, case, state, "posted" if is_atomic else "open", reply)
    if not is_atomic and case.effect.authorization_id is not None:
        customer.open_holds.add(case.effect.authorization_id)
    return Done(case.effect, reply, case.attempt, case.operation_id)


def _answer_of_key(operation: Operation, known: KnownOperation) -> Outcome | None:
    """What a key that was used before says by itself; None where the operation is judged anew."""
    if known.state == "open":
        return Waits("the same key is under way")
    is_same = known.body_hash == operation.body_hash and known.customer_id == operation.customer_id
    if known.state == "posted" and is_same and known.reply is not None:
        return Replayed(known.reply)
    if not is_same and not _is_named_by_hold(operation):
        return Refused(KeyReused())
    return None


def _reason_to_wait(customer: CustomerState, subject: UUID | None) -> str | None:
    """Why a ledger that commits apart cannot be asked yet, if so."""
    if subject in customer.open_holds:
        return "an operation on the same thing is under way"
    if not all(grant.is_known for grant in customer.grants):
        return "a balance is not known yet"
    return None


def _subject(operation: Operation) -> UUID | None:
    """What may have one open operation at a time.

    A hold, an event that is reversed, or all of a customer's wallets. Authorizations and debits
    only take what the ledger says is there, so any number of them may be open.
    """
    command = operation.command
    if type(command) in _SPENDING:
        return None
    match command:
        case Capture() | Extend() | Void() | Expire() | Refund():
            return command.authorization_id
        case Reverse():
            return command.event_id
        case _:
            return operation.customer_id


def _is_named_by_hold(operation: Operation) -> bool:
    """A final capture or void without a key of its own repeats by the hold's id.

    The hold's state answers for it.
    """
    command = operation.command
    return isinstance(command, Void) or (
        isinstance(command, Capture) and command.transaction_id is None
    )


def _customer(operation: Operation, state: LockedState) -> CustomerState:
    if operation.customer_id is None:
        return CustomerState(operation.organization_id, operation.id, 0)
    return state.customers[operation.organization_id, operation.customer_id]


def _remember(
    place: tuple[Any, str, str], case: Case, state: LockedState, outcome: str, reply: bytes | None
) -> None:
    state.keys[place] = KnownOperation(
        id=case.operation_id,
        customer_id=case.operation.customer_id,
        authorization_id=case.effect.authorization_id,
        body_hash=case.operation.body_hash,
        state=outcome,
        attempt=case.attempt,
        reply=reply,
    )
