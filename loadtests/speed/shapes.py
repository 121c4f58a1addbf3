"""What is asked, as templates: every request gets a key of its own, and some customer.

Placeholders are `{key}`, `{customer}` and, in the second request of a pair, `{id}`: what the first
was answered. Whoever drives fills them in: wrk in Lua, or our own client.
"""

import re

from msgspec import Struct, json, structs

CUSTOMER_DIGITS = 7
PLACEHOLDERS = ("{key}", "{customer}", "{id}")
_SPLIT = re.compile("(" + "|".join(re.escape(one) for one in PLACEHOLDERS) + ")")


class Shape(Struct, frozen=True, kw_only=True):
    """One kind of request."""

    method: str = "POST"
    path: str
    body: str = ""
    api_key: str = ""
    customers: int = 1
    """`{customer}` is one of so many, by chance."""
    then: "Shape | None" = None
    """What is asked next, with the `{id}` of the answer."""

    @property
    def head(self) -> str:
        """Headers as they are sent, without those of the length and of the path."""
        lines = {
            "Host": "127.0.0.1",
            **({"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}),
            **({"Content-Type": "application/json"} if self.body else {}),
        }
        return "".join(f"{name}: {text}\r\n" for name, text in lines.items())


def parts(template: str) -> list[str]:
    """A template cut at its placeholders, which stay as they are."""
    return [part for part in _SPLIT.split(template) if part]


def customer_name(number: int) -> str:
    """The external id of a seeded customer, counted from 0."""
    return f"c{number:0{CUSTOMER_DIGITS}}"


# -- the service's requests ------------------------------------------------------------------------

BASE = "/api/v1"
MODEL = "gpt-4o"
CODES = ("llm_input_tokens", "llm_output_tokens")
EXPIRES_IN_S = 7200
"""Nothing expires while it is measured."""
_ITEMS = [
    {"code": CODES[0], "properties": {"model": MODEL, "tokens": 374}},
    {"code": CODES[1], "properties": {"model": MODEL, "tokens": 500}},
]
_EVENT = {
    "transaction_id": "{key}",
    "external_customer_id": "{customer}",
    "code": CODES[1],
    "properties": {"model": MODEL, "tokens": 500},
}


def bare() -> Shape:
    """The empty handler gets the body of an authorization."""
    return Shape(path="/bare", body=_text(_authorization()), customers=10_000)


def authorize(api_key: str, customers: int) -> Shape:
    """May this customer make a call of two items: what goes in, and what comes out?"""
    return _ask(api_key, customers, "/authorizations", _authorization())


def authorize_amount(api_key: str, customers: int) -> Shape:
    """The same where the caller has priced it."""
    body = _authorization(amount="0.005935", asset_code="USD")
    del body["authorization"]["items"]
    return _ask(api_key, customers, "/authorizations", body)


def pair(api_key: str, customers: int) -> Shape:
    """Authorize, then capture what was used: the same two items."""
    capture = Shape(
        path=f"{BASE}/authorizations/{{id}}/capture",
        body=_text({"capture": {"transaction_id": "{key}", "items": _ITEMS}}),
        api_key=api_key,
    )
    return structs.replace(authorize(api_key, customers), then=capture)


def estimate(api_key: str, customers: int) -> Shape:
    return _ask(api_key, customers, "/authorizations/estimate", _question())


def check(api_key: str, customers: int) -> Shape:
    return _ask(api_key, customers, "/authorizations/check", _question())


def balances(api_key: str, customers: int) -> Shape:
    path = f"{BASE}/customers/{{customer}}/balances"
    return Shape(method="GET", path=path, api_key=api_key, customers=customers)


def event(api_key: str, customers: int) -> Shape:
    """One event of output tokens."""
    return _ask(api_key, customers, "/events", {"event": _EVENT})


def batch(api_key: str, customers: int, *, size: int) -> Shape:
    """Many events at once, each of some customer."""
    return _ask(api_key, customers, "/events/batch", {"events": [_EVENT] * size})


def _ask(api_key: str, customers: int, path: str, body: object) -> Shape:
    return Shape(path=BASE + path, body=_text(body), api_key=api_key, customers=customers)


def _authorization(**more: object) -> dict[str, dict[str, object]]:
    return {
        "authorization": {
            "external_customer_id": "{customer}",
            "transaction_id": "{key}",
            "expires_in": EXPIRES_IN_S,
            "items": _ITEMS,
            **more,
        }
    }


def _question() -> object:
    return {"authorization": {"external_customer_id": "{customer}", "items": _ITEMS}}


def _text(body: object) -> str:
    return json.encode(body).decode()
