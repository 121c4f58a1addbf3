"""Wallets and the grants that fund them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ledger import chart, money, postings
from ledger.accounts import Account
from ledger.chart import AccountCode
from ledger.transfers import Transfer
from wallet_service import replies
from wallet_service.errors import Invalid, NotAllowed, NotFound

from .case import Case
from .commands import (
    Asset,
    CloseGrant,
    CreateWallet,
    ExpireGrant,
    Fail,
    Funding,
    MoveCredits,
    Settle,
    UpdateWallet,
)
from .outcomes import (
    GrantChange,
    GrantRow,
    TransactionChange,
    TransactionRow,
    WalletChange,
    WalletRow,
)
from .state import GrantState, WalletState

__all__ = [
    "close_grant",
    "create_wallet",
    "expire_grant",
    "fail",
    "move_credits",
    "settle",
    "update_wallet",
]

WALLETS_MAX = 50
"""Active wallets of one customer: each is looked at in every decision."""

_GRANT_CODES = {
    "paid": AccountCode.GRANT_PAID,
    "promotional": AccountCode.GRANT_PROMOTIONAL,
    "overdraft": AccountCode.OVERDRAFT,
}


def create_wallet(case: Case, command: CreateWallet) -> bytes:
    """Open a wallet: granted credits are there before the answer, purchased ones are pending.

    Raises Invalid: the code is taken, or there are too many wallets.
    """
    customer = case.customer
    active = [wallet for wallet in customer.wallets.values() if wallet.status == "active"]
    code = _free_code(command, {wallet.code for wallet in active})
    if len(active) >= WALLETS_MAX:
        raise Invalid("external_customer_id", "wallet_limit_reached")
    _check_time("expiration_at", command.expiration_at, case=case)
    for funding in command.fundings:
        _check_time("expires_at", funding.expires_at, case=case)
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
    _check_room(case, command.asset, command.fundings, command.overdraft_limit_minor)
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
        _fund(case, wallet, command.asset, funding, position, provider="manual")
        for position, funding in enumerate(command.fundings)
    ]
    customer.is_incomplete = True
    return replies.encode(
        {"wallet_id": wallet.id, "transactions": [row.id for row in transactions]}
    )


def move_credits(case: Case, command: MoveCredits) -> bytes:
    """Fund a wallet, void credits, or both.

    The reply lists transactions: purchased, granted, voided.

    Raises Invalid: the wallet has ended, or has fewer credits than are to be voided.
    """
    wallet = _active(case, command.wallet_id)
    for funding in command.fundings:
        _check_time("expires_at", funding.expires_at, case=case)
    _check_room(case, command.asset, command.fundings, 0)
    voided = _voidable(case, wallet, command)
    transactions = [
        _fund(case, wallet, command.asset, funding, position, provider=command.provider)
        for position, funding in enumerate(command.fundings)
    ]
    if command.voided_minor:
        for grant, amount in voided:
            _void(case, grant, command.asset, amount, "void")
        row = TransactionRow(
            id=case.row_id("voided"),
            wallet_id=wallet.id,
            grant_id=None,
            name=command.name,
            status="settled",
            transaction_type="outbound",
            transaction_status="voided",
            amount_minor=command.voided_minor,
            credit_amount=command.voided_credits,
            priority=wallet.priority,
            kind="paid",
            voided_grants={str(grant.id): amount for grant, amount in voided},
            metadata=command.metadata,
        )
        case.effect.transactions.append(row)
        transactions.append(row)
    case.customer.is_incomplete = True
    return replies.encode(
        {
            "wallet_transactions": [
                replies.wallet_transaction_body(row, command.asset, at=case.now)
                for row in transactions
            ]
        }
    )


def settle(case: Case, command: Settle) -> bytes:
    """The payment of purchased credits arrived: their grant comes into being.

    Raises NotFound, NotAllowed.
    """
    transaction = case.customer.transactions.get(command.wallet_transaction_id)
    if transaction is None:
        raise NotFound("wallet_transaction")
    if transaction.status != "pending":
        raise NotAllowed("invalid_status")
    wallet = _active(case, transaction.wallet_id)
    funding = Funding(
        kind=transaction.kind,
        amount_minor=transaction.amount_minor,
        credit_amount=transaction.credit_amount,
        priority=transaction.priority,
        name=transaction.name,
        expires_at=transaction.expires_at,
        cost_basis=transaction.cost_basis,
        cost_basis_currency=transaction.cost_basis_currency,
        metadata=transaction.metadata,
        invoice_requires_successful_payment=transaction.invoice_requires_successful_payment,
    )
    _check_room(case, command.asset, (funding,), 0)
    grant_id = _grant(
        case, wallet, command.asset, funding, transaction.id, "settled", provider=command.provider
    )
    transaction.status = "settled"
    transaction.grant_id = grant_id
    case.effect.transaction_changes.append(TransactionChange(transaction.id, "settled", grant_id))
    case.customer.is_incomplete = True
    row = _transaction_row(transaction.id, wallet.id, grant_id, funding, "settled")
    body = replies.wallet_transaction_body(row, command.asset, at=case.now)
    body.created_at = replies.iso(transaction.created_at)
    return replies.encode({"wallet_transaction": body})


def fail(case: Case, command: Fail) -> bytes:
    """The payment of purchased credits failed for good. Raises NotFound, NotAllowed."""
    transaction = case.customer.transactions.get(command.wallet_transaction_id)
    if transaction is None:
        raise NotFound("wallet_transaction")
    if transaction.status != "pending":
        raise NotAllowed("invalid_status")
    transaction.status = "failed"
    case.effect.transaction_changes.append(TransactionChange(transaction.id, "failed", None))
    return replies.encode({"id": transaction.id, "status": "failed"})


def update_wallet(case: Case, command: UpdateWallet) -> bytes:
    """Change a wallet's terms.

    Ending it voids what is free of its grants; what is held expires when it comes back.

    Raises Invalid where the overdraft is lowered below what is in use.
    """
    wallet = _active(case, command.wallet_id)
    changes: dict[str, Any] = dict(command.changes)
    _check_time("expiration_at", changes.get("expiration_at"), case=case)
    limit = changes.get("overdraft_limit_minor")
    if limit is not None:
        _check_room(case, command.asset, (), max(0, limit - wallet.overdraft_limit_minor))
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


def expire_grant(case: Case, command: ExpireGrant) -> bytes:
    """Take what is free of a grant whose time is over.

    Paid ones go to breakage, promotional ones back to promotions.

    Raises NotAllowed if its time is not over, or there is nothing to take.
    """
    grant = case.customer.grant(command.grant_id)
    if grant is None or grant.expires_at is None or grant.expires_at > case.now:
        raise NotAllowed("not_expired")
    if not grant.available and grant.held:
        raise NotAllowed("held")
    amount = grant.available
    if amount:
        case.book(
            postings.grant_expired(
                ids=case.ids("expire"),
                ledger=command.asset.ledger,
                grant_id=grant.account_id,
                is_promotional=grant.kind == "promotional",
                amount=amount,
                reference=case.reference,
            )
        )
    grant.available = 0
    grant.expired_minor += amount
    case.effect.grant_changes.append(
        GrantChange(grant.id, is_open=grant.held > 0, expired_minor=amount)
    )
    case.customer.is_incomplete = True
    return replies.encode({"grant_id": grant.id, "expired": command.asset.format(amount)})


def close_grant(case: Case, command: CloseGrant) -> bytes:
    """Put an exhausted grant away. Raises NotAllowed if anything is left or held."""
    grant = case.customer.grant(command.grant_id)
    if grant is None or grant.available or grant.held or grant.kind == "overdraft":
        raise NotAllowed("not_exhausted")
    case.effect.grant_changes.append(GrantChange(grant.id, is_open=False))
    case.customer.grants.remove(grant)
    return replies.encode({"grant_id": grant.id})


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


def _check_time(field: str, at: datetime | None, *, case: Case) -> None:
    """What begins has not ended yet.

    By the batch's clock, after the key: a repeat is never too late.
    """
    if at is not None and at <= case.now:
        raise Invalid(field, "value_is_out_of_range", "this time is over")


def _active(case: Case, wallet_id: UUID) -> WalletState:
    wallet = case.customer.wallets.get(wallet_id)
    if wallet is None:
        raise NotFound("wallet")
    if wallet.status != "active":
        raise Invalid("wallet_id", "wallet_is_terminated")
    return wallet


def _check_room(
    case: Case, asset: Asset, fundings: tuple[Funding, ...], overdraft_minor: int
) -> None:
    """All of a customer's grants in one asset stay within 2^63-1.

    What every store can count exactly.
    """
    there = sum(
        grant.available + grant.held
        for grant in case.customer.grants
        if grant.wallet.asset_code == asset.code
    )
    coming = sum(funding.amount_minor for funding in fundings if funding.settled) + overdraft_minor
    if there + coming > money.MAX_MINOR:
        raise Invalid(
            "amount",
            "value_is_out_of_range",
            f"a balance may not exceed {asset.format(money.MAX_MINOR)} {asset.code}",
        )


def _transaction_row(
    transaction_id: UUID, wallet_id: UUID, grant_id: UUID | None, funding: Funding, status: str
) -> TransactionRow:
    return TransactionRow(
        id=transaction_id,
        wallet_id=wallet_id,
        grant_id=grant_id,
        name=funding.name,
        status=status,
        transaction_type="inbound",
        transaction_status="purchased" if funding.kind == "paid" else "granted",
        amount_minor=funding.amount_minor,
        credit_amount=funding.credit_amount,
        priority=funding.priority,
        kind=funding.kind,
        cost_basis=funding.cost_basis,
        cost_basis_currency=funding.cost_basis_currency,
        expires_at=funding.expires_at,
        metadata=funding.metadata,
        invoice_requires_successful_payment=funding.invoice_requires_successful_payment,
    )


def _fund(
    case: Case,
    wallet: WalletState,
    asset: Asset,
    funding: Funding,
    position: int,
    *,
    provider: str,
) -> TransactionRow:
    """Record one funding; if it is settled, its grant exists with the answer."""
    transaction_id = case.row_id(f"transaction-{position}")
    grant_id = None
    if funding.settled:
        grant_id = _grant(
            case, wallet, asset, funding, transaction_id, str(position), provider=provider
        )
    row = _transaction_row(
        transaction_id, wallet.id, grant_id, funding, "settled" if funding.settled else "pending"
    )
    case.effect.transactions.append(row)
    return row


def _grant(
    case: Case,
    wallet: WalletState,
    asset: Asset,
    funding: Funding,
    transaction_id: UUID,
    name: str,
    *,
    provider: str,
) -> UUID:
    """Open a grant's account and fund it; what the customer owes from the past is repaid first."""
    grant = GrantState(
        id=case.row_id(f"grant-{name}"),
        wallet=wallet,
        kind=funding.kind,
        priority=funding.priority,
        expires_at=funding.expires_at,
        amount_minor=funding.amount_minor,
        available=funding.amount_minor,
        is_known=True,
    )
    case.effect.accounts.append(_account(case, asset, grant.id, grant.kind))
    if funding.amount_minor:
        case.book(_funding_transfers(case, grant, asset, funding, name, provider=provider))
    case.effect.grants.append(
        GrantRow(
            id=grant.id,
            wallet_id=wallet.id,
            kind=funding.kind,
            name=funding.name,
            priority=funding.priority,
            amount_minor=funding.amount_minor,
            expires_at=funding.expires_at,
            cost_basis=funding.cost_basis,
            cost_basis_currency=funding.cost_basis_currency,
            wallet_transaction_id=transaction_id,
        )
    )
    case.customer.grants.append(grant)
    case.customer.sort()
    _repay(case, grant, asset, name)
    return grant.id


