"""One customer's balances as they stand in Redis: all that a reader needs, in one read.

All that a balance, a wallet or a check needs. Opaque bytes to Redis, so that amounts stay exact up
to 2^63. Read back, it is a customer's state again, and the same rules answer from it that decide
under lock.
"""

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from wallet_service.decision.state import CustomerState, GrantState, WalletState

__all__ = ["decode_document", "encode_document"]


class _Grant(Struct, array_like=True):
    id: UUID
    wallet: int
    kind: str
    priority: int
    expires_at: datetime | None
    amount_minor: int
    available: int
    held: int


class _Document(Struct, array_like=True):
    wallets: list[WalletState]
    grants: list[_Grant]
    overage: dict[str, int]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Document)


def encode_document(customer: CustomerState) -> bytes:
    """What is shown of a customer, in burn order."""
    places = {wallet_id: place for place, wallet_id in enumerate(customer.wallets)}
    return _encoder.encode(
        _Document(
            list(customer.wallets.values()),
            [
                _Grant(
                    grant.id,
                    places[grant.wallet.id],
                    grant.kind,
                    grant.priority,
                    grant.expires_at,
                    grant.amount_minor,
                    grant.available,
                    grant.held,
                )
                for grant in customer.grants
            ],
            customer.overage,
        )
    )


def decode_document(
    body: bytes, organization_id: UUID, customer_id: UUID, *, version: int = 0
) -> CustomerState:
    """The customer's state as it was shown last."""
    document = _decoder.decode(body)
    return CustomerState(
        organization_id,
        customer_id,
        version,
        wallets={wallet.id: wallet for wallet in document.wallets},
        grants=[
            GrantState(
                id=grant.id,
                wallet=document.wallets[grant.wallet],
                kind=grant.kind,
                priority=grant.priority,
                expires_at=grant.expires_at,
                amount_minor=grant.amount_minor,
                available=grant.available,
                held=grant.held,
                is_known=True,
            )
            for grant in document.grants
        ],
        overage=document.overage,
    )
