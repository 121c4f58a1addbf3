"""Wallet transactions: credits bought, granted or voided; payments that settle or fail."""

from uuid import UUID

from wallet_service import replies
from wallet_service.errors import Invalid, NotAllowed, NotFound

from .case import Case
from .commands import Asset, Fail, Funding, MoveCredits, Settle
from .deferred_revenue import check_cost
from .grants import check_room, open_grant, void_grant
from .outcomes import TransactionChange, TransactionRow
from .state import GrantState, WalletState

__all__ = ["fail", "move_credits", "record_funding", "settle"]


def move_credits(case: Case, command: MoveCredits) -> bytes:
    """Fund a wallet, void credits, or both.

    The reply lists transactions: purchased, granted, voided.

    Raises Invalid: the wallet has ended, or has fewer credits than are to be voided.
    """
    wallet = case.active_wallet(command.wallet_id)
    for funding in command.fundings:
        case.check_time("expires_at", funding.expires_at)
    check_room(case, command.asset, command.fundings, 0)
    check_cost(command.fundings, command.asset, command.money)
    voided = _voidable(case, wallet, command)
    transactions = [
        record_funding(
            case,
            wallet,
            command.asset,
            funding,
            position,
            provider=command.provider,
            sold_for=command.money,
        )
        for position, funding in enumerate(command.fundings)
    ]
    if command.voided_minor:
        for grant, amount in voided:
            void_grant(case, grant, command.asset, amount, "void")
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
    wallet = case.active_wallet(transaction.wallet_id)
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
    check_room(case, command.asset, (funding,), 0)
    check_cost((funding,), command.asset, command.money)
    grant_id = open_grant(
        case,
        wallet,
        command.asset,
        funding,
        transaction.id,
        "settled",
        provider=command.provider,
        sold_for=command.money,
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


def record_funding(
    case: Case,
    wallet: WalletState,
    asset: Asset,
    funding: Funding,
    position: int,
    *,
    provider: str,
    sold_for: Asset | None = None,
) -> TransactionRow:
    """Record one funding; if it is settled, its grant exists with the answer."""
    transaction_id = case.row_id(f"transaction-{position}")
    grant_id = None
    if funding.settled:
        grant_id = open_grant(
            case,
            wallet,
            asset,
            funding,
            transaction_id,
            str(position),
            provider=provider,
            sold_for=sold_for,
        )
    row = _transaction_row(
        transaction_id, wallet.id, grant_id, funding, "settled" if funding.settled else "pending"
    )
    case.effect.transactions.append(row)
    return row


# -- parts -----------------------------------------------------------------------------------------


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
