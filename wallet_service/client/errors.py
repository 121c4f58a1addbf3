"""What a call can end with besides its result.

WalletError
├── PaymentRequired     402  the customer cannot pay, or a limit said no; nothing has changed
│   └── BudgetExceeded       a hard budget said no; it is named
├── BadRequest          400, 413, 415  the service could not read the request
├── Unauthorized        401  the API key is missing, wrong or revoked
├── Forbidden           403  the API key may not do this
├── NotFound            404  no such thing in this organization
├── NotAllowed          405  the thing exists, but its state forbids this
├── ValidationFailed    422  fields are wrong; error_details names them
├── TooManyRequests     429  a limit on requests, never on money
├── Unavailable         502, 503, 504, or no answer at all: the same call may succeed later
└── UnexpectedReply     anything else, which is a bug on one of the two sides
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import Struct

from .results import PassedBudget

__all__ = [
    "BadRequest",
    "BudgetExceeded",
    "Forbidden",
    "NotAllowed",
    "NotFound",
    "PaymentRequired",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UnexpectedReply",
    "ValidationFailed",
    "WalletError",
    "error_of",
]


class WalletError(Exception):
    """A call that did not succeed. ``code`` is stable and made for programs."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        error_details: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
        should_retry: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.error_details: Mapping[str, Any] = error_details or {}
        self.retry_after_s = retry_after_s
        self.should_retry = should_retry


class PaymentRequired(WalletError):
    """A refusal: ``code`` says why, such as ``insufficient_funds`` or ``budget_exceeded``."""

    @property
    def needed(self) -> Decimal | None:
        """What the call would have held or charged."""
        return self._decimal("needed")

    @property
    def available(self) -> Decimal | None:
        """What the wallets that may pay for it have left."""
        return self._decimal("available")

    @property
    def asset_code(self) -> str | None:
        """What both are counted in."""
        code = self.error_details.get("asset_code")
        return code if isinstance(code, str) else None

    def _decimal(self, name: str) -> Decimal | None:
        try:
            return Decimal(str(self.error_details[name]))
        except (KeyError, InvalidOperation):
            return None


class BudgetExceeded(PaymentRequired):
    """A hard budget would be passed. Its wallet may well have the money."""

    @property
    def budget(self) -> PassedBudget:
        """Which one, and where it stands."""
        return msgspec.convert(self.error_details["budget"], PassedBudget)


class BadRequest(WalletError):
    """The service could not read the request, or it is too large."""


class Unauthorized(WalletError):
    """The API key is missing, wrong or revoked."""


class Forbidden(WalletError):
    """The API key may not do this."""


class NotFound(WalletError):
    """No such thing in this organization; ``code`` says what was looked for."""


class NotAllowed(WalletError):
    """The thing exists, but its state forbids this, such as ``already_captured``."""


class ValidationFailed(WalletError):
    """Fields are wrong; ``error_details`` has a list of codes for each."""


class TooManyRequests(WalletError):
    """A limit on requests. Missing money is never said this way."""


class Unavailable(WalletError):
    """No answer in time, or "not now": after all retries, or where a retry would not help.

    Whether the call took effect is not known: repeat it with the same transaction_id.
    """


class UnexpectedReply(WalletError):
    """An answer that makes no sense here."""


_ERRORS: Final[Mapping[int, type[WalletError]]] = {
    HTTPStatus.BAD_REQUEST: BadRequest,
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.PAYMENT_REQUIRED: PaymentRequired,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.METHOD_NOT_ALLOWED: NotAllowed,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: BadRequest,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: BadRequest,
    HTTPStatus.UNPROCESSABLE_ENTITY: ValidationFailed,
    HTTPStatus.TOO_MANY_REQUESTS: TooManyRequests,
    HTTPStatus.BAD_GATEWAY: Unavailable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable,
    HTTPStatus.GATEWAY_TIMEOUT: Unavailable,
}


class _Body(Struct):
    """An error as the service writes it; a proxy in between may write anything."""

    error: str | None = None
    code: str | None = None
    error_details: dict[str, Any] | None = None
    message: str | None = None


_decode = msgspec.json.Decoder(_Body).decode


def error_of(status: int, headers: Mapping[str, str], content: bytes) -> WalletError:
    """Return the error that a reply other than 200 stands for; header names are lower case."""
    try:
        body = _decode(content)
    except msgspec.DecodeError:
        body = _Body()
    kind = _ERRORS.get(status, UnexpectedReply)
    if kind is PaymentRequired and _names_budget(body):
        kind = BudgetExceeded
    parts = [str(status), body.error or kind.__name__, body.code]
    message = " ".join(part for part in parts if part)
    if body.error_details:
        message += " " + msgspec.json.encode(body.error_details).decode()
    if body.message:
        message += f": {body.message}"
    return kind(
        message,
        status=status,
        code=body.code,
        error_details=body.error_details,
        retry_after_s=_retry_after_s(headers.get("retry-after")),
        should_retry=headers.get("x-should-retry", "").lower() != "false",
    )


def _names_budget(body: _Body) -> bool:
    """Whether a refusal says which budget it is of, in a way that this version understands."""
    try:
        msgspec.convert((body.error_details or {}).get("budget"), PassedBudget)
    except msgspec.ValidationError:
        return False
    return body.code == "budget_exceeded"


def _retry_after_s(text: str | None) -> float | None:
    """Read Retry-After: seconds, or a time."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())
