"""The life of a wallet: created, its terms and its overdraft changed, terminated."""

from typing import Any
from uuid import UUID

from ledger import postings
from wallet_service import replies
from wallet_service.errors import Invalid

from .case import Case
from .commands import Asset, CreateWallet, UpdateWallet
from .grants import check_room, open_account, void_grant
from .outcomes import GrantChange, GrantRow, WalletChange, WalletRow
from .state import GrantState, WalletState
from .wallet_transactions import record_funding

__all__ = ["create_wallet", "update_wallet"]

WALLETS_MAX = 50
"""Active wallets of one customer: each is looked at in every decision."""


def create_wallet(case: Case, command: CreateWallet) -> bytes:
    """Open a wallet: granted credits are there before the answer, purchased ones are pending.

    Raises Invalid: the code is taken, or there are too many wallets.
    """
    customer = case.customer
    active = [wallet for wallet in customer.wallets.values() if wallet.status == "active"]
    code = _free_code(command, {wallet.code for wallet in active})
    if len(active) >= WALLETS_MAX:
        raise Invalid("external_customer_id", "wallet_limit_reached")
    case.check_time("expiration_at", command.expiration_at)
    for funding in command.fundings:
        case.check_time("expires_at", funding.expires_at)
    wallet = WalletState(
        id=command.wallet_id,
        asset_code=command.asset.code,
        code=code,
        name=command.name,
        rate_amount=command.rate_amount,
        priority=command.priority,
        status="active",
        fee_types=command.fee_types,
        billable_metric_codes=frozenset(command.billable_metric_codes),
        on_shortfall=command.on_shortfall,
        frozen=False,
        overdraft_limit_minor=0,
        overdraft_grant_id=None,
        expiration_at=command.expiration_at,
    )
    check_room(case, command.asset, command.fundings, command.overdraft_limit_minor)
    customer.wallets[wallet.id] = wallet
    row = WalletRow(
        id=wallet.id,
        external_customer_id=command.external_customer_id,
        code=code,
        name=command.name,
        asset_code=command.asset.code,
        rate_amount=command.rate_amount,
        priority=command.priority,
        fee_types=command.fee_types,
        billable_metric_codes=command.billable_metric_codes,
        on_shortfall=command.on_shortfall,
        overdraft_limit_minor=command.overdraft_limit_minor,
        overdraft_grant_id=None,
        paid_top_up_min_minor=command.paid_top_up_min_minor,
        paid_top_up_max_minor=command.paid_top_up_max_minor,
        invoice_requires_successful_payment=command.invoice_requires_successful_payment,
        metadata=command.metadata,
        expiration_at=command.expiration_at,
    )
    case.effect.wallets.append(row)
    if command.overdraft_limit_minor:
        row.overdraft_grant_id = _change_overdraft(
            case, wallet, command.asset, command.overdraft_limit_minor
        )
    transactions = [
        record_funding(case, wallet, command.asset, funding, position, provider="manual")
        for position, funding in enumerate(command.fundings)
    ]
    customer.is_incomplete = True
    return replies.encode(
        {"wallet_id": wallet.id, "transactions": [row.id for row in transactions]}
    )


def update_wallet(case: Case, command: UpdateWallet) -> bytes:
    """Change a wallet's terms.

    Ending it voids what is free of its grants; what is held expires when it comes back.

    Raises Invalid where the overdraft is lowered below what is in use.
    """
    wallet = case.active_wallet(command.wallet_id)
    changes: dict[str, Any] = dict(command.changes)
    case.check_time("expiration_at", changes.get("expiration_at"))
    limit = changes.get("overdraft_limit_minor")
    if limit is not None:
        check_room(case, command.asset, (), max(0, limit - wallet.overdraft_limit_minor))
        changes["overdraft_grant_id"] = _change_overdraft(case, wallet, command.asset, limit)
    if changes.get("status") == "terminated":
        changes["terminated_at"] = case.now
        changes["overdraft_limit_minor"] = _end_overdraft(case, wallet, command.asset)
        _end_grants(case, wallet, command.asset)
    case.effect.wallet_changes.append(WalletChange(wallet.id, changes))
    for name, value in changes.items():
        if name == "billable_metric_codes":
            wallet.billable_metric_codes = frozenset(value)
        elif hasattr(wallet, name):
            setattr(wallet, name, value)
    case.customer.sort()
    case.customer.is_incomplete = True
    return replies.encode({"wallet_id": wallet.id})


