"""One operation on the judge's desk: its place in the book, and what it has written so far."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from ledger import chart, ids, money, postings
from ledger.chart import AccountCode
from ledger.ids import uuid_of
from ledger.postings import Leg, Reference
from ledger.transfers import Transfer
from wallet_service import replies
from wallet_service.errors import Invalid, NotAllowed, NotFound
from wallet_service.replies import (
    AuthorizationBody,
    DebitBody,
    GrantShare,
    ItemAmount,
    PassedBudget,
)

from .budget_state import BucketState, BudgetKey
from .budgets import Budgets
from .burn import Claim, Share
from .commands import Asset, Operation, Reverse
from .outcomes import Effect, GrantChange
from .payable import Situation
from .state import NIL, CustomerState, HoldState, Paid, WalletState, overage_account

__all__ = ["Case", "authorization_body", "debit_bodies"]


class Case(Situation):
    """An operation being judged.

    Derives its ids, collects its transfers into one chain, and words its reply.
    """

    def __init__(
        self,
        operation: Operation,
        *,
        operation_id: UUID,
        attempt: int,
        customer: CustomerState,
        now: datetime,
        budgets: Mapping[BudgetKey, BucketState],
    ) -> None:
        self.operation = operation
        self.operation_id = operation_id
        self.attempt = attempt
        self.effect = Effect(operation_id, operation.customer_id)
        # Not `self.row_id`: a case that held itself would wait for the garbage collector.
        alert_id = partial(_row_id, operation_id, operation.organization_id)
        super().__init__(
            customer,
            now=now,
            budgets=Budgets(budgets, self.effect, now=now, alert_id=alert_id),
        )
        self._movements = 0
        self.is_reversal = isinstance(operation.command, Reverse)
        self.reference = Reference(
            user_data_128=ids.reference(operation.organization_id, operation.kind, operation.key)
        )

    # -- ids ---------------------------------------------------------------------------------------

    def transfer_id(self, leg: str) -> int:
        """The id of one leg of this operation in this attempt."""
        return ids.derive(
            self.operation_id,
            leg,
            self.attempt,
            organization_id=self.operation.organization_id,
        )

    def row_id(self, name: str) -> UUID:
        """The id of a row that this operation makes; the same in every attempt."""
        return _row_id(self.operation_id, self.operation.organization_id, name)

    def booking(
        self, name: str, asset: Asset, *, reference: Reference | None = None
    ) -> postings.Booking:
        """Where one movement of this operation is booked."""
        return postings.Booking(
            ids=lambda leg: self.transfer_id(f"{name}/{leg}"),
            ledger=asset.ledger,
            reference=reference or self.reference,
        )

    # -- checks ------------------------------------------------------------------------------------

    def active_wallet(self, wallet_id: UUID) -> WalletState:
        """The customer's wallet. Raises NotFound; Invalid if it has ended."""
        wallet = self.customer.wallets.get(wallet_id)
        if wallet is None:
            raise NotFound("wallet")
        if wallet.status != "active":
            raise Invalid("wallet_id", "wallet_is_terminated")
        return wallet

    def check_time(self, field: str, at: datetime | None) -> None:
        """What begins has not ended yet.

        By the batch's clock, after the key: a repeat is never too late.
        """
        if at is not None and at <= self.now:
            raise Invalid(field, "value_is_out_of_range", "this time is over")

    # -- money -------------------------------------------------------------------------------------

    def book(self, transfers: Iterable[Transfer]) -> None:
        """Add a movement, which is a chain, to the operation's one chain."""
        self.effect.transfers.extend(transfers)
        self._movements += 1

    def link(self) -> None:
        """Make all transfers of the operation one chain: all or none."""
        if self._movements > 1:
            self.effect.transfers = postings.chain(self.effect.transfers)

    def charge(
        self,
        asset: Asset,
        shares: Sequence[Share],
        unpaid: Sequence[Claim],
    ) -> list[Paid]:
        """Debit grants for what they pay, and overage for what nobody could pay."""
        owed = sum(claim.amount_minor for claim in unpaid)
        if not shares and not owed:
            return []
        booked = postings.debit(
            self.booking("charge", asset),
            legs=[Leg(share.grant.account_id, share.amount_minor) for share in shares],
            overage=Leg(self.overage_account(asset), owed) if owed else None,
        )
        self.book(booked)
        paid = [
            Paid(
                uuid_of(transfer.id),
                share.grant.id,
                share.amount_minor,
                0,
                share.code,
                share.grant.kind == "overdraft",
            )
            for share, transfer in zip(shares, booked, strict=False)
        ]
        if owed:
            owing = uuid_of(booked[-1].id)
            paid += [Paid(owing, NIL, claim.amount_minor, 0, claim.code) for claim in unpaid]
            self.customer.overage[asset.code] += owed
        return paid

    def is_countable(self, asset: Asset, charged_minor: int, unpaid: Sequence[Claim]) -> bool:
        """Whether a charge, and what is owed after it, stays within what every store can count."""
        owed = self.customer.overage.get(asset.code, 0)
        owed += sum(claim.amount_minor for claim in unpaid)
        return max(charged_minor, owed) <= money.MAX_MINOR

    def overage_account(self, asset: Asset) -> int:
        """The customer's overage account; opened with its first use."""
        account_id = overage_account(
            self.customer.organization_id, self.customer.customer_id, asset.code
        )
        if asset.code not in self.customer.overage:
            self.effect.accounts.append(
                chart.customer_account(
                    account_id=account_id,
                    ledger=asset.ledger,
                    code=AccountCode.OVERAGE,
                    user_data_128=self.customer.customer_id.int,
                )
            )
            self.customer.overage[asset.code] = 0
        return account_id

    def return_paid(self, asset: Asset, paid: Sequence[Paid], amount_minor: int) -> list[Paid]:
        """Give an amount back to who paid it, the last first, by transfers that name the originals.

        Overage that is still due is lowered, and an overdraft filled up to its limit; what was
        repaid meanwhile goes to the customer's newest grant. Returns what was given back, as
        negative entries.
        """
        plan: list[tuple[int, Paid, int]] = []
        left = amount_minor
        for position in range(len(paid) - 1, -1, -1):
            back = min(left, paid[position].amount_minor - paid[position].refunded_minor)
            if back > 0:
                plan.append((position, paid[position], back))
                left -= back
        assert left == 0, "refunds were checked against what was paid"
        heir = self._newest_grant(asset, paid)
        if heir is None and any(
            sum(back for _, entry, back in plan if entry.grant_id == payer.grant_id)
            > self._room(asset, payer, amount_minor)
            for payer in {entry.grant_id: entry for _, entry, _ in plan}.values()
        ):
            raise NotAllowed("no_grant_to_refund")
        returned: list[Paid] = []
        for position, entry, back in plan:
            entry.refunded_minor += back
            lowered = self._room(asset, entry, back)
            receivers = [(entry.grant_id, lowered)] if lowered else []
            if heir is not None and back > lowered:
                receivers.append((heir, back - lowered))
            for part, (grant_id, amount) in enumerate(receivers):
                returned.append(
                    self._return(asset, entry, grant_id, amount, f"return-{position}-{part}")
                )
        return returned

    def _room(self, asset: Asset, payer: Paid, amount_minor: int) -> int:
        """How much of an amount may go back to who paid it.

        Overage takes up to what is due, an overdraft up to its limit (none, if it was closed), any
        other grant all of it.
        """
        if payer.grant_id == NIL:
            return min(amount_minor, self.customer.overage.get(asset.code, 0))
        grant = self.customer.grant(payer.grant_id)
        if grant is None:
            return 0 if payer.is_overdraft else amount_minor
        if grant.kind != "overdraft":
            return amount_minor
        used = grant.wallet.overdraft_limit_minor - grant.available - grant.held
        return max(0, min(amount_minor, used))

    def _newest_grant(self, asset: Asset, paid: Sequence[Paid]) -> UUID | None:
        """The newest open grant, or one of those that paid and was put away since."""
        grants = [
            grant.id
            for grant in self.customer.grants
            if grant.wallet.asset_code == asset.code and grant.kind != "overdraft"
        ]
        put_away = [
            entry.grant_id
            for entry in paid
            if entry.grant_id != NIL
            and not entry.is_overdraft
            and self.customer.grant(entry.grant_id) is None
        ]
        return max(grants, default=max(put_away, default=None))

    def _return(
        self, asset: Asset, entry: Paid, grant_id: UUID, amount_minor: int, name: str
    ) -> Paid:
        is_overage = grant_id == NIL
        account_id = self.overage_account(asset) if is_overage else grant_id.int
        give_back = postings.reversal if self.is_reversal else postings.refund
        booked = give_back(
            self.booking(name, asset),
            legs=[postings.Reversed(entry.transfer_id.int, account_id, amount_minor)],
        )
        self.book(booked)
        if is_overage:
            self.customer.overage[asset.code] -= amount_minor
        else:
            self._credit_grant(grant_id, amount_minor)
        return Paid(uuid_of(booked[0].id), grant_id, -amount_minor, 0, entry.code)

    def _credit_grant(self, grant_id: UUID, amount_minor: int) -> None:
        grant = self.customer.grant(grant_id)
        if grant is None:
            self.effect.grant_changes.append(GrantChange(grant_id, is_open=True))
            self.customer.is_incomplete = True
        else:
            grant.available += amount_minor

    # -- words -------------------------------------------------------------------------------------

    def authorization_reply(
        self,
        hold: HoldState,
        asset: Asset,
        paid: Sequence[Paid] | None = None,
        *,
        warnings: Sequence[PassedBudget] = (),
    ) -> bytes:
        """The whole authorization, with what is still available to its items.

        ``warnings`` are soft budgets that it passes.
        """
        codes = {item.code for item in hold.items}
        body = authorization_body(
            hold,
            asset,
            available_minor=self.customer.available(asset.code, codes, now=self.now),
        )
        if paid is not None:
            body.debits = debit_bodies(paid, asset.code, scale=asset.scale)
        if warnings:
            body.budget_warnings = list(warnings)
        return replies.encode(replies.AuthorizationReply(body))


