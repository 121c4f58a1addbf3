"""Grants: opened by what funds them, voided, expired, and put away when they are exhausted."""

from uuid import UUID

from ledger import chart, money, postings
from ledger.accounts import Account
from ledger.chart import AccountCode
from ledger.transfers import Transfer
from wallet_service import replies
from wallet_service.errors import Invalid, NotAllowed

from .case import Case
from .commands import Asset, CloseGrant, ExpireGrant, Funding
from .deferred_revenue import cost_of
from .outcomes import GrantChange, GrantRow
from .state import GrantState, WalletState

__all__ = [
    "check_room",
    "close_grant",
    "expire_grant",
    "open_account",
    "open_grant",
    "void_grant",
]

_ACCOUNT_CODES = {
    "paid": AccountCode.GRANT_PAID,
    "promotional": AccountCode.GRANT_PROMOTIONAL,
    "overdraft": AccountCode.OVERDRAFT,
}


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
                case.booking("expire", command.asset),
                grant_id=grant.account_id,
                is_promotional=grant.kind == "promotional",
                amount=amount,
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


# -- what wallets and their transactions do to grants ----------------------------------------------


def check_room(
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


def open_grant(
    case: Case,
    wallet: WalletState,
    asset: Asset,
    funding: Funding,
    transaction_id: UUID,
    name: str,
    *,
    provider: str,
    sold_for: Asset | None = None,
) -> UUID:
    """Open a grant's account and fund it; what the customer owes from the past is repaid first."""
    cost = cost_of(funding, asset, sold_for)
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
    case.effect.accounts.append(open_account(case, asset, grant.id, grant.kind))
    if funding.amount_minor:
        if cost and sold_for is not None:
            case.book(_sale(case, grant, asset, (sold_for, cost), name, provider=provider))
        else:
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
            deferred_minor=cost,
        )
    )
    case.customer.grants.append(grant)
    case.customer.sort()
    _repay(case, grant, asset, name)
    return grant.id


def open_account(case: Case, asset: Asset, grant_id: UUID, kind: str) -> Account:
    """The ledger account that a grant is; the caller adds it to the effect."""
    return chart.customer_account(
        account_id=grant_id.int,
        ledger=asset.ledger,
        code=_ACCOUNT_CODES[kind],
        user_data_128=case.customer.customer_id.int,
    )


def void_grant(case: Case, grant: GrantState, asset: Asset, amount_minor: int, name: str) -> None:
    """Take back so much of what is free of a grant; put it away if nothing is left."""
    case.book(
        postings.grant_voided(
            case.booking(f"{name}-{grant.id}", asset),
            grant_id=grant.account_id,
            amount=amount_minor,
            is_promotional=grant.kind == "promotional",
        )
    )
    grant.available -= amount_minor
    grant.voided_minor += amount_minor
    case.effect.grant_changes.append(
        GrantChange(
            grant.id, is_open=bool(grant.available or grant.held), voided_minor=amount_minor
        )
    )


# -- parts -----------------------------------------------------------------------------------------


def _funding_transfers(
    case: Case, grant: GrantState, asset: Asset, funding: Funding, name: str, *, provider: str
) -> list[Transfer]:
    """Where a grant's credits come from: a payment, a promotion, or the issue of native units."""
    at = case.booking(f"fund-{name}", asset)
    if funding.kind == "promotional":
        return postings.promotion(at, grant_id=grant.account_id, amount=funding.amount_minor)
    if asset.is_unit:
        return postings.issue_units(
            at, unit_code=asset.code, grant=postings.Leg(grant.account_id, funding.amount_minor)
        )
    return postings.top_up(
        at, grant_id=grant.account_id, amount=funding.amount_minor, provider=provider
    )


def _sale(
    case: Case,
    grant: GrantState,
    asset: Asset,
    cost: tuple[Asset, int],
    name: str,
    *,
    provider: str,
) -> list[Transfer]:
    """Units are sold: the money is not earned before they are used."""
    sold_for, amount = cost
    return postings.issue(
        case.booking(f"fund-{name}", asset),
        money_ledger=sold_for.ledger,
        money_amount=amount,
        provider=provider,
        unit_code=asset.code,
        grant=postings.Leg(grant.account_id, grant.amount_minor),
    )


def _repay(case: Case, grant: GrantState, asset: Asset, name: str) -> None:
    """A new grant first repays overage, then what is used of the wallet's overdraft."""
    customer = case.customer
    due = min(grant.available, customer.overage.get(asset.code, 0))
    if due:
        case.book(
            postings.repay_overage(
                case.booking(f"repay-overage-{name}", asset),
                grant_id=grant.account_id,
                overage_id=case.overage_account(asset),
                amount=due,
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
                case.booking(f"repay-overdraft-{name}", asset),
                grant_id=grant.account_id,
                overdraft_id=overdraft.account_id,
                amount=back,
            )
        )
        grant.available -= back
        overdraft.available += back
