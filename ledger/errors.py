"""What can go wrong with the book itself.

A refused transfer is not an error: it is a result in the list (`ledger.transfers.TransferStatus`),
since a batch has many callers. An error means that the ledger could not do its work.

LedgerError
├── LedgerUnavailable        nothing was done, or nobody knows yet; the same ids may be sent again
│   ├── OutcomePending       sent, but no answer before the deadline; ask again with the same ids
│   └── LedgerBusy           the queue is full; not sent
├── LedgerConflict           a concurrent transaction took the same transfer id or pending transfer;
│                            roll back and run the batch again from its locks
├── UnsupportedTransfer      a well-formed transfer that this ledger does not take (our own bug)
├── InvalidAmount            a text or decimal that is no amount; names the reason
└── UnknownAccount           a statement was asked for an account that does not exist
"""

from __future__ import annotations

__all__ = [
    "InvalidAmount",
    "LedgerBusy",
    "LedgerConflict",
    "LedgerError",
    "LedgerUnavailable",
    "OutcomePending",
    "UnknownAccount",
    "UnsupportedTransfer",
]


class LedgerError(Exception):
    """Base of everything that the ledger raises."""


class LedgerUnavailable(LedgerError):
    """The book cannot be reached. Whoever sends the same ids again loses and doubles nothing."""


class OutcomePending(LedgerUnavailable):
    """The batch was sent and may yet be booked: only a repeat with the same ids tells."""


class LedgerBusy(LedgerUnavailable):
    """The bounded queue before the book is full; this batch was never sent."""


class LedgerConflict(LedgerError):
    """Someone else's transaction booked one of these ids, or ended one of these holds, first.

    The caller's transaction must be rolled back; run again, the book answers `exists` or
    `pending_transfer_already_posted` like for any other repeat.
    """


class UnsupportedTransfer(LedgerError):
    """A transfer that no posting of ours produces, and that the engines would book differently."""


class InvalidAmount(LedgerError):
    """Not an amount. `reason` is a stable code, the message is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnknownAccount(LedgerError):
    """There is no such account in the book."""

    def __init__(self, account_id: int) -> None:
        super().__init__(f"no account {account_id:032x}")
        self.account_id = account_id
