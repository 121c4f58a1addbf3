"""The Python client: ask before a call whether the customer can pay, and settle what was used.

::

    with Wallet() as wallet:
        with wallet.authorize(customer="acme", items=[Item("api_calls", count=2)]) as hold:
            ...
            hold.capture(items=[Item("api_calls", count=1)])

`AsyncWallet` is the same for asyncio. It needs httpx and msgspec, and nothing else of this house.
"""

from .async_wallet import AsyncHold, AsyncWallet
from .errors import (
    BadRequest,
    BudgetExceeded,
    Forbidden,
    NotAllowed,
    NotFound,
    PaymentRequired,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnexpectedReply,
    ValidationFailed,
    WalletError,
)
from .inputs import Amount, Event, Item, ProviderUsage, Reported
from .results import (
    Authorization,
    Balance,
    Customer,
    CustomerWallet,
    Debit,
    DebitedEvent,
    Estimate,
    GrantBalance,
    GrantShare,
    ItemAmount,
    PassedBudget,
    Subscription,
    WalletTransaction,
)
from .retries import Retries
from .wallet import Hold, Wallet

__all__ = [
    "Amount",
    "AsyncHold",
    "AsyncWallet",
    "Authorization",
    "BadRequest",
    "Balance",
    "BudgetExceeded",
    "Customer",
    "CustomerWallet",
    "Debit",
    "DebitedEvent",
    "Estimate",
    "Event",
    "Forbidden",
    "GrantBalance",
    "GrantShare",
    "Hold",
    "Item",
    "ItemAmount",
    "NotAllowed",
    "NotFound",
    "PassedBudget",
    "PaymentRequired",
    "ProviderUsage",
    "Reported",
    "Retries",
    "Subscription",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UnexpectedReply",
    "ValidationFailed",
    "Wallet",
    "WalletError",
    "WalletTransaction",
]
