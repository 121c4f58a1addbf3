"""Double-entry book of a prepaid-wallet service: the nouns and the errors; loads no driver.

An engine is opened with `ledger.engines.open_ledger`; every movement of money is built by a
function of `ledger.postings`.
"""

from ledger.accounts import (
    Account,
    AccountFlags,
    AccountId,
    AccountResult,
    AccountStatus,
    Balance,
)
from ledger.engine import Ledger
from ledger.errors import (
    InvalidAmount,
    LedgerBusy,
    LedgerConflict,
    LedgerError,
    LedgerUnavailable,
    OutcomePending,
    UnknownAccount,
    UnsupportedTransfer,
)
from ledger.transfers import (
    ChainResult,
    Phase,
    Transfer,
    TransferId,
    TransferResult,
    TransferStatus,
    chain_result,
)

__all__ = [
    "Account",
    "AccountFlags",
    "AccountId",
    "AccountResult",
    "AccountStatus",
    "Balance",
    "ChainResult",
    "InvalidAmount",
    "Ledger",
    "LedgerBusy",
    "LedgerConflict",
    "LedgerError",
    "LedgerUnavailable",
    "OutcomePending",
    "Phase",
    "Transfer",
    "TransferId",
    "TransferResult",
    "TransferStatus",
    "UnknownAccount",
    "UnsupportedTransfer",
    "chain_result",
]
