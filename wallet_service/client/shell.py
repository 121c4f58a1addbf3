"""What the two clients share beside the calls themselves: settings, headers, failures."""

import inspect
import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

import httpx
from msgspec import Struct

from .errors import Unavailable
from .requests import BASE_PATH, Request

__all__ = [
    "TRANSIENT",
    "Endpoint",
    "client_headers",
    "find_endpoint",
    "like",
    "unanswered",
]

TRANSIENT: Final = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
"""Failures after which the same request may be sent again."""

C = TypeVar("C", bound=Callable[..., Any])


class Endpoint(Struct, frozen=True):
    """Where the service is, and what opens it."""

    base_url: str
    api_key: str


def find_endpoint(url: str | None, api_key: str | None) -> Endpoint:
    """Fill in what was not given from WALLET_URL and WALLET_API_KEY."""
    url = url or os.environ.get("WALLET_URL")
    api_key = api_key or os.environ.get("WALLET_API_KEY")
    if not url or not api_key:
        missing = "url (or WALLET_URL)" if not url else "api_key (or WALLET_API_KEY)"
        message = f"{missing} is needed to speak to the wallet service"
        raise ValueError(message)
    return Endpoint(url.rstrip("/") + BASE_PATH, api_key)


def client_headers(endpoint: Endpoint) -> dict[str, str]:
    """The headers of every request."""
    return {
        "Authorization": f"Bearer {endpoint.api_key}",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }


def unanswered(request: Request[Any], error: httpx.TransportError) -> Unavailable:
    """Say that no answer came, as an error of ours."""
    return Unavailable(
        f"no answer to {request.method} {request.path}: {error or type(error).__name__}"
    )


def like(build: Callable[..., Any], method: C, *, knows: int = 0) -> C:
    """Give a method made from a request builder the builder's name, text and parameters.

    ``knows``: how many of the first parameters the method fills in itself.
    """
    method.__name__ = build.__name__
    method.__doc__ = build.__doc__
    parameters = list(inspect.signature(build).parameters.values())[knows:]
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = inspect.Signature([this, *parameters])
    return method
