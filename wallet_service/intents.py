"""Intents: what an operation will write, kept with its key until its transfers are posted.

Only engines outside Postgres need them. Encoded as JSON, where numbers of 128 bits are hexadecimal
text: the same bytes give the same transfers, with the same ids, to whoever submits them again.
"""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from ledger.accounts import Account, AccountFlags
from ledger.transfers import Phase, Transfer
from wallet_service.decision.outcomes import Effect

__all__ = ["decode_intent", "encode_intent"]

_WIDE = frozenset(
    {"id", "debit_account_id", "credit_account_id", "amount", "pending_id", "user_data_128"}
)


class _Stored(Struct):
    effect: Effect
    transfers: list[dict[str, Any]]
    accounts: list[dict[str, Any]]


def _wide(row: Struct) -> dict[str, Any]:
    return {
        name: f"{value:x}" if name in _WIDE else value
        for name in row.__struct_fields__
        if (value := getattr(row, name))
    }


def _narrow(row: dict[str, Any]) -> dict[str, Any]:
    return {name: int(value, 16) if name in _WIDE else value for name, value in row.items()}


_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(_Stored, float_hook=Decimal)


def encode_intent(effect: Effect) -> bytes:
    """An effect as it is stored with its open operation."""
    bare = msgspec.structs.replace(effect, transfers=[], accounts=[])
    return _encoder.encode(
        _Stored(
            bare,
            [_wide(transfer) for transfer in effect.transfers],
            [_wide(account) for account in effect.accounts],
        )
    )


def decode_intent(stored: bytes) -> Effect:
    """The effect again, with the very same transfers."""
    intent = _decoder.decode(stored)
    effect = intent.effect
    for row in map(_narrow, intent.transfers):
        row["phase"] = Phase(row.get("phase", 0))
        effect.transfers.append(Transfer(**row))
    for row in map(_narrow, intent.accounts):
        row["flags"] = AccountFlags(row.get("flags", 0))
        effect.accounts.append(Account(**row))
    return effect