def _funding_transfers(
    case: Case, grant: GrantState, asset: Asset, funding: Funding, name: str, *, provider: str
) -> list[Transfer]:
    """Where a grant's credits come from: a payment, a promotion, or the issue of native units."""
    ids = case.ids(f"fund-{name}")
    if funding.kind == "promotional":
        return postings.promotion(
            ids=ids,
            ledger=asset.ledger,
            grant_id=grant.account_id,
            amount=funding.amount_minor,
            reference=case.reference,
        )
    if asset.is_unit:
        return postings.issue_units(
            ids=ids,
            ledger=asset.ledger,
            unit_code=asset.code,
            grant=postings.Leg(grant.account_id, funding.amount_minor),
            reference=case.reference,
        )
    return postings.top_up(
        ids=ids,
        ledger=asset.ledger,
        grant_id=grant.account_id,
        amount=funding.amount_minor,
        provider=provider,
        reference=case.reference,
    )


def _repay(case: Case, grant: GrantState, asset: Asset, name: str) -> None:
    """A new grant first repays overage, then what is used of the wallet's overdraft."""
    customer = case.customer
    due = min(grant.available, customer.overage.get(asset.code, 0))
    if due:
        case.book(
            postings.repay_overage(
                ids=case.ids(f"repay-overage-{name}"),
                ledger=asset.ledger,
                grant_id=grant.account_id,
                overage_id=case.overage_account(asset),
                amount=due,
                reference=case.reference,
            )
        )
        grant.available -= due
        customer.overage[asset.code] -= due
    overdraft = grant.wallet.overdraft_grant_id and customer.grant(grant.wallet.overdraft_grant_id)
    if not overdraft:
        return
    used = grant.wallet.overdraft_limit_minor - overdraft.available - overdraft.held
    back = min(grant.available, used)
    if back > 0:
        case.book(
            postings.repay_overdraft(
                ids=case.ids(f"repay-overdraft-{name}"),
                ledger=asset.ledger,
                grant_id=grant.account_id,
                overdraft_id=overdraft.account_id,
                amount=back,
                reference=case.reference,
            )
        )
        grant.available -= back
        overdraft.available += back


