"""What is asked, as templates: every request gets a key of its own, and some customer.

Placeholders are `{key}`, `{customer}` and, in the second request of a pair, `{id}`: what the first
was answered. Whoever drives fills them in: wrk in Lua, or our own client.
"""

import re

from msgspec import Struct, json

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
EXPIRES_IN_S = 7200
"""Nothing expires while it is measured."""
_ITEMS = [
    {"code": "llm_input_tokens", "properties": {"model": MODEL, "tokens": 374}},
    {"code": "llm_output_tokens", "properties": {"model": MODEL, "tokens": 500}},
]


def _text(body: object) -> str:
    return json.encode(body).decode()


def _authorization(**more: object) -> dict[str, object]:
    return {
        "authorization": {
            "external_customer_id": "{customer}",
            "transaction_id": "{key}",
            "expires_in": EXPIRES_IN_S,
            "items": _ITEMS,
            **more,
        }
    }


def bare() -> Shape:
    """The empty handler gets the body of an authorization."""
    return Shape(path="/bare", body=_text(_authorization()), customers=10_000)


def authorize(api_key: str, customers: int) -> Shape:
    """May this customer make a call of two items: what goes in, what comes out?"""
    return Shape(
        path=f"{BASE}/authorizations",
        body=_text(_authorization()),
        api_key=api_key,
        customers=customers,
    )
