"""What the wallet can refuse, as errors that know no HTTP.

WalletError
├── Denied                     the customer cannot pay, or a limit says no (nothing changed)
│   ├── InsufficientFunds
│   ├── OverageDue
│   ├── WalletFrozen
│   ├── BudgetExceeded
│   ├── NoEligibleWallet
│   ├── NotEntitled
│   └── EntitlementLimitExceeded
├── NotFound                   no such thing in this organization
├── Invalid                    one field is wrong; names it, with a stable code
├── NotAllowed                 the thing exists, but its state forbids this (a hold that has ended)
├── KeyReused                  the idempotency key is bound to another body
└── Unavailable                try again later; nothing is known to have changed
    ├── Busy                       the customer's lock or the queue is full
    └── OutcomePending             the ledger has it, or will: ask again with the same key

``wallet_service/api/errors.py`` maps each to a status and a body; a test fails if one has no row
there.
"""

from typing import Any

__all__ = [
    "BudgetExceeded",
    "Busy",
    "Denied",
    "EntitlementLimitExceeded",
    "InsufficientFunds",
    "Invalid",
    "KeyReused",
    "NoEligibleWallet",
    "NotAllowed",
    "NotEntitled",
    "NotFound",
    "OutcomePending",
    "OverageDue",
    "Unavailable",
    "WalletError",
    "WalletFrozen",
]


class WalletError(Exception):
    """Something the wallet refuses or cannot do."""

    code = "wallet_error"

    def __init__(self, message: str = "", **details: Any) -> None:
        super().__init__(message or self.code)
        self.details = details


class Denied(WalletError):
    """A payment that is refused.

    ``details`` say what was needed, what is available and which limit said no.
    """


class InsufficientFunds(Denied):
    """The wallets that may pay hold less than is needed."""

    code = "insufficient_funds"


class OverageDue(Denied):
    """Usage of the past is still owed, and what is free does not cover both."""

    code = "overage_due"


class WalletFrozen(Denied):
    """The money is there, but in a wallet that is frozen."""

    code = "wallet_frozen"


class BudgetExceeded(Denied):
    """A hard budget would be passed; ``details`` name it under ``budget``."""

    code = "budget_exceeded"


class NoEligibleWallet(Denied):
    """The customer has no wallet that may pay for this: it is postpaid, and nothing can be held."""

    code = "no_eligible_wallet"


class NotEntitled(Denied):
    """The subscription lacks a feature that this usage is behind, or that was asked for."""

    code = "not_entitled"


class EntitlementLimitExceeded(Denied):
    """An item has more of a property than the subscription's privilege allows in one call."""

    code = "entitlement_limit_exceeded"


class NotFound(WalletError):
    """There is no such thing in this organization."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource} not found")
        self.code = f"{resource}_not_found"


class Invalid(WalletError):
    """One field of the request is wrong."""

    def __init__(self, field: str, code: str, message: str = "") -> None:
        super().__init__(message or f"{field}: {code}")
        self.field = field
        self.code = code
        self.message = message


class NotAllowed(WalletError):
    """The thing exists, but what it has become forbids this."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class KeyReused(Invalid):
    """The idempotency key was used before with another body."""

    def __init__(self, field: str = "transaction_id") -> None:
        super().__init__(field, "value_already_exist", "this key was used before with another body")


class Unavailable(WalletError):
    """Not now; the same request may succeed later."""

    code = "unavailable"


class Busy(Unavailable):
    """A queue is full or the customer's lock was not to be had in time."""

    code = "busy"


class OutcomePending(Unavailable):
    """The request is under way and its outcome is not known yet; repeat it with the same key."""

    code = "outcome_pending"
