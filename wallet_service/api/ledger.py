"""`/ledger`: the book as finance people and auditors read it. Nothing here writes."""

from typing import Annotated, Final, TypeAlias
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath, FromQuery, QueryParameter

from wallet_service.api.dependencies import Now, Services, Tenant
from wallet_service.api.errors import field_error
from wallet_service.api.schemas.formats import Word, read_id
from wallet_service.api.schemas.ledger import (
    AccountBody,
    AccountReply,
    AccountsReply,
    CursorMeta,
    StatementBody,
    StatementReply,
    TransferBody,
    TransfersReply,
    TrialBalanceBody,
    TrialBalanceReply,
    read_moment,
)
from wallet_service.ledger_reports import Stretch
from wallet_service.texts import read_uuid

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1000

AssetCode: TypeAlias = Annotated[
    Word | None, QueryParameter(description="Of which asset; it must be said.")
]
AccountId: TypeAlias = Annotated[
    Word | None, QueryParameter(description="Of which account; it must be said.")
]
From: TypeAlias = Annotated[
    Word | None,
    QueryParameter(name="from", description="The first moment, in ISO 8601: included."),
]
To: TypeAlias = Annotated[
    Word | None,
    QueryParameter(name="to", description="The end, in ISO 8601: not included."),
]
After: TypeAlias = Annotated[
    Word | None, QueryParameter(description="`meta.next_after` of the answer before.")
]
Limit: TypeAlias = Annotated[
    int, QueryParameter(ge=1, le=LIMIT_MAX, description="How many an answer has at most.")
]


class LedgerBook(Controller):
    """The book: accounts, what moved between them, and whether it balances."""

    path = "/ledger"
    tags = ("ledger",)
    opt = {"resource": "ledger"}  # noqa: RUF012

    @get("/accounts", summary="List the accounts of an asset")
    async def accounts(
        self,
        tenant: Tenant,
        services: Services,
        now: Now,
        asset_code: AssetCode = None,
        after: After = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> AccountsReply:
        """Accounts of the house and of customers, in the order of their opening."""
        found = await services.ledger_reports.accounts(
            tenant.organization_id,
            _given(asset_code, "asset_code"),
            after=_cursor(after),
            limit=limit,
            now=now,
        )
        return AccountsReply(
            [AccountBody.of(view) for view in found.items], CursorMeta(found.next_after)
        )

    @get("/accounts/{account_id:str}", summary="Find an account")
    async def account(
        self,
        account_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        at: FromQuery[Word | None] = None,
    ) -> AccountReply:
        """One account and its balances: now, or right after the moment `at`, in ISO 8601."""
        view = await services.ledger_reports.account(
            tenant.organization_id,
            read_id(account_id, "account"),
            at=None if at is None else read_moment(at, field="at"),
            now=now,
        )
        return AccountReply(AccountBody.of(view))

    @get("/transfers", summary="List the transfers of an account")
    async def transfers(
        self,
        tenant: Tenant,
        services: Services,
        now: Now,
        account_id: AccountId = None,
        since: From = None,
        until: To = None,
        after: After = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> TransfersReply:
        """What was booked on an account, oldest first."""
        asset, found = await services.ledger_reports.transfers(
            tenant.organization_id,
            read_id(_given(account_id, "account_id"), "account"),
            _stretch(since, until, after, limit),
            now=now,
        )
        return TransfersReply(
            [TransferBody.of(transfer, asset) for transfer in found.items],
            CursorMeta(found.next_after),
        )

    @get("/statements", summary="Show the statement of an account")
    async def statement(
        self,
        tenant: Tenant,
        services: Services,
        now: Now,
        account_id: AccountId = None,
        since: From = None,
        until: To = None,
        after: After = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> StatementReply:
        """What was booked on an account, oldest first, with the balances after each transfer."""
        view, page = await services.ledger_reports.statement(
            tenant.organization_id,
            read_id(_given(account_id, "account_id"), "account"),
            _stretch(since, until, after, limit),
            now=now,
        )
        goes_on = page.next_timestamp is not None
        last = UUID(int=page.lines[-1].transfer.id) if goes_on else None
        return StatementReply(StatementBody.of(view, page), CursorMeta(last))

    @get("/trial_balance", summary="Add up an asset")
    async def trial_balance(
        self, tenant: Tenant, services: Services, now: Now, asset_code: AssetCode = None
    ) -> TrialBalanceReply:
        """Add up all accounts of an asset: `balanced` says that every debit has its credit."""
        asset, found = await services.ledger_reports.trial_balance(
            tenant.organization_id, _given(asset_code, "asset_code"), now=now
        )
        return TrialBalanceReply(TrialBalanceBody.of(asset, found))


def _given(text: str | None, field: str) -> str:
    if not text:
        raise field_error(field, "value_is_mandatory")
    return text


def _cursor(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return read_uuid(text)
    except ValueError:
        raise field_error("after", "value_is_invalid") from None


def _stretch(since: str | None, until: str | None, after: str | None, limit: int) -> Stretch:
    return Stretch(
        since=None if since is None else read_moment(since, field="from"),
        until=None if until is None else read_moment(until, field="to"),
        after=_cursor(after),
        limit=limit,
    )
