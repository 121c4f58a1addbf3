"""Movements of credits on the wire."""

from msgspec import Struct

from wallet_service.api.pagination import Meta
from wallet_service.replies import WalletTransactionBody
from wallet_service.wallet_transaction_requests import SettleRequest, WalletTransactionRequest


class WalletTransactionEnvelope(Struct):
    """The envelope of credits to move."""

    wallet_transaction: WalletTransactionRequest


class SettleEnvelope(Struct, forbid_unknown_fields=True):
    """The envelope of a settlement."""

    settle: SettleRequest = SettleRequest()


class WalletTransactionReply(Struct):
    """The envelope of a transaction."""

    wallet_transaction: WalletTransactionBody


class WalletTransactionsReply(Struct):
    """What one request moved: purchased, granted, voided."""

    wallet_transactions: list[WalletTransactionBody]


class WalletTransactionsPage(Struct):
    """A page of transactions."""

    wallet_transactions: list[WalletTransactionBody]
    meta: Meta
