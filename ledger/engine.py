"""The protocol that every engine of the book keeps: memory, Postgres, TigerBeetle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from ledger.errors import LedgerConflict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.accounts import Account, AccountId, AccountResult, Balance
    from ledger.book import AccountState
    from ledger.transfers import Transfer, TransferId, TransferResult

PAGE_LIMIT = 1_000
"""How much one page holds unless told otherwise; no engine returns more than `BATCH_MAX`."""


class KnownAccounts(Struct):
    """What a caller has read of the book, to have a batch judged on it.

    It has locked what it read, or sees to it with the write that nobody has moved it since.
    """

    accounts: dict[AccountId, AccountState]
    """Accounts with a limit. Judging moves them on in place."""
    holds: dict[TransferId, Transfer]
    """Pending transfers as they must be: not read, but checked when their end is written."""
    clock_ns: int
    batch: int
    """Makes the batch's timestamps differ from those of another at the same moment."""


class BatchRows(Struct, frozen=True):
    """What `ledger.book` is to be called with: rows of its types."""

    transfers: list[tuple[object, ...]]
    balances: list[tuple[object, ...]]

    def check(self, booked: int, moved: int) -> None:
        """Compare with what it says. Raises LedgerConflict if someone else's transaction was first.

        Nothing may be kept then.
        """
        if booked != len(self.transfers):
            raise LedgerConflict("another transaction booked one of these transfers first")
        if moved != len(self.balances):
            raise LedgerConflict("another transaction moved one of these accounts first")


NO_ROWS = BatchRows([], [])


class JudgedBatch(Struct, frozen=True):
    """Transfers that were judged and are not written yet."""

    results: list[TransferResult]
    rows: BatchRows


class Ledger(Protocol):
    """Double-entry book: takes transfers in batches, keeps balances, never edits the past.

    Refusals are results, one for each transfer, in order. Every method may raise
    `LedgerUnavailable`; `OutcomePending` means that only a repeat with the same ids tells.
    """

    name: str
    """`memory`, `postgres` or `tigerbeetle`."""

    async def create_accounts(
        self, accounts: Sequence[Account], /, *, connection: Any = None
    ) -> list[AccountResult]:
        """Open accounts. Repeating is harmless and answers `exists`."""
        ...

    async def create_transfers(
        self, transfers: Sequence[Transfer], /, *, connection: Any = None
    ) -> list[TransferResult]:
        """Book transfers, in order; members of a linked chain all or none.

        With `connection` the Postgres engine books inside the transaction that is open on it, so
        that the book and the caller's rows are one commit. Other engines ignore it.

        Raises LedgerConflict (Postgres): roll back and run the whole transaction again.
        """
        ...

    async def balances(
        self, ids: Sequence[AccountId], /, *, connection: Any = None
    ) -> dict[AccountId, Balance]:
        """Balances of these accounts, all read at one moment. Unknown ids are absent."""
        ...

    async def accounts(self, ids: Sequence[AccountId], /) -> dict[AccountId, Account]:
        """These accounts; unknown ids are absent."""
        ...

    async def transfers(self, ids: Sequence[TransferId], /) -> dict[TransferId, Transfer]:
        """These transfers; unknown ids are absent."""
        ...

    async def account_transfers(
        self,
        account_id: AccountId,
        /,
        *,
        since_timestamp: int = 0,
        until_timestamp: int = 0,
        limit: int = PAGE_LIMIT,
        newest_first: bool = False,
    ) -> list[Transfer]:
        """One page of an account's transfers; both ends are included, 0 is no end."""
        ...

    async def balance_at(self, account_id: AccountId, /, *, timestamp: int) -> Balance:
        """What the balance was right after the given moment of the ledger's clock."""
        ...

    async def ledger_accounts(
        self, ledger: int, /, *, after_id: AccountId = 0, limit: int = PAGE_LIMIT
    ) -> list[tuple[Account, Balance]]:
        """One page of a ledger's accounts in the order in which they were opened."""
        ...

    async def release_expired(self, *, limit: int = PAGE_LIMIT) -> int:
        """Give back pending transfers whose timeout passed; says how many.

        TigerBeetle does that by itself: always 0.
        """
        ...

    async def fold(self) -> int:
        """Fold the newest transfers into the stored balances of the house; says how many.

        Only the Postgres engine has that work: 0 for the others.
        """
        ...

    async def ready(self) -> None:
        """Return once the book answers. Raises LedgerUnavailable within a few seconds."""
        ...

    async def close(self) -> None:
        """Let go of everything. What was answered stays booked."""
        ...
