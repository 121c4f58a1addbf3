"""The book on the wire: amounts are decimal texts in the asset's unit, times have nanoseconds."""

import re
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from ledger.accounts import Balance
from ledger.chart import NATURE, AccountCode, Side, TransferCode
from ledger.money import format_minor
from ledger.reconciliation import TrialBalance
from ledger.statements import Statement, StatementLine
from ledger.transfers import Transfer
from wallet_service.api.errors import field_error
from wallet_service.assets import AssetRow
from wallet_service.ledger_reports import AccountView, nanoseconds
from wallet_service.texts import read_time

_SECOND: Final = 1_000_000_000
_FRACTION: Final = re.compile(r"[.,]([0-9]{1,9})[0-9]*", re.ASCII)
_LATEST: Final = 2**62
"""The year 2116: later than all, and a number that every engine takes."""


def iso_nanoseconds(timestamp: int) -> str:
    """A moment of the ledger's clock: `2026-03-10T12:00:00.000000001Z`."""
    seconds, rest = divmod(timestamp, _SECOND)
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def read_moment(text: str, *, field: str) -> int:
    """A time in ISO 8601 on the ledger's clock, to the nanosecond; raises a field error."""
    at = read_time(text, field=field)
    whole = nanoseconds(at.replace(microsecond=0))
    match = _FRACTION.search(text)
    fraction = int(match[1].ljust(9, "0")) if match else 0
    if fraction // 1_000 != at.microsecond:
        raise field_error(field, "value_is_invalid")
    return min(whole + fraction, _LATEST)


class BalanceBody(Struct, kw_only=True):
    """The four sums of an account, and what they say on the side on which it grows."""

    debits_posted: str
    credits_posted: str
    debits_pending: str
    credits_pending: str
    balance: str

    @classmethod
    def of(cls, balance: Balance, *, nature: Side, scale: int) -> "BalanceBody":
        """Show sums; the balance is the posted one."""
        grown = balance.debit_balance if nature is Side.DEBIT else balance.credit_balance
        return cls(
            debits_posted=format_minor(balance.debits_posted, scale),
            credits_posted=format_minor(balance.credits_posted, scale),
            debits_pending=format_minor(balance.debits_pending, scale),
            credits_pending=format_minor(balance.credits_pending, scale),
            balance=format_minor(grown, scale),
        )


class AccountBody(Struct, kw_only=True):
    """An account of the book and what is in it."""

    id: UUID
    asset_code: str
    code: str
    name: str
    owner: str
    nature: str
    balances: BalanceBody
    opened_at: str

    @classmethod
    def of(cls, view: AccountView) -> "AccountBody":
        """Show an account."""
        return cls(
            id=UUID(int=view.account.id),
            asset_code=view.asset.code,
            code=view.code.name.lower(),
            name=view.name,
            owner="house" if view.is_of_the_house else "customer",
            nature=view.nature.value,
            balances=BalanceBody.of(view.balance, nature=view.nature, scale=view.asset.scale),
            opened_at=iso_nanoseconds(view.account.timestamp),
        )


class TransferBody(Struct, kw_only=True):
    """One movement between two accounts."""

    id: UUID
    asset_code: str
    code: str
    phase: str
    debit_account_id: UUID
    credit_account_id: UUID
    amount: str
    pending_id: UUID | None
    time: str

    @classmethod
    def of(cls, transfer: Transfer, asset: AssetRow) -> "TransferBody":
        """Show a transfer."""
        return cls(
            id=UUID(int=transfer.id),
            asset_code=asset.code,
            code=TransferCode(transfer.code).name.lower(),
            phase=transfer.phase.name.lower(),
            debit_account_id=UUID(int=transfer.debit_account_id),
            credit_account_id=UUID(int=transfer.credit_account_id),
            amount=format_minor(transfer.amount, asset.scale),
            pending_id=UUID(int=transfer.pending_id) if transfer.pending_id else None,
            time=iso_nanoseconds(transfer.timestamp),
        )


class LineBody(Struct, kw_only=True):
    """One transfer on a statement: on which side it stands, and the balances after it."""

    side: str
    transfer: TransferBody
    balances: BalanceBody

    @classmethod
    def of(cls, line: StatementLine, view: AccountView) -> "LineBody":
        """Show a line."""
        return cls(
            side=(Side.DEBIT if line.is_debit else Side.CREDIT).value,
            transfer=TransferBody.of(line.transfer, view.asset),
            balances=BalanceBody.of(line.balance, nature=view.nature, scale=view.asset.scale),
        )


class StatementBody(Struct, kw_only=True):
    """An account over some time: what it had before, each transfer, what it has after."""

    account: AccountBody
    opening: BalanceBody
    lines: list[LineBody]
    closing: BalanceBody

    @classmethod
    def of(cls, view: AccountView, page: Statement) -> "StatementBody":
        """Show a page of a statement."""
        nature, scale = view.nature, view.asset.scale
        return cls(
            account=AccountBody.of(view),
            opening=BalanceBody.of(page.opening, nature=nature, scale=scale),
            lines=[LineBody.of(line, view) for line in page.lines],
            closing=BalanceBody.of(page.closing, nature=nature, scale=scale),
        )


class TrialBalanceLineBody(Struct, kw_only=True):
    """All accounts of one kind together."""

    code: str
    nature: str
    accounts: int
    balances: BalanceBody


class TrialBalanceBody(Struct, kw_only=True):
    """The sums of all accounts of an asset; in a book that balances each debit has its credit."""

    asset_code: str
    balanced: bool
    debits_posted: str
    credits_posted: str
    debits_pending: str
    credits_pending: str
    lines: list[TrialBalanceLineBody]

    @classmethod
    def of(cls, asset: AssetRow, found: TrialBalance) -> "TrialBalanceBody":
        """Show a trial balance."""
        lines: list[TrialBalanceLineBody] = []
        for line in found.lines:
            code = AccountCode(line.code)
            lines.append(
                TrialBalanceLineBody(
                    code=code.name.lower(),
                    nature=NATURE[code].value,
                    accounts=line.accounts,
                    balances=BalanceBody.of(line.balance, nature=NATURE[code], scale=asset.scale),
                )
            )
        return cls(
            asset_code=asset.code,
            balanced=found.is_balanced,
            debits_posted=format_minor(found.total.debits_posted, asset.scale),
            credits_posted=format_minor(found.total.credits_posted, asset.scale),
            debits_pending=format_minor(found.total.debits_pending, asset.scale),
            credits_pending=format_minor(found.total.credits_pending, asset.scale),
            lines=lines,
        )


class CursorMeta(Struct):
    """Where to go on: as `after`; null at the end."""

    next_after: UUID | None


class AccountReply(Struct):
    """The envelope of an account."""

    account: AccountBody


class AccountsReply(Struct):
    """Some accounts."""

    accounts: list[AccountBody]
    meta: CursorMeta


class TransfersReply(Struct):
    """Some transfers of an account."""

    transfers: list[TransferBody]
    meta: CursorMeta


class StatementReply(Struct):
    """The envelope of a statement."""

    statement: StatementBody
    meta: CursorMeta


class TrialBalanceReply(Struct):
    """The envelope of a trial balance."""

    trial_balance: TrialBalanceBody
