"""Showing customers after a commit: their new balances go where reads look.

The money has moved by then, so the answer must leave whatever happens here; the reconciler repairs
what is shown.
"""

from collections.abc import Iterable

import structlog

from wallet_service.decision import CustomerKey, CustomerState
from wallet_service.hot_customers import HotCustomers

__all__ = ["load_and_show", "show"]

log = structlog.get_logger()


async def show(hot: HotCustomers, customers: Iterable[CustomerState]) -> None:
    """Put customers as they were decided; those whose state is incomplete are loaded anew.

    A slow Redis delays their answers by 5 ms.
    """
    ready: list[CustomerState] = []
    stale: list[CustomerKey] = []
    for customer in customers:
        if customer.is_incomplete:
            stale.append((customer.organization_id, customer.customer_id))
        else:
            ready.append(customer)
    try:
        await hot.put(ready)
    except Exception:
        log.exception("balances_not_shown", customers=len(ready))
    await load_and_show(hot, stale)


async def load_and_show(hot: HotCustomers, customers: Iterable[CustomerKey | None]) -> None:
    """Load customers from the ledger and put them, each once."""
    keys = list(dict.fromkeys(key for key in customers if key is not None))
    if not keys:
        return
    try:
        await hot.refresh(keys)
    except Exception:
        log.exception("balances_not_shown", customers=len(keys))
