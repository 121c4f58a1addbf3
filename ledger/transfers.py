"""Transfers, the only thing that moves money, and the closed list of answers to them.

    SINGLE ── posted at once

               ┌─ POST  all of it or a part; the rest is given back ─► posted
    PENDING ───┼─ VOID  all of it is given back ─────────────────────► voided
    (a hold)   └─ its timeout passes, all of it is given back ───────► expired

A pending transfer ends once. Transfers are never changed or deleted: a correction is another one.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from ledger.accounts import AccountId

if TYPE_CHECKING:
    from collections.abc import Sequence


TransferId: TypeAlias = int
"""128 bits, derived from the operation that it belongs to (`ledger.ids.derive`), never random."""

AMOUNT_MAX = 2**128 - 1
"""As an amount: everything that is pending (POST), or everything that is there (balancing)."""

BATCH_MAX = 8_189
"""The most transfers or accounts that one submission to TigerBeetle can carry."""


class Phase(IntEnum):
    """The step that a transfer takes."""

    SINGLE = 0
    PENDING = 1
    POST = 2
    VOID = 3


_PHASE_FLAGS = (0, 2, 4, 8)


class Transfer(Struct, frozen=True, kw_only=True):
    """Moves one amount from one account to another, once."""

    id: TransferId
    debit_account_id: AccountId = 0
    """POST and VOID may leave accounts, ledger and code at 0: those of the pending transfer."""
    credit_account_id: AccountId = 0
    amount: int
    """In the asset's smallest unit. VOID: 0 or the whole; POST: what was used, or AMOUNT_MAX."""
    ledger: int = 0
    code: int = 0
    """The business reason: `ledger.chart.TransferCode`."""
    phase: Phase = Phase.SINGLE
    pending_id: TransferId = 0
    """POST and VOID: the pending transfer that ends."""
    user_data_128: int = 0
    """Hash of organization and idempotency key: leads back from the book to the operation."""
    user_data_64: int = 0
    user_data_32: int = 0
    timeout_s: int = 0
    """PENDING: seconds until it is given back by itself; 0 is never."""
    linked: bool = False
    """Succeeds or fails together with the next transfer of the list."""
    balancing_debit: bool = False
    """At most what the debit account has: the amount is an upper limit."""
    balancing_credit: bool = False
    """At most what the credit account has on its debit side: the amount is an upper limit."""
    timestamp: int = 0
    """Nanoseconds, strictly increasing, set by the ledger."""

    @property
    def flags(self) -> int:
        """Phase and switches as the one number that TigerBeetle keeps, with its own values."""
        return (
            _PHASE_FLAGS[self.phase]
            | (1 if self.linked else 0)
            | (16 if self.balancing_debit else 0)
            | (32 if self.balancing_credit else 0)
        )

    @property
    def expires_at(self) -> int:
        """When a pending transfer is given back by itself (nanoseconds); 0 is never."""
        return self.timestamp + self.timeout_s * 1_000_000_000 if self.timeout_s else 0


class TransferStatus(StrEnum):
    """What became of a transfer that was sent. TigerBeetle's own names; the list is closed."""

    CREATED = "created"
    LINKED_EVENT_FAILED = "linked_event_failed"
    LINKED_EVENT_CHAIN_OPEN = "linked_event_chain_open"
    TIMESTAMP_MUST_BE_ZERO = "timestamp_must_be_zero"
    ID_MUST_NOT_BE_ZERO = "id_must_not_be_zero"
    ID_MUST_NOT_BE_INT_MAX = "id_must_not_be_int_max"
    EXISTS_WITH_DIFFERENT_FLAGS = "exists_with_different_flags"
    EXISTS_WITH_DIFFERENT_PENDING_ID = "exists_with_different_pending_id"
    EXISTS_WITH_DIFFERENT_TIMEOUT = "exists_with_different_timeout"
    EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID = "exists_with_different_debit_account_id"
    EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID = "exists_with_different_credit_account_id"
    EXISTS_WITH_DIFFERENT_AMOUNT = "exists_with_different_amount"
    EXISTS_WITH_DIFFERENT_USER_DATA_128 = "exists_with_different_user_data_128"
    EXISTS_WITH_DIFFERENT_USER_DATA_64 = "exists_with_different_user_data_64"
    EXISTS_WITH_DIFFERENT_USER_DATA_32 = "exists_with_different_user_data_32"
    EXISTS_WITH_DIFFERENT_LEDGER = "exists_with_different_ledger"
    EXISTS_WITH_DIFFERENT_CODE = "exists_with_different_code"
    EXISTS = "exists"
    ID_ALREADY_FAILED = "id_already_failed"
    FLAGS_ARE_MUTUALLY_EXCLUSIVE = "flags_are_mutually_exclusive"
    DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO = "debit_account_id_must_not_be_zero"
    DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX = "debit_account_id_must_not_be_int_max"
    CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO = "credit_account_id_must_not_be_zero"
    CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX = "credit_account_id_must_not_be_int_max"
    ACCOUNTS_MUST_BE_DIFFERENT = "accounts_must_be_different"
    PENDING_ID_MUST_BE_ZERO = "pending_id_must_be_zero"
    PENDING_ID_MUST_NOT_BE_ZERO = "pending_id_must_not_be_zero"
    PENDING_ID_MUST_NOT_BE_INT_MAX = "pending_id_must_not_be_int_max"
    PENDING_ID_MUST_BE_DIFFERENT = "pending_id_must_be_different"
    TIMEOUT_RESERVED_FOR_PENDING_TRANSFER = "timeout_reserved_for_pending_transfer"
    LEDGER_MUST_NOT_BE_ZERO = "ledger_must_not_be_zero"
    CODE_MUST_NOT_BE_ZERO = "code_must_not_be_zero"
    DEBIT_ACCOUNT_NOT_FOUND = "debit_account_not_found"
    CREDIT_ACCOUNT_NOT_FOUND = "credit_account_not_found"
    ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER = "accounts_must_have_the_same_ledger"
    TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS = (
        "transfer_must_have_the_same_ledger_as_accounts"
    )
    PENDING_TRANSFER_NOT_FOUND = "pending_transfer_not_found"
    PENDING_TRANSFER_NOT_PENDING = "pending_transfer_not_pending"
    PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID = (
        "pending_transfer_has_different_debit_account_id"
    )
    PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID = (
        "pending_transfer_has_different_credit_account_id"
    )
    PENDING_TRANSFER_HAS_DIFFERENT_LEDGER = "pending_transfer_has_different_ledger"
    PENDING_TRANSFER_HAS_DIFFERENT_CODE = "pending_transfer_has_different_code"
    EXCEEDS_PENDING_TRANSFER_AMOUNT = "exceeds_pending_transfer_amount"
    PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT = "pending_transfer_has_different_amount"
    PENDING_TRANSFER_ALREADY_POSTED = "pending_transfer_already_posted"
    PENDING_TRANSFER_ALREADY_VOIDED = "pending_transfer_already_voided"
    PENDING_TRANSFER_EXPIRED = "pending_transfer_expired"
    OVERFLOWS_DEBITS_PENDING = "overflows_debits_pending"
    OVERFLOWS_CREDITS_PENDING = "overflows_credits_pending"
    OVERFLOWS_DEBITS_POSTED = "overflows_debits_posted"
    OVERFLOWS_CREDITS_POSTED = "overflows_credits_posted"
    OVERFLOWS_DEBITS = "overflows_debits"
    OVERFLOWS_CREDITS = "overflows_credits"
    OVERFLOWS_TIMEOUT = "overflows_timeout"
    EXCEEDS_CREDITS = "exceeds_credits"
    EXCEEDS_DEBITS = "exceeds_debits"


