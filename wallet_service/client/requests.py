"""Every call as a value: what to send, and how to read the answer. Nothing here touches a network.

The clients differ only in how they wait; a third one, of any kind, needs no more than `Request`
and `read`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from .bodies import amount_of, event_body, known, used
from .errors import UnexpectedReply, error_of
from .inputs import Amount, Event, Item, ProviderUsage, new_key
from .results import (
    Authorization,
    AuthorizationPage,
    Balance,
    Customer,
    CustomerWallet,
    DebitedEvent,
    Estimate,
    Subscription,
    WalletTransaction,
)

__all__ = [
    "BASE_PATH",
    "Request",
    "authorization",
    "authorizations",
    "authorize",
    "balances",
    "capture",
    "check",
    "create_customer",
    "create_subscription",
    "create_wallet",
    "debit",
    "debit_many",
    "estimate",
    "extend",
    "grant",
    "read",
    "refund",
    "reverse",
    "settle",
    "top_up",
    "void",
]

BASE_PATH: Final = "/api/v1"

T = TypeVar("T")
_OK: Final = 200


class Request(Struct, Generic[T], frozen=True):
    """One call: may be sent again as it is, since its key is in the body.

    ``path`` is below `BASE_PATH`, quoted, with its query.
    """

    method: str
    path: str
    decode: Callable[[bytes], T]
    body: bytes | None = None


def read(request: Request[T], status: int, headers: Mapping[str, str], content: bytes) -> T:
    """Return what a reply says, or raise it as a WalletError. Header names are lower case."""
    if status != _OK:
        raise error_of(status, headers, content)
    try:
        return request.decode(content)
    except msgspec.DecodeError as error:
        message = f"cannot read the reply to {request.method} {request.path}: {error}"
        raise UnexpectedReply(message, status=status) from error


# --- holds


def authorize(  # noqa: PLR0913 (what a caller may say, each by its name)
    *,
    customer: str,
    items: Sequence[Item] | None = None,
    usage: ProviderUsage | None = None,
    amount: Amount | None = None,
    asset: str | None = None,
    subscription: str | None = None,
    features: Sequence[str] | None = None,
    expires_in: int | None = None,
    partial: bool = False,
    transaction_id: str | None = None,
) -> Request[Authorization]:
    """Set aside what ``items`` may cost, or an ``amount`` of an ``asset``, for so many seconds.

    ``usage`` in place of items is what a provider reports. ``features`` are those that the
    subscription must have, whatever the items need. ``partial`` takes what there is where that is
    less.
    """
    body = used(items, usage, amount) | _of(customer, subscription, asset, features)
    body |= {
        "transaction_id": transaction_id or new_key(),
        "expires_in": expires_in,
        "partial": partial or None,
    }
    return _post("/authorizations", _authorization, authorization=known(body))


def capture(
    authorization_id: str,
    *,
    items: Sequence[Item] | None = None,
    usage: ProviderUsage | None = None,
    amount: Amount | None = None,
    final: bool = True,
    transaction_id: str | None = None,
) -> Request[Authorization]:
    """Settle a hold with what was really used.

    A final capture gives the rest back, and repeats by the hold's own id. Others go on holding.
    """
    body = used(items, usage, amount) | {
        "final": final,
        "transaction_id": transaction_id or (None if final else new_key()),
    }
    return _post(_hold_path(authorization_id, "capture"), _authorization, capture=known(body))


def extend(
    authorization_id: str,
    *,
    items: Sequence[Item] | None = None,
    usage: ProviderUsage | None = None,
    amount: Amount | None = None,
    expires_in: int | None = None,
    transaction_id: str | None = None,
) -> Request[Authorization]:
    """Hold more, hold longer (so many seconds from now), or both."""
    body = used(items, usage, amount) | {
        "expires_in": expires_in,
        "transaction_id": transaction_id or new_key(),
    }
    return _post(_hold_path(authorization_id, "extend"), _authorization, extend=known(body))


def void(authorization_id: str) -> Request[Authorization]:
    """End a hold and give back what was not captured."""
    return Request("POST", _hold_path(authorization_id, "void"), _authorization)


def refund(
    authorization_id: str, *, amount: Amount | None = None, transaction_id: str | None = None
) -> Request[Authorization]:
    """Give back what was captured, all or an amount of it, to the grants that paid."""
    body = {"amount": amount_of(amount), "transaction_id": transaction_id or new_key()}
    return _post(_hold_path(authorization_id, "refund"), _authorization, refund=known(body))


def authorization(authorization_id: str) -> Request[Authorization]:
    """Read where a hold stands."""
    return Request("GET", _hold_path(authorization_id), _authorization)


def authorizations(
    *,
    customer: str | None = None,
    status: str | None = None,
    transaction_id: str | None = None,
    page: int = 1,
    per_page: int = 100,
) -> Request[AuthorizationPage]:
    """Read one page of authorizations, newest first."""
    query = {
        "external_customer_id": customer,
        "status": status,
        "transaction_id": transaction_id,
        "page": page,
        "per_page": per_page,
    }
    return Request("GET", f"/authorizations?{urlencode(known(query))}", _authorization_page)


def estimate(
    *,
    customer: str,
    items: Sequence[Item] | None = None,
    usage: ProviderUsage | None = None,
    amount: Amount | None = None,
    asset: str | None = None,
    subscription: str | None = None,
    features: Sequence[str] | None = None,
) -> Request[Estimate]:
    """Ask what a call would cost and whether it would be approved; nothing is set aside."""
    body = used(items, usage, amount) | _of(customer, subscription, asset, features)
    return _post("/authorizations/estimate", _estimate, authorization=known(body))


def check(
    *,
    customer: str,
    items: Sequence[Item] | None = None,
    usage: ProviderUsage | None = None,
    amount: Amount | None = None,
    asset: str | None = None,
    subscription: str | None = None,
    features: Sequence[str] | None = None,
) -> Request[Estimate]:
    """Like `estimate`, as fast as can be: from the balances last published, so not binding."""
    body = used(items, usage, amount) | _of(customer, subscription, asset, features)
    return _post("/authorizations/check", _estimate, authorization=known(body))


def _of(
    customer: str, subscription: str | None, asset: str | None, features: Sequence[str] | None
) -> dict[str, Any]:
    """Who is asked for, and in what."""
    return {
        "external_customer_id": customer,
        "external_subscription_id": subscription,
        "asset_code": asset,
        "features": features,
    }


# --- events


def debit(event: Event) -> Request[DebitedEvent]:
    """Charge usage at once, without a hold."""
    return _post("/events", _event, event=event_body(event))


def debit_many(batch: Sequence[Event]) -> Request[tuple[DebitedEvent, ...]]:
    """Charge many events at once. One invalid event refuses all, by its place in the batch.

    Look for ``rejected`` among the results if wallets may refuse a shortfall.
    """
    return _post("/events/batch", _events, events=[event_body(event) for event in batch])


def reverse(
    event_transaction_id: str,
    *,
    amount: Amount | None = None,
    subscription: str | None = None,
    transaction_id: str | None = None,
) -> Request[DebitedEvent]:
    """Take back what an event was charged, all or an amount of it."""
    body = {
        "amount": amount_of(amount),
        "external_subscription_id": subscription,
        "transaction_id": transaction_id or new_key(),
    }
    path = f"/events/{quote(event_transaction_id, safe='')}/reverse"
    return _post(path, _event, reverse=known(body))


# --- customers and their money


def create_customer(
    external_id: str, *, name: str | None = None, currency: str | None = None
) -> Request[Customer]:
    """Create a customer, or change the one that has this external id."""
    body = {"external_id": external_id, "name": name, "currency": currency}
    return _post("/customers", _customer, customer=known(body))


def create_subscription(external_id: str, *, customer: str, plan: str) -> Request[Subscription]:
    """Let a plan, by its code, price what a customer uses from now on."""
    body = {"external_id": external_id, "external_customer_id": customer, "plan_code": plan}
    return _post("/subscriptions", _subscription, subscription=body)


def create_wallet(
    *,
    customer: str,
    asset: str,
    rate_amount: Amount = 1,
    granted_credits: Amount | None = None,
    paid_credits: Amount | None = None,
    name: str | None = None,
    transaction_id: str | None = None,
    **terms: Any,
) -> Request[CustomerWallet]:
    """Open a wallet. Granted credits are there at once, paid ones when their payment is settled.

    ``terms`` are the other fields of a wallet by their names in the API, such as ``priority``.
    """
    body = {
        **terms,
        "external_customer_id": customer,
        "asset_code": asset,
        "rate_amount": amount_of(rate_amount),
        "granted_credits": amount_of(granted_credits),
        "paid_credits": amount_of(paid_credits),
        "name": name,
        "transaction_id": transaction_id or new_key(),
    }
    return _post("/wallets", _wallet, wallet=known(body))


def top_up(
    wallet_id: str,
    credit_amount: Amount,
    *,
    name: str | None = None,
    transaction_id: str | None = None,
) -> Request[tuple[WalletTransaction, ...]]:
    """Buy credits; they can be spent when their payment is settled."""
    body = {"wallet_id": wallet_id, "paid_credits": amount_of(credit_amount), "name": name}
    return _move_credits(body, transaction_id)


def grant(
    wallet_id: str,
    credit_amount: Amount,
    *,
    name: str | None = None,
    transaction_id: str | None = None,
) -> Request[tuple[WalletTransaction, ...]]:
    """Give credits for nothing; they can be spent at once."""
    body = {"wallet_id": wallet_id, "granted_credits": amount_of(credit_amount), "name": name}
    return _move_credits(body, transaction_id)


def _move_credits(
    body: Mapping[str, Any], transaction_id: str | None
) -> Request[tuple[WalletTransaction, ...]]:
    movement = known(body) | {"transaction_id": transaction_id or new_key()}
    return _post("/wallet_transactions", _wallet_transactions, wallet_transaction=movement)


def settle(wallet_transaction_id: str) -> Request[WalletTransaction]:
    """Say that the payment of bought credits has arrived."""
    path = f"/wallet_transactions/{quote(wallet_transaction_id, safe='')}/settle"
    return Request("POST", path, _wallet_transaction)


def balances(customer: str, *, source: str | None = None) -> Request[tuple[Balance, ...]]:
    """Read what a customer has, by asset; ``source="ledger"`` asks the book itself."""
    path = f"/customers/{quote(customer, safe='')}/balances"
    return Request("GET", path + (f"?source={quote(source)}" if source else ""), _balances)


# --- envelopes


def _post(path: str, decode: Callable[[bytes], T], **body: Any) -> Request[T]:
    """Make a request of a body in its envelope."""
    return Request("POST", path, decode, msgspec.json.encode(body))


def _hold_path(authorization_id: str, action: str = "") -> str:
    path = f"/authorizations/{quote(authorization_id, safe='')}"
    return f"{path}/{action}" if action else path


def _within(root: str, kind: type[T]) -> Callable[[bytes], T]:
    """Read what stands under one root, and ignore what stands beside it."""
    envelope = msgspec.defstruct("Envelope", [(root, kind)])
    decoder = msgspec.json.Decoder(envelope)
    return lambda content: getattr(decoder.decode(content), root)


_authorization: Final = _within("authorization", Authorization)
_authorization_page: Final = msgspec.json.Decoder(AuthorizationPage).decode
_estimate: Final = _within("estimate", Estimate)
_event: Final = _within("event", DebitedEvent)
_events: Final = _within("events", tuple[DebitedEvent, ...])
_customer: Final = _within("customer", Customer)
_subscription: Final = _within("subscription", Subscription)
_wallet: Final = _within("wallet", CustomerWallet)
_wallet_transaction: Final = _within("wallet_transaction", WalletTransaction)
_wallet_transactions: Final = _within("wallet_transactions", tuple[WalletTransaction, ...])
_balances: Final = _within("balances", tuple[Balance, ...])
