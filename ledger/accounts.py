"""Accounts and their balances: the places between which the book moves amounts."""

from __future__ import annotations

from enum import IntFlag, StrEnum
from typing import TypeAlias

from msgspec import Struct

AccountId: TypeAlias = int
"""128 bits; a `uuid` where Postgres keeps it."""


class AccountFlags(IntFlag):
    """What the book itself enforces for an account. TigerBeetle's numbers."""

    NONE = 0
    LINKED = 1
    """Created together with the next account of the list, or not at all."""
    DEBITS_MUST_NOT_EXCEED_CREDITS = 2
    """A liability that may not go below zero: grants and overdrafts."""
    CREDITS_MUST_NOT_EXCEED_DEBITS = 4
    """An asset that may not go below zero: overage that was repaid twice would."""
    HISTORY = 8


LIMITS = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS | AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS
"""Accounts with one of these are customers' accounts: locked, with a balance kept beside them.
All others are accounts of the house: never locked, summed from their transfers."""


class Account(Struct, frozen=True, kw_only=True):
    """One account of one ledger. Nothing in it ever changes; its balance is asked for apart."""

    id: AccountId
    ledger: int
    """One ledger per organization and asset: amounts of two ledgers never meet."""
    code: int
    """What kind of account it is: `ledger.chart.AccountCode`."""
    flags: AccountFlags = AccountFlags.NONE
    user_data_128: int = 0
    user_data_64: int = 0
    user_data_32: int = 0
    timestamp: int = 0
    """Nanoseconds, set by the ledger."""

    @property
    def is_limited(self) -> bool:
        """Whether the book refuses to let this account go below zero."""
        return bool(self.flags & LIMITS)


class Balance(Struct, frozen=True):
    """The four sums of an account. Pending sums are what holds set aside."""

    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0
    timestamp: int = 0
    """When this was true, on the ledger's own clock (nanoseconds): the newer of two reads."""

    @property
    def credit_balance(self) -> int:
        """Posted balance of a liability or income account."""
        return self.credits_posted - self.debits_posted

    @property
    def credit_available(self) -> int:
        """What a grant can still pay: posted, less what is held."""
        return self.credits_posted - self.debits_posted - self.debits_pending

    @property
    def debit_balance(self) -> int:
        """Posted balance of an asset or expense account."""
        return self.debits_posted - self.credits_posted

    @property
    def held(self) -> int:
        """What holds have set aside on the debit side: the held part of a grant."""
        return self.debits_pending

    def same_sums(self, other: Balance) -> bool:
        """Whether both say the same, whenever they were read."""
        return (
            self.debits_pending == other.debits_pending
            and self.debits_posted == other.debits_posted
            and self.credits_pending == other.credits_pending
            and self.credits_posted == other.credits_posted
        )


class AccountStatus(StrEnum):
    """What became of an account that was sent. TigerBeetle's own names; the list is closed."""

    CREATED = "created"
    LINKED_EVENT_FAILED = "linked_event_failed"
    LINKED_EVENT_CHAIN_OPEN = "linked_event_chain_open"
    TIMESTAMP_MUST_BE_ZERO = "timestamp_must_be_zero"
    ID_MUST_NOT_BE_ZERO = "id_must_not_be_zero"
    ID_MUST_NOT_BE_INT_MAX = "id_must_not_be_int_max"
    EXISTS_WITH_DIFFERENT_FLAGS = "exists_with_different_flags"
    EXISTS_WITH_DIFFERENT_USER_DATA_128 = "exists_with_different_user_data_128"
    EXISTS_WITH_DIFFERENT_USER_DATA_64 = "exists_with_different_user_data_64"
    EXISTS_WITH_DIFFERENT_USER_DATA_32 = "exists_with_different_user_data_32"
    EXISTS_WITH_DIFFERENT_LEDGER = "exists_with_different_ledger"
    EXISTS_WITH_DIFFERENT_CODE = "exists_with_different_code"
    EXISTS = "exists"
    FLAGS_ARE_MUTUALLY_EXCLUSIVE = "flags_are_mutually_exclusive"
    LEDGER_MUST_NOT_BE_ZERO = "ledger_must_not_be_zero"
    CODE_MUST_NOT_BE_ZERO = "code_must_not_be_zero"


class AccountResult(Struct, frozen=True):
    """The answer for one account, in the order in which they were sent."""

    status: AccountStatus
    timestamp: int = 0

    @property
    def ok(self) -> bool:
        """The account is there, exactly as sent."""
        return self.status is AccountStatus.CREATED or self.status is AccountStatus.EXISTS
