"""Every route under `/api/v1`. One file a resource; a new one is added here."""

from typing import Any, Final

from wallet_service.api.api_keys import ApiKeys
from wallet_service.api.authorizations import Authorizations
from wallet_service.api.balances import Balances
from wallet_service.api.billable_metrics import BillableMetrics
from wallet_service.api.customers import Customers
from wallet_service.api.events import Events
from wallet_service.api.organizations import Organizations
from wallet_service.api.plans import Plans
from wallet_service.api.subscriptions import Subscriptions

API_ROUTES: Final[list[Any]] = [
    ApiKeys,
    Authorizations,
    Balances,
    BillableMetrics,
    Customers,
    Events,
    Organizations,
    Plans,
    Subscriptions,
]
