"""Customers as the last batch left them, good for the next one if nobody has moved them in between.

Every movement of a customer's money counts its version up under its lock (postgres engine: in the
same transaction). So a state that was committed with version n is the truth for a batch that has
locked the customer and made it n + 1.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from wallet_service.decision.state import CustomerKey, CustomerState

__all__ = ["RecentCustomers"]

_CUSTOMERS_MAX = 20_000


class RecentCustomers:
    """Keeps states after a commit and hands each out once: whoever takes one may change it."""

    def __init__(self) -> None:
        self._customers: OrderedDict[CustomerKey, CustomerState] = OrderedDict()

    def keep(self, customers: Iterable[CustomerState]) -> None:
        """Remember customers as they were committed; what was the batch's alone is dropped."""
        for customer in customers:
            if customer.is_incomplete or not customer.version:
                continue
            for transient in (
                customer.holds,
                customer.events,
                customer.transactions,
                customer.totals,
            ):
                transient.clear()
            customer.open_holds.clear()
            self._customers[customer.organization_id, customer.customer_id] = customer
        while len(self._customers) > _CUSTOMERS_MAX:
            self._customers.popitem(last=False)

    def take(
        self, versions: Mapping[CustomerKey, int], assets: set[str]
    ) -> dict[CustomerKey, CustomerState]:
        """Those of the locked customers that are as we left them, and know of these assets."""
        known: dict[CustomerKey, CustomerState] = {}
        for key, version in versions.items():
            customer = self._customers.pop(key, None)
            if (
                customer is not None
                and customer.version == version - 1
                and assets
                <= customer.assets | {wallet.asset_code for wallet in customer.wallets.values()}
            ):
                known[key] = customer
        return known
