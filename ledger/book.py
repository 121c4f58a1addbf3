"""What a batch touches of the book while it is judged, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.accounts import AccountFlags, Balance

if TYPE_CHECKING:
    from ledger.accounts import AccountId
    from ledger.transfers import Phase, Transfer, TransferId, TransferResult

_LIMITS_DEBITS = int(AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS)
_LIMITS_CREDITS = int(AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS)


class AccountState:
    """An account with its four sums while a batch is being judged."""

    __slots__ = (
        "account_id",
        "credits_pending",
        "credits_posted",
        "debits_pending",
        "debits_posted",
        "is_limited",
        "ledger",
        "limits_credits",
        "limits_debits",
        "timestamp",
        "timestamp_before",
        "touched",
    )

    def __init__(
        self,
        account_id: int,
        ledger: int,
        flags: int,
        debits_pending: int = 0,
        debits_posted: int = 0,
        credits_pending: int = 0,
        credits_posted: int = 0,
        timestamp: int = 0,
    ) -> None:
        self.account_id = account_id
        self.ledger = ledger
        self.limits_debits = flags & _LIMITS_DEBITS != 0
        self.limits_credits = flags & _LIMITS_CREDITS != 0
        self.is_limited = self.limits_debits or self.limits_credits
        self.debits_pending = debits_pending
        self.debits_posted = debits_posted
        self.credits_pending = credits_pending
        self.credits_posted = credits_posted
        self.timestamp = timestamp
        """Of the newest transfer that touched the account."""
        self.timestamp_before = timestamp
        """The same before the batch: tells whether somebody else has moved it meanwhile."""
        self.touched = False

    def balance(self, timestamp: int) -> Balance:
        """The sums as they now are."""
        return Balance(
            self.debits_pending,
            self.debits_posted,
            self.credits_pending,
            self.credits_posted,
            timestamp,
        )


class Ending(Struct, frozen=True):
    """How a pending transfer ended: POST, VOID, or `None` when its timeout passed."""

    phase: Phase | None


class Book(Struct):
    """What the batch touches of the book. Judging a batch moves it on in place."""

    accounts: dict[AccountId, AccountState]
    transfers: dict[TransferId, Transfer]
    """Transfers of these ids that exist, and the pending ones that the batch ends."""
    ended: dict[TransferId, Ending]
    """Pending transfers that are over."""
    burnt: set[TransferId]
    """Ids that were refused for a transient reason and can never be used again."""


class Booked(Struct, frozen=True):
    """A transfer as it is kept, and how much of a pending transfer it gives back or uses."""

    transfer: Transfer
    released: int = 0


class Verdict(Struct):
    """What became of a batch."""

    results: list[TransferResult]
    booked: list[Booked]
    burnt: list[TransferId]