def _row_id(operation_id: UUID, organization_id: UUID, name: str) -> UUID:
    return UUID(int=ids.derive(operation_id, name, 0, organization_id=organization_id))


def debit_bodies(paid: Sequence[Paid], asset_code: str, *, scale: int) -> list[DebitBody]:
    """What was charged, as the API shows it: who paid how much, and what nobody could pay."""
    if not paid:
        return []
    if len(paid) == 1 and paid[0].grant_id != NIL:  # as nearly always
        amount = money.format_minor(paid[0].amount_minor, scale)
        return [DebitBody(asset_code, amount, "0", [GrantShare(paid[0].grant_id, amount)])]
    shares: dict[UUID, int] = {}
    for entry in paid:
        shares[entry.grant_id] = shares.get(entry.grant_id, 0) + entry.amount_minor
    overage = shares.pop(NIL, 0)
    return [
        DebitBody(
            asset_code,
            money.format_minor(sum(shares.values()), scale),
            money.format_minor(overage, scale),
            [
                GrantShare(grant, money.format_minor(minor, scale))
                for grant, minor in shares.items()
            ],
        )
    ]


def authorization_body(
    hold: HoldState, asset: Asset, *, available_minor: int | None
) -> AuthorizationBody:
    """An authorization as the API shows it.

    Its items say what is held for each, or what was captured for it.
    """
    items = [ItemAmount(item.code, asset.format(item.amount_minor)) for item in hold.items]
    if hold.paid:
        captured: dict[str, int] = dict.fromkeys((item.code for item in hold.items), 0)
        for entry in hold.paid:
            captured[entry.code] = captured.get(entry.code, 0) + entry.amount_minor
        items = [ItemAmount(code, asset.format(amount)) for code, amount in captured.items()]
    held: dict[UUID, int] = {}
    for leg in hold.legs:
        held[leg.grant_id] = held.get(leg.grant_id, 0) + leg.amount_minor
    return AuthorizationBody(
        id=hold.id,
        transaction_id=hold.transaction_id,
        external_customer_id=hold.external_customer_id,
        status=hold.status,
        amount=asset.format(hold.amount_minor),
        captured_amount=asset.format(hold.captured_minor),
        refunded_amount=asset.format(hold.refunded_minor),
        asset_code=asset.code,
        available=None if available_minor is None else asset.format(available_minor),
        expires_at=replies.iso(hold.expires_at),
        created_at=replies.iso(hold.created_at),
        items=items,
        grants=[GrantShare(grant, asset.format(amount)) for grant, amount in held.items()],
    )