TRANSIENT = frozenset(
    {
        TransferStatus.DEBIT_ACCOUNT_NOT_FOUND,
        TransferStatus.CREDIT_ACCOUNT_NOT_FOUND,
        TransferStatus.PENDING_TRANSFER_NOT_FOUND,
        TransferStatus.EXCEEDS_CREDITS,
        TransferStatus.EXCEEDS_DEBITS,
    }
)
"""Refusals that depend on the state of the book: another try may succeed, but only with another
id. The refused one is burnt and answers `id_already_failed` for ever."""

ENDED = frozenset(
    {
        TransferStatus.PENDING_TRANSFER_ALREADY_POSTED,
        TransferStatus.PENDING_TRANSFER_ALREADY_VOIDED,
        TransferStatus.PENDING_TRANSFER_EXPIRED,
    }
)
"""Refusals which say that the hold is over. `pending_transfer_not_found` never does."""


class TransferResult(Struct, frozen=True):
    """The answer for one transfer, in the order in which they were sent."""

    status: TransferStatus
    timestamp: int = 0

    @property
    def ok(self) -> bool:
        """The transfer is in the book, exactly as sent."""
        return self.status is TransferStatus.CREATED or self.status is TransferStatus.EXISTS


class ChainResult(Struct, frozen=True):
    """The one answer for a linked chain: it is booked as a whole or not at all."""

    status: TransferStatus
    """`created` or `exists` for a fact, else the refusal of the first culprit."""
    culprit: int | None = None
    """Position in the chain of the transfer that was refused."""
    timestamp: int = 0

    @property
    def ok(self) -> bool:
        """The whole chain is in the book."""
        return self.culprit is None


def chain_result(results: Sequence[TransferResult]) -> ChainResult:
    """One answer for one chain.

    A repeated chain answers `exists, linked_event_failed, …`: its first member is known and breaks
    the repeat, which books nothing. Since a chain is booked as a whole or not at all, one known
    member proves all of them.
    """
    assert results, "a chain has members"
    for result in results:
        if result.ok:
            return ChainResult(result.status, timestamp=result.timestamp)
    for position, result in enumerate(results):
        if result.status is not TransferStatus.LINKED_EVENT_FAILED:
            return ChainResult(result.status, culprit=position, timestamp=result.timestamp)
    msg = "a broken chain names no culprit"
    raise AssertionError(msg)


def chains(transfers: Sequence[Transfer]) -> list[tuple[int, int]]:
    """Where each chain (or lone transfer) of a batch begins and ends, half-open."""
    return chain_bounds([transfer.linked for transfer in transfers])


def chain_bounds(linked: Sequence[bool]) -> list[tuple[int, int]]:
    """The same from the links alone. A chain that is still open at the end ends there."""
    bounds: list[tuple[int, int]] = []
    start = 0
    for position, is_linked in enumerate(linked):
        if not is_linked:
            bounds.append((start, position + 1))
            start = position + 1
    if start < len(linked):
        bounds.append((start, len(linked)))
    return bounds
