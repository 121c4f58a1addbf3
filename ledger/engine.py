"""The protocol that every engine of the book keeps: memory, Postgres, TigerBeetle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.accounts import Account, AccountId, AccountResult, Balance
    from ledger.transfers import Transfer, TransferId, TransferResult

PAGE_LIMIT = 1_000
"""How much one page holds unless told otherwise; no engine returns more than `BATCH_MAX`."""


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
