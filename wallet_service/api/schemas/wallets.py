"""Wallets on the wire."""

from typing import Any

from msgspec import Struct

from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import iso_seconds, optional_iso
from wallet_service.credit_amounts import cents_of, credits_of
from wallet_service.replies import decimal_text
from wallet_service.wallet_terms import WalletRequest
from wallet_service.wallets import WalletView


class WalletEnvelope(Struct):
    """The envelope of a wallet to create or change."""

    wallet: WalletRequest


class AppliesToBody(Struct):
    """What a wallet may pay for; empty lists mean everything."""

    fee_types: list[str]
    billable_metric_codes: list[str]


class WalletBody(Struct, kw_only=True):
    """A wallet. `balance_*` is what was not used yet.

    `ongoing_*` the same without what is in holds.
    """

    lago_id: str
    lago_customer_id: str
    external_customer_id: str
    status: str
    currency: str
    asset_code: str
    name: str | None
    code: str
    priority: int
    rate_amount: str
    credits_balance: str
    balance_cents: int
    consumed_credits: str
    ongoing_balance_cents: int
    ongoing_usage_balance_cents: int
    credits_ongoing_balance: str
    credits_ongoing_usage_balance: str
    balance: str
    held: str
    available: str
    on_shortfall: str
    overdraft_limit: str
    frozen: bool
    applies_to: AppliesToBody
    invoice_requires_successful_payment: bool
    paid_top_up_min_amount_cents: int | None
    paid_top_up_max_amount_cents: int | None
    metadata: dict[str, str | None]
    recurring_transaction_rules: list[dict[str, Any]]
    expiration_at: str | None
    last_balance_sync_at: str | None
    last_consumed_credit_at: str | None
    terminated_at: str | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, view: WalletView) -> "WalletBody":
        """Show a wallet."""
        row, asset = view.row, view.asset
        ongoing = view.posted_minor - view.held_minor

        def credit_text(amount_minor: int) -> str:
            return decimal_text(credits_of(amount_minor, rate=row.rate_amount, asset=asset))

        def limit(amount_minor: int | None) -> int | None:
            return None if amount_minor is None else cents_of(amount_minor, asset)

        return cls(
            lago_id=str(row.id),
            lago_customer_id=str(row.customer_id),
            external_customer_id=row.external_customer_id,
            status=row.status,
            currency=asset.code,
            asset_code=asset.code,
            name=row.name,
            code=row.code,
            priority=row.priority,
            rate_amount=decimal_text(row.rate_amount),
            credits_balance=credit_text(view.posted_minor),
            balance_cents=cents_of(view.posted_minor, asset),
            consumed_credits=credit_text(view.consumed_minor),
            ongoing_balance_cents=cents_of(ongoing, asset),
            ongoing_usage_balance_cents=cents_of(view.posted_minor, asset)
            - cents_of(ongoing, asset),
            credits_ongoing_balance=credit_text(ongoing),
            credits_ongoing_usage_balance=credit_text(view.held_minor),
            balance=asset.format(view.posted_minor),
            held=asset.format(view.held_minor),
            available=asset.format(view.available_minor),
            on_shortfall=row.on_shortfall,
            overdraft_limit=asset.format(row.overdraft_limit_minor),
            frozen=row.frozen,
            applies_to=AppliesToBody(row.fee_types, row.billable_metric_codes),
            invoice_requires_successful_payment=row.invoice_requires_successful_payment,
            paid_top_up_min_amount_cents=limit(row.paid_top_up_min_minor),
            paid_top_up_max_amount_cents=limit(row.paid_top_up_max_minor),
            metadata=row.metadata,
            recurring_transaction_rules=[],
            expiration_at=optional_iso(row.expiration_at),
            last_balance_sync_at=None,
            last_consumed_credit_at=None,
            terminated_at=optional_iso(row.terminated_at),
            created_at=iso_seconds(row.created_at),
            updated_at=iso_seconds(row.updated_at),
        )


class WalletReply(Struct):
    """The envelope of a wallet."""

    wallet: WalletBody


class WalletsReply(Struct):
    """A page of wallets."""

    wallets: list[WalletBody]
    meta: Meta
