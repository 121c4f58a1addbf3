"""Invoices that are taken back: all that was booked for one goes the other way.

Grants get back what they paid. One that has ended since is replaced by a new one in its wallet; and
where the wallet has ended too, the customer is credited.
"""

from uuid import UUID

from invoicing.settlements import Booked, GrantPart, Voided
from ledger import postings
from ledger.chart import AccountCode, house_account_id
from ledger.ids import uuid_of
from ledger.postings import Undone
from ledger.transfers import Transfer
from wallet_service import replies

from .case import Case
from .commands import Asset, Payer, VoidInvoice
from .grants import open_account
from .invoices import live_grants
from .outcomes import GrantChange, GrantRow
from .state import GrantState

__all__ = ["void_invoice"]

_HOUSE = {
    "fees": (AccountCode.RECEIVABLE, AccountCode.REVENUE),
    "coupons": (AccountCode.DISCOUNTS, AccountCode.RECEIVABLE),
    "taxes": (AccountCode.RECEIVABLE, AccountCode.TAX_PAYABLE),
    "credit_notes": (AccountCode.CUSTOMER_CREDIT, AccountCode.RECEIVABLE),
    "credit": (AccountCode.RECEIVABLE, AccountCode.CUSTOMER_CREDIT),
    "rounding": (AccountCode.REVENUE, AccountCode.RECEIVABLE),
}
"""Which account each movement between accounts of the house debits, and which it credits."""


def void_invoice(case: Case, command: VoidInvoice) -> bytes:
    """Take back what an invoice's settlement booked, by transfers that name the originals."""
    undoing = _Undoing(case, command)
    for booked in command.request.settlement.transfers:
        undoing.undo(booked)
    undoing.credit()
    return replies.encode(undoing.voided())


class _Undoing:
    """What is taken back of one invoice, and what becomes of it."""

    def __init__(self, case: Case, command: VoidInvoice) -> None:
        self._case = case
        self._asset: Asset = command.asset
        self._cent_minor = command.cent_minor
        self._payers = {payer.id: payer for payer in command.payers}
        self._live = {grant.id: grant for grant in live_grants(case, command.asset)}
        self._receivable = self._house(AccountCode.RECEIVABLE)
        self._parts: list[GrantPart] = []
        self._transfers: list[UUID] = []
        self._overage = 0
        self._homeless = 0
        self._credited = 0
        self._rounding = 0

    def undo(self, booked: Booked) -> None:
        """Take one transfer back."""
        match booked.name:
            case "prepaid":
                self._return(booked)
            case "refund":
                self._take_again(booked)
            case "overage":
                self._owe_again(booked, booked.amount_minor)
            case name:
                debit, credit = map(self._house, _HOUSE[name])
                if booked.amount_minor < 0:
                    debit, credit = credit, debit
                self._reverse(booked, debit, credit, abs(booked.amount_minor))

    def credit(self) -> None:
        """What no grant could take back: whole cents as credit, the rest is kept."""
        self._rounding = -(self._homeless % self._cent_minor)
        self._credited = self._homeless + self._rounding
        for amount, movement in (
            (self._credited, postings.invoice_credit),
            (self._rounding, postings.invoice_rounding),
        ):
            if amount:
                self._book(movement(self._case.booking("void", self._asset), amount=amount))

    def voided(self) -> Voided:
        """What was booked."""
        return Voided(
            grants=self._parts,
            overage_minor=self._overage,
            credited_cents=self._credited // self._cent_minor,
            rounding_minor=self._rounding,
            transfers=self._transfers,
        )

    def _house(self, code: AccountCode) -> int:
        return house_account_id(ledger=self._asset.ledger, code=code)

    def _book(self, transfers: list[Transfer]) -> None:
        self._case.book(transfers)
        self._transfers += [uuid_of(transfer.id) for transfer in transfers]

    def _reverse(
        self, booked: Booked, debit: int, credit: int, amount: int, part: str = ""
    ) -> None:
        """Book the other way what had gone from `debit` to `credit`."""
        self._book(
            postings.invoice_voided(
                self._case.booking(f"void-{booked.id}{part}", self._asset),
                originals=[Undone(booked.id.int, debit, credit, amount)],
            )
        )

    def _return(self, booked: Booked) -> None:
        """What a grant had paid goes back to it, or to a new one in its place."""
        assert booked.grant_id is not None, "a grant had paid"
        payer = self._payers[booked.grant_id]
        wallet = self._case.customer.wallets.get(payer.wallet_id)
        if wallet is None or wallet.status != "active":
            self._homeless += booked.amount_minor
            return
        if payer.expires_at is not None and payer.expires_at <= self._case.now:
            self._replace(booked, payer)
            return
        grant = self._live.get(payer.id)
        self._reverse(booked, payer.id.int, self._receivable, booked.amount_minor)
        if grant is None:  # it was put away, empty
            self._case.effect.grant_changes.append(GrantChange(payer.id, is_open=True))
            self._case.customer.is_incomplete = True
        else:
            grant.available += booked.amount_minor
        self._remember(payer.id, payer, booked.amount_minor)

    def _replace(self, booked: Booked, payer: Payer) -> None:
        """Open a grant of the same kind, without an end, for one that has expired."""
        case = self._case
        grant = GrantState(
            id=case.row_id(f"grant-{booked.id}"),
            wallet=case.customer.wallets[payer.wallet_id],
            kind=payer.kind,
            priority=payer.priority,
            expires_at=None,
            amount_minor=booked.amount_minor,
            available=booked.amount_minor,
            is_known=True,
        )
        case.effect.accounts.append(open_account(case, self._asset, grant.id, grant.kind))
        case.effect.grants.append(
            GrantRow(
                id=grant.id,
                wallet_id=payer.wallet_id,
                kind=payer.kind,
                name=None,
                priority=payer.priority,
                amount_minor=booked.amount_minor,
                expires_at=None,
                cost_basis=None,
                cost_basis_currency=None,
                wallet_transaction_id=None,
            )
        )
        case.customer.grants.append(grant)
        case.customer.sort()
        self._book(
            postings.invoice_return(
                case.booking(f"return-{booked.id}", self._asset),
                grant_id=grant.account_id,
                amount=booked.amount_minor,
                original_id=booked.id.int,
            )
        )
        self._remember(grant.id, payer, booked.amount_minor)

    def _take_again(self, booked: Booked) -> None:
        """What had been given back is debited again; what was spent since is owed as overage."""
        assert booked.grant_id is not None, "a grant was given something back"
        grant = self._case.customer.grant(booked.grant_id)
        there = 0 if grant is None else min(grant.available, booked.amount_minor)
        if grant is not None and there:
            grant.available -= there
            self._reverse(booked, self._receivable, grant.account_id, there)
            payer = self._payers[booked.grant_id]
            self._remember(grant.id, payer, -there)
        if booked.amount_minor > there:
            self._owe_again(booked, booked.amount_minor - there)

    def _owe_again(self, booked: Booked, amount_minor: int) -> None:
        account_id = self._case.overage_account(self._asset)
        self._reverse(booked, self._receivable, account_id, amount_minor, "-overage")
        self._case.customer.overage[self._asset.code] += amount_minor
        self._overage += amount_minor

    def _remember(self, grant_id: UUID, payer: Payer, amount_minor: int) -> None:
        self._parts.append(
            GrantPart(
                id=grant_id,
                wallet_id=payer.wallet_id,
                kind=payer.kind,
                amount_minor=amount_minor,
            )
        )