# -- parts -----------------------------------------------------------------------------------------


def _free_code(command: CreateWallet, taken: set[str]) -> str:
    """The code of a new wallet; one that was only derived gets a number where it is taken.

    Raises Invalid.
    """
    if command.code not in taken:
        return command.code
    if not command.is_code_derived:
        raise Invalid("code", "value_already_exist")
    numbered = (f"{command.code}_{number}" for number in range(2, WALLETS_MAX + 2))
    return next(code for code in numbered if code not in taken)


def _change_overdraft(
    case: Case,
    wallet: WalletState,
    asset: Asset,
    limit_minor: int,
    *,
    name: str = "credit-line",
) -> UUID | None:
    """Raise or lower the credit line by transfers; only what is not in use can be taken away."""
    customer = case.customer
    overdraft = customer.grant(wallet.overdraft_grant_id) if wallet.overdraft_grant_id else None
    if overdraft is None:
        if not limit_minor:
            return None
        overdraft = GrantState(
            id=case.row_id("overdraft"),
            wallet=wallet,
            kind="overdraft",
            priority=50,
            expires_at=None,
            amount_minor=0,
            is_known=True,
        )
        case.effect.accounts.append(open_account(case, asset, overdraft.id, "overdraft"))
        case.effect.grants.append(
            GrantRow(
                overdraft.id, wallet.id, "overdraft", "overdraft", 50, 0, None, None, None, None
            )
        )
        customer.grants.append(overdraft)
        customer.sort()
        wallet.overdraft_grant_id = overdraft.id
    change = limit_minor - wallet.overdraft_limit_minor
    if change < 0 and overdraft.available < -change:
        raise Invalid(
            "overdraft_limit", "value_is_out_of_range", "more of the overdraft is in use than that"
        )
    if change:
        move = postings.credit_line_up if change > 0 else postings.credit_line_down
        case.book(
            move(case.booking(name, asset), overdraft_id=overdraft.account_id, amount=abs(change))
        )
        overdraft.available += change
        case.effect.grant_changes.append(
            GrantChange(overdraft.id, is_open=True, amount_minor=change)
        )
        wallet.overdraft_limit_minor = limit_minor
    return overdraft.id


def _end_grants(case: Case, wallet: WalletState, asset: Asset) -> None:
    """Void what is free of an ending wallet.

    What comes back from holds and refunds later has expired.
    """
    for grant in case.customer.grants:
        if grant.wallet.id != wallet.id or grant.kind == "overdraft":
            continue
        if grant.available:
            void_grant(case, grant, asset, grant.available, "terminate")
        if grant.expires_at is None or grant.expires_at > case.now:
            grant.expires_at = case.now
            case.effect.grant_changes.append(
                GrantChange(grant.id, is_open=grant.held > 0, expires_at=case.now)
            )


def _end_overdraft(case: Case, wallet: WalletState, asset: Asset) -> int:
    """Take back what is unused of an ending wallet's credit line; what is in use stays owed.

    Says how much.
    """
    overdraft = (
        case.customer.grant(wallet.overdraft_grant_id) if wallet.overdraft_grant_id else None
    )
    if overdraft is None:
        return 0
    in_use = wallet.overdraft_limit_minor - overdraft.available
    _change_overdraft(case, wallet, asset, in_use, name="credit-line-end")
    if not in_use:
        case.effect.grant_changes.append(GrantChange(overdraft.id, is_open=False))
        case.customer.grants.remove(overdraft)
    return in_use
