# ruff: noqa: PLR0911 - every check is a way out, in TigerBeetle's order
"""The rules of the book: which transfers are taken, and with which answer the others are refused.

Pure: no clock, no storage. The memory and the Postgres engine give the accounts and transfers that
a batch touches as a `Book`, and find in a `Verdict` what to answer and what to keep. The statuses
and the order of the checks are TigerBeetle's, and the differential tests hold them against it.

Where we differ on purpose:
- balances of customers' accounts end at 2^63 - 1, not at 2^128 - 1;
- accounts of the house are not locked, so nothing here may depend on their balance: a balancing
  transfer against one of them is our own bug (`UnsupportedTransfer`);
- closed accounts and imported events do not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.book import AccountState, Book, Booked, Ending, Verdict
from ledger.errors import UnsupportedTransfer
from ledger.money import MAX_MINOR
from ledger.repeats import compare
from ledger.transfers import (
    AMOUNT_MAX,
    TRANSIENT,
    Phase,
    Transfer,
    TransferResult,
    TransferStatus,
    chains,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

S = TransferStatus
_U128_MAX = 2**128 - 1
_TIMESTAMP_MAX = 2**63 - 1
_NANOSECONDS = 1_000_000_000


def judge(transfers: Sequence[Transfer], book: Book, *, timestamp: int, step: int = 1) -> Verdict:
    """Judge a batch, in order; chains hold as a whole.

    Transfer number `i` of the batch gets the timestamp `timestamp + i * step`. Raises
    UnsupportedTransfer before anything moved.
    """
    for transfer in transfers:
        if transfer.amount > MAX_MINOR or transfer.balancing_debit or transfer.balancing_credit:
            _check_supported(transfer, book)
    verdict = Verdict([], [], [])
    for start, end in chains(transfers):
        before = len(verdict.booked)
        is_broken = False
        for position in range(start, end):
            transfer, at = transfers[position], timestamp + position * step
            if position == end - 1 and transfer.linked:
                result = TransferResult(S.LINKED_EVENT_CHAIN_OPEN, at)
            elif is_broken:
                result = TransferResult(S.LINKED_EVENT_FAILED, at)
            else:
                result = _create(transfer, book, verdict, at)
            verdict.results.append(result)
            if result.status is not S.CREATED and not is_broken:
                is_broken = True
                _break(book, verdict, start=start, booked_before=before)
                _burn(transfer, result, book, verdict)
    return verdict


def _break(book: Book, verdict: Verdict, *, start: int, booked_before: int) -> None:
    """The newest result is a refusal: nothing of its chain is booked."""
    _undo(book, verdict, booked_before)
    for member in range(start, len(verdict.results) - 1):
        verdict.results[member] = TransferResult(
            S.LINKED_EVENT_FAILED, verdict.results[member].timestamp
        )


def _burn(transfer: Transfer, result: TransferResult, book: Book, verdict: Verdict) -> None:
    """An id that was refused for a passing reason is never used again, also if its chain was."""
    if result.status in TRANSIENT:
        book.burnt.add(transfer.id)
        verdict.burnt.append(transfer.id)


def _check_supported(transfer: Transfer, book: Book) -> None:
    if transfer.balancing_debit or transfer.balancing_credit:
        if transfer.phase in (Phase.POST, Phase.VOID):
            return
        for wanted, account_id in (
            (transfer.balancing_debit, transfer.debit_account_id),
            (transfer.balancing_credit, transfer.credit_account_id),
        ):
            account = book.accounts.get(account_id)
            if wanted and account is not None and not account.is_limited:
                msg = f"a balancing transfer needs an account with a limit, not {account_id:032x}"
                raise UnsupportedTransfer(msg)
    elif transfer.amount > MAX_MINOR:
        check_amount(transfer)


def check_amount(transfer: Transfer) -> None:
    """Refuse amounts that the engines would treat differently; all engines ask this first."""
    if 0 <= transfer.amount <= MAX_MINOR:
        return
    takes_all = (
        transfer.phase is Phase.POST or transfer.balancing_debit or transfer.balancing_credit
    )
    if not (takes_all and transfer.amount == AMOUNT_MAX):
        msg = f"the amount of transfer {transfer.id:032x} leaves the range up to {MAX_MINOR}"
        raise UnsupportedTransfer(msg)


def _create(transfer: Transfer, book: Book, verdict: Verdict, at: int) -> TransferResult:
    if transfer.timestamp:
        return TransferResult(S.TIMESTAMP_MUST_BE_ZERO, at)
    transfer_id = transfer.id
    if transfer_id == 0:
        return TransferResult(S.ID_MUST_NOT_BE_ZERO, at)
    if transfer_id == _U128_MAX:
        return TransferResult(S.ID_MUST_NOT_BE_INT_MAX, at)
    existing = book.transfers.get(transfer_id)
    if existing is not None:
        status = compare(transfer, existing, pending=book.transfers.get(transfer.pending_id))
        return TransferResult(status, existing.timestamp if status is S.EXISTS else at)
    if transfer_id in book.burnt:
        return TransferResult(S.ID_ALREADY_FAILED, at)
    if transfer.phase is Phase.POST or transfer.phase is Phase.VOID:
        return TransferResult(_end_pending(transfer, book, verdict, at), at)
    return TransferResult(_move(transfer, book, verdict, at), at)


def _malformed(transfer: Transfer) -> TransferStatus | None:
    """What is wrong with a single or pending transfer whatever the book says."""
    debit, credit = transfer.debit_account_id, transfer.credit_account_id
    if debit == 0:
        return S.DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO
    if debit == _U128_MAX:
        return S.DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX
    if credit == 0:
        return S.CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO
    if credit == _U128_MAX:
        return S.CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX
    if debit == credit:
        return S.ACCOUNTS_MUST_BE_DIFFERENT
    if transfer.pending_id:
        return S.PENDING_ID_MUST_BE_ZERO
    if transfer.timeout_s and transfer.phase is not Phase.PENDING:
        return S.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER
    if transfer.ledger == 0:
        return S.LEDGER_MUST_NOT_BE_ZERO
    if transfer.code == 0:
        return S.CODE_MUST_NOT_BE_ZERO
    return None


def _find_sides(
    transfer: Transfer, book: Book
) -> tuple[AccountState, AccountState] | TransferStatus:
    debit = book.accounts.get(transfer.debit_account_id)
    if debit is None:
        return S.DEBIT_ACCOUNT_NOT_FOUND
    credit = book.accounts.get(transfer.credit_account_id)
    if credit is None:
        return S.CREDIT_ACCOUNT_NOT_FOUND
    if debit.ledger != credit.ledger:
        return S.ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER
    if transfer.ledger != debit.ledger:
        return S.TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS
    return debit, credit


def _amount(transfer: Transfer, debit: AccountState, credit: AccountState) -> int:
    """What moves: the amount, or as much of it as the balanced sides have."""
    amount = transfer.amount
    if transfer.balancing_debit:
        there = debit.credits_posted - debit.debits_posted - debit.debits_pending
        amount = min(amount, max(there, 0))
    if transfer.balancing_credit:
        there = credit.debits_posted - credit.credits_posted - credit.credits_pending
        amount = min(amount, max(there, 0))
    return amount


def _move(transfer: Transfer, book: Book, verdict: Verdict, at: int) -> TransferStatus:
    """Book a single transfer, or set its amount aside."""
    malformed = _malformed(transfer)
    if malformed is not None:
        return malformed
    sides = _find_sides(transfer, book)
    if isinstance(sides, TransferStatus):
        return sides
    debit, credit = sides
    amount = _amount(transfer, debit, credit)
    refusal = _overflow(transfer, amount, debit, credit, at)
    if refusal is not None:
        return refusal
    if debit.limits_debits and (
        debit.debits_pending + debit.debits_posted + amount > debit.credits_posted
    ):
        return S.EXCEEDS_CREDITS
    if credit.limits_credits and (
        credit.credits_pending + credit.credits_posted + amount > credit.debits_posted
    ):
        return S.EXCEEDS_DEBITS
    if transfer.phase is Phase.PENDING:
        debit.debits_pending += amount
        credit.credits_pending += amount
    else:
        debit.debits_posted += amount
        credit.credits_posted += amount
    debit.touched = credit.touched = True
    debit.timestamp = credit.timestamp = at
    kept = stored(transfer, amount=amount, timestamp=at)
    book.transfers[transfer.id] = kept
    verdict.booked.append(Booked(kept))
    return S.CREATED


def _overflow(
    transfer: Transfer, amount: int, debit: AccountState, credit: AccountState, at: int
) -> TransferStatus | None:
    room = MAX_MINOR - amount
    if debit.is_limited and debit.debits_pending + debit.debits_posted > room:
        if transfer.phase is Phase.PENDING and debit.debits_pending > room:
            return S.OVERFLOWS_DEBITS_PENDING
        return S.OVERFLOWS_DEBITS_POSTED if debit.debits_posted > room else S.OVERFLOWS_DEBITS
    if credit.is_limited and credit.credits_pending + credit.credits_posted > room:
        if transfer.phase is Phase.PENDING and credit.credits_pending > room:
            return S.OVERFLOWS_CREDITS_PENDING
        return S.OVERFLOWS_CREDITS_POSTED if credit.credits_posted > room else S.OVERFLOWS_CREDITS
    if transfer.timeout_s and at + transfer.timeout_s * _NANOSECONDS > _TIMESTAMP_MAX:
        return S.OVERFLOWS_TIMEOUT
    return None


def _malformed_end(transfer: Transfer) -> TransferStatus | None:
    """What is wrong with a POST or VOID whatever the book says."""
    if transfer.balancing_debit or transfer.balancing_credit:
        return S.FLAGS_ARE_MUTUALLY_EXCLUSIVE
    if transfer.pending_id == 0:
        return S.PENDING_ID_MUST_NOT_BE_ZERO
    if transfer.pending_id == _U128_MAX:
        return S.PENDING_ID_MUST_NOT_BE_INT_MAX
    if transfer.pending_id == transfer.id:
        return S.PENDING_ID_MUST_BE_DIFFERENT
    if transfer.timeout_s:
        return S.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER
    return None


def _amount_of_end(transfer: Transfer, pending: Transfer) -> int | TransferStatus:
    """How much of the pending transfer is posted or given back."""
    posts = transfer.phase is Phase.POST
    whole = AMOUNT_MAX if posts else 0
    amount = pending.amount if transfer.amount == whole else transfer.amount
    if amount > pending.amount:
        return S.EXCEEDS_PENDING_TRANSFER_AMOUNT
    if not posts and amount < pending.amount:
        return S.PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT
    return amount


def _end_pending(transfer: Transfer, book: Book, verdict: Verdict, at: int) -> TransferStatus:
    """Post what was used of a pending transfer, or give it back."""
    malformed = _malformed_end(transfer)
    if malformed is not None:
        return malformed
    pending = book.transfers.get(transfer.pending_id)
    if pending is None:
        return S.PENDING_TRANSFER_NOT_FOUND
    if pending.phase is not Phase.PENDING:
        return S.PENDING_TRANSFER_NOT_PENDING
    refusal = _differs_from_pending(transfer, pending)
    if refusal is not None:
        return refusal
    amount = _amount_of_end(transfer, pending)
    if isinstance(amount, TransferStatus):
        return amount
    refusal = _already_ended(pending, book, at)
    if refusal is not None:
        return refusal
    debit, credit = _sides(pending, book)
    debit.debits_pending -= pending.amount
    credit.credits_pending -= pending.amount
    if transfer.phase is Phase.POST:
        debit.debits_posted += amount
        credit.credits_posted += amount
    debit.touched = credit.touched = True
    debit.timestamp = credit.timestamp = at
    kept = Transfer(
        id=transfer.id,
        debit_account_id=pending.debit_account_id,
        credit_account_id=pending.credit_account_id,
        amount=amount,
        ledger=pending.ledger,
        code=pending.code,
        phase=transfer.phase,
        pending_id=transfer.pending_id,
        user_data_128=transfer.user_data_128 or pending.user_data_128,
        user_data_64=transfer.user_data_64 or pending.user_data_64,
        user_data_32=transfer.user_data_32 or pending.user_data_32,
        linked=transfer.linked,
        timestamp=at,
    )
    book.transfers[transfer.id] = kept
    book.ended[pending.id] = Ending(transfer.phase)
    verdict.booked.append(Booked(kept, pending.amount))
    return S.CREATED


def _sides(transfer: Transfer, book: Book) -> tuple[AccountState, AccountState]:
    debit = book.accounts.get(transfer.debit_account_id)
    credit = book.accounts.get(transfer.credit_account_id)
    assert debit is not None, "a booked transfer has its debit account"
    assert credit is not None, "a booked transfer has its credit account"
    return debit, credit


def _differs_from_pending(transfer: Transfer, pending: Transfer) -> TransferStatus | None:
    if transfer.debit_account_id not in (0, pending.debit_account_id):
        return S.PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID
    if transfer.credit_account_id not in (0, pending.credit_account_id):
        return S.PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID
    if transfer.ledger not in (0, pending.ledger):
        return S.PENDING_TRANSFER_HAS_DIFFERENT_LEDGER
    if transfer.code not in (0, pending.code):
        return S.PENDING_TRANSFER_HAS_DIFFERENT_CODE
    return None


def _already_ended(pending: Transfer, book: Book, at: int) -> TransferStatus | None:
    ending = book.ended.get(pending.id)
    if ending is not None:
        if ending.phase is Phase.POST:
            return S.PENDING_TRANSFER_ALREADY_POSTED
        if ending.phase is Phase.VOID:
            return S.PENDING_TRANSFER_ALREADY_VOIDED
        return S.PENDING_TRANSFER_EXPIRED
    if pending.timeout_s and pending.expires_at <= at:
        return S.PENDING_TRANSFER_EXPIRED
    return None


def stored(transfer: Transfer, *, amount: int, timestamp: int) -> Transfer:
    """The transfer as the book keeps it."""
    return Transfer(
        id=transfer.id,
        debit_account_id=transfer.debit_account_id,
        credit_account_id=transfer.credit_account_id,
        amount=amount,
        ledger=transfer.ledger,
        code=transfer.code,
        phase=transfer.phase,
        user_data_128=transfer.user_data_128,
        user_data_64=transfer.user_data_64,
        user_data_32=transfer.user_data_32,
        timeout_s=transfer.timeout_s,
        linked=transfer.linked,
        balancing_debit=transfer.balancing_debit,
        balancing_credit=transfer.balancing_credit,
        timestamp=timestamp,
    )


def _undo(book: Book, verdict: Verdict, keep: int) -> None:
    """Take back the members of a broken chain, last first."""
    while len(verdict.booked) > keep:
        booked = verdict.booked.pop()
        transfer = booked.transfer
        debit, credit = _sides(transfer, book)
        if transfer.phase is Phase.PENDING:
            debit.debits_pending -= transfer.amount
            credit.credits_pending -= transfer.amount
        elif transfer.phase is not Phase.VOID:
            debit.debits_posted -= transfer.amount
            credit.credits_posted -= transfer.amount
        if transfer.pending_id:
            debit.debits_pending += booked.released
            credit.credits_pending += booked.released
            del book.ended[transfer.pending_id]
        del book.transfers[transfer.id]
