# ruff: noqa: PLR0911 - every difference is a way out, in TigerBeetle's order
"""Whether a repeated id repeats the same transfer; the first difference is named."""

from __future__ import annotations

from msgspec.structs import replace

from ledger.transfers import AMOUNT_MAX, Phase, Transfer, TransferStatus

S = TransferStatus


def compare(transfer: Transfer, existing: Transfer, *, pending: Transfer | None) -> TransferStatus:
    """`exists`, or the first difference. `pending` is what an existing POST or VOID ended."""
    if transfer.flags != existing.flags:
        return S.EXISTS_WITH_DIFFERENT_FLAGS
    if transfer.pending_id != existing.pending_id:
        return S.EXISTS_WITH_DIFFERENT_PENDING_ID
    if transfer.timeout_s != existing.timeout_s:
        return S.EXISTS_WITH_DIFFERENT_TIMEOUT
    if transfer.phase is Phase.POST or transfer.phase is Phase.VOID:
        assert pending is not None, "what was ended is in the book"
        return _compare_ending(transfer, existing, pending)
    if transfer.debit_account_id != existing.debit_account_id:
        return S.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID
    if transfer.credit_account_id != existing.credit_account_id:
        return S.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID
    if transfer.balancing_debit or transfer.balancing_credit:
        # What moved depended on the balance then; any limit that allows it is the same wish.
        differs = transfer.amount < existing.amount
    else:
        differs = transfer.amount != existing.amount
    if differs:
        return S.EXISTS_WITH_DIFFERENT_AMOUNT
    return _compare_rest(transfer, existing)


def _compare_ending(transfer: Transfer, existing: Transfer, pending: Transfer) -> TransferStatus:
    """A POST or VOID inherits from its pending transfer whatever it leaves at 0."""
    whole = AMOUNT_MAX if transfer.phase is Phase.POST else 0
    amount = pending.amount if transfer.amount == whole else transfer.amount
    if transfer.debit_account_id not in (0, existing.debit_account_id):
        return S.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID
    if transfer.credit_account_id not in (0, existing.credit_account_id):
        return S.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID
    if amount != existing.amount:
        return S.EXISTS_WITH_DIFFERENT_AMOUNT
    return _compare_rest(
        replace(
            transfer,
            user_data_128=transfer.user_data_128 or pending.user_data_128,
            user_data_64=transfer.user_data_64 or pending.user_data_64,
            user_data_32=transfer.user_data_32 or pending.user_data_32,
            ledger=transfer.ledger or existing.ledger,
            code=transfer.code or existing.code,
        ),
        existing,
    )


def _compare_rest(transfer: Transfer, existing: Transfer) -> TransferStatus:
    if transfer.user_data_128 != existing.user_data_128:
        return S.EXISTS_WITH_DIFFERENT_USER_DATA_128
    if transfer.user_data_64 != existing.user_data_64:
        return S.EXISTS_WITH_DIFFERENT_USER_DATA_64
    if transfer.user_data_32 != existing.user_data_32:
        return S.EXISTS_WITH_DIFFERENT_USER_DATA_32
    if transfer.ledger != existing.ledger:
        return S.EXISTS_WITH_DIFFERENT_LEDGER
    if transfer.code != existing.code:
        return S.EXISTS_WITH_DIFFERENT_CODE
    return S.EXISTS