def _account(case: Case, asset: Asset, grant_id: UUID, kind: str) -> Account:
    return chart.customer_account(
        account_id=grant_id.int,
        ledger=asset.ledger,
        code=_GRANT_CODES[kind],
        user_data_128=case.customer.customer_id.int,
    )


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
        case.effect.accounts.append(_account(case, asset, overdraft.id, "overdraft"))
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
            move(
                ids=case.ids(name),
                ledger=asset.ledger,
                overdraft_id=overdraft.account_id,
                amount=abs(change),
                reference=case.reference,
            )
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
            _void(case, grant, asset, grant.available, "terminate")
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


def _voidable(
    case: Case, wallet: WalletState, command: MoveCredits
) -> list[tuple[GrantState, int]]:
    """Which grants give the credits that are to be voided, in burn order."""
    left = command.voided_minor
    source = None
    if command.voided_transaction_id is not None:
        transaction = case.customer.transactions.get(command.voided_transaction_id)
        if (
            transaction is None
            or transaction.grant_id is None
            or transaction.wallet_id != wallet.id
        ):
            raise Invalid("voided_transaction_id", "wallet_transaction_not_found")
        source = transaction.grant_id
    taken: list[tuple[GrantState, int]] = []
    for grant in case.customer.grants:
        if grant.wallet.id != wallet.id or grant.kind == "overdraft" or not left:
            continue
        if source is not None and grant.id != source:
            continue
        if not grant.is_spendable(case.now):  # nothing left, or expired and no longer shown
            continue
        amount = min(left, grant.available)
        if amount:
            taken.append((grant, amount))
            left -= amount
    if left:
        raise Invalid("voided_credits", "insufficient_credits")
    return taken


def _void(case: Case, grant: GrantState, asset: Asset, amount_minor: int, name: str) -> None:
    case.book(
        postings.grant_voided(
            ids=case.ids(f"{name}-{grant.id}"),
            ledger=asset.ledger,
            grant_id=grant.account_id,
            amount=amount_minor,
            is_promotional=grant.kind == "promotional",
            reference=case.reference,
        )
    )
    grant.available -= amount_minor
    grant.voided_minor += amount_minor
    case.effect.grant_changes.append(
        GrantChange(
            grant.id, is_open=bool(grant.available or grant.held), voided_minor=amount_minor
        )
    )
