"""What the ledger says of customers: which accounts to ask for, and their balances in the state."""

from collections.abc import Iterable
from typing import Any

from invoicing.records import Connection
from ledger import Ledger
from wallet_service.decision import Asset, CustomerState, Operation
from wallet_service.decision.commands import Authorize, Debit
from wallet_service.decision.state import overage_account

__all__ = ["accounts_of", "apply_balances", "assets_of", "learn_balances"]


async def learn_balances(
    connection: Connection,
    customers: Iterable[CustomerState],
    assets: set[str],
    ledger: Ledger,
) -> int:
    """Ask the ledger what the grants hold and what is owed.

    Says when that was true, on the ledger's clock.
    """
    customers = list(customers)
    balances = await ledger.balances(accounts_of(customers, assets), connection=connection)
    apply_balances(customers, assets, balances)
    return max((balance.timestamp for balance in balances.values()), default=0)


def apply_balances(
    customers: Iterable[CustomerState], assets: set[str], balances: dict[int, Any]
) -> None:
    """Put the ledger's word into the state.

    An overage account that does not exist yet stays unknown.
    """
    for customer in customers:
        for grant in customer.grants:
            balance = balances.get(grant.account_id)
            if balance is not None:
                grant.learn(balance)
        for code, account in _overage_accounts(customer, assets).items():
            balance = balances.get(account)
            if balance is not None:
                customer.overage[code] = balance.debits_posted - balance.credits_posted


def assets_of(operations: Iterable[Operation]) -> set[str]:
    """The assets that operations move.

    Overage is looked up for these and for those of the wallets.
    """
    assets: set[str] = set()
    for operation in operations:
        command = operation.command
        asset: Asset | None = command.asset
        if asset is not None:
            assets.add(asset.code)
        if (type(command) is Debit or type(command) is Authorize) and command.others:
            assets.update(choice.asset.code for choice in command.others)
    return assets


def accounts_of(customers: Iterable[CustomerState], assets: set[str]) -> list[int]:
    """The ledger accounts whose balances decide about these customers."""
    ids: list[int] = []
    for customer in customers:
        ids.extend(grant.account_id for grant in customer.grants)
        ids.extend(_overage_accounts(customer, assets).values())
    return ids


def _overage_accounts(customer: CustomerState, assets: set[str]) -> dict[str, int]:
    """What a customer owes is kept per asset: of these assets and of those of the wallets."""
    codes = assets | {wallet.asset_code for wallet in customer.wallets.values()}
    return {
        code: overage_account(customer.organization_id, customer.customer_id, code)
        for code in codes
    }
