"""`/authorizations`: may this customer spend this? The hot routes, and their documentation."""

from typing import Any, TypeVar
from uuid import UUID

from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from wallet_service.api.bodies import BodyDecoder
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.errors import field_error
from wallet_service.api.hot_routes import HOT, HotRequest
from wallet_service.api.idempotency import IdempotencyKey, keyed
from wallet_service.api.pagination import Meta, meta
from wallet_service.api.schemas.formats import ExternalId, Word
from wallet_service.authorization_requests import (
    AuthorizationRequest,
    CaptureRequest,
    EstimateReply,
    ExtendRequest,
    QuoteRequest,
    RefundRequest,
)
from wallet_service.authorizations import AuthorizationFilter
from wallet_service.errors import NotFound
from wallet_service.replies import AuthorizationBody, AuthorizationReply, encode
from wallet_service.texts import read_uuid

_Request = TypeVar("_Request", bound=Struct)

_STATUSES = frozenset({"held", "captured", "voided", "expired"})


class AuthorizationEnvelope(Struct, forbid_unknown_fields=True):
    """`{"authorization": …}`."""

    authorization: AuthorizationRequest


class QuoteEnvelope(Struct, forbid_unknown_fields=True):
    """`{"authorization": …}` without what only a hold needs."""

    authorization: QuoteRequest


class CaptureEnvelope(Struct, forbid_unknown_fields=True):
    """`{"capture": …}`."""

    capture: CaptureRequest


class ExtendEnvelope(Struct, forbid_unknown_fields=True):
    """`{"extend": …}`."""

    extend: ExtendRequest


class NoFields(Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to say."""


class VoidEnvelope(Struct, forbid_unknown_fields=True):
    """`{"void": {}}`, which may as well be left out."""

    void: NoFields = NoFields()


class RefundEnvelope(Struct, forbid_unknown_fields=True):
    """`{"refund": …}`."""

    refund: RefundRequest


class AuthorizationsReply(Struct):
    """A page of authorizations."""

    authorizations: list[AuthorizationBody]
    meta: Meta


_authorization = BodyDecoder(AuthorizationEnvelope, lax=False)
_quote = BodyDecoder(QuoteEnvelope, lax=False)
_capture = BodyDecoder(CaptureEnvelope, lax=False)
_extend = BodyDecoder(ExtendEnvelope, lax=False)
_refund = BodyDecoder(RefundEnvelope, lax=False)
_void = BodyDecoder(VoidEnvelope, lax=False)


def _keyed(request: HotRequest, given: _Request) -> _Request:
    return keyed(given, request.header(b"idempotency-key"))


def authorization_id(request: HotRequest) -> UUID:
    """The id in the path; one that cannot be an id belongs to nothing. Raises NotFound."""
    try:
        return read_uuid(request.parameters["authorization_id"])
    except ValueError:
        raise NotFound("authorization") from None


async def authorize(request: HotRequest) -> bytes:
    """Hold what the items may cost."""
    given = _authorization.decode(await request.body()).authorization
    return await request.services.authorizations.authorize(
        request.tenant.organization_id,
        _keyed(request, given),
        now=request.now,
        api_key_id=request.tenant.api_key_id,
    )


async def estimate(request: HotRequest) -> bytes:
    """Price it, and say whether it would pass."""
    given = _quote.decode(await request.body()).authorization
    return encode(
        await request.services.authorizations.estimate(
            request.tenant.organization_id,
            given,
            now=request.now,
            api_key_id=request.tenant.api_key_id,
        )
    )


async def check(request: HotRequest) -> bytes:
    """The same from the hot balances alone."""
    given = _quote.decode(await request.body()).authorization
    return encode(
        await request.services.authorizations.check(
            request.tenant.organization_id, given, now=request.now
        )
    )


async def capture(request: HotRequest) -> bytes:
    """Settle a hold."""
    hold = authorization_id(request)
    given = _capture.decode(await request.body()).capture
    return await request.services.authorizations.capture(
        request.tenant.organization_id, hold, _keyed(request, given), now=request.now
    )


async def extend(request: HotRequest) -> bytes:
    """Hold more, or longer."""
    hold = authorization_id(request)
    given = _extend.decode(await request.body()).extend
    return await request.services.authorizations.extend(
        request.tenant.organization_id, hold, _keyed(request, given), now=request.now
    )


async def void(request: HotRequest) -> bytes:
    """Give a hold back."""
    hold = authorization_id(request)
    body = await request.body()
    if body:
        _void.decode(body)
    return await request.services.authorizations.void(
        request.tenant.organization_id, hold, now=request.now
    )


async def refund(request: HotRequest) -> bytes:
    """Give captured money back."""
    hold = authorization_id(request)
    given = _refund.decode(await request.body()).refund
    return await request.services.authorizations.refund(
        request.tenant.organization_id, hold, _keyed(request, given), now=request.now
    )


class Authorizations(Controller):
    """Funds set aside before a call, and settled with what was really used."""

    path = "/authorizations"
    tags = ("authorizations",)
    opt = {"resource": "authorizations"}  # noqa: RUF012

    @post("/", status_code=200, summary="Authorize", opt={HOT: authorize})
    async def authorize(
        self, data: JSONBody[AuthorizationEnvelope], idempotency_key: IdempotencyKey = None
    ) -> AuthorizationReply:
        """Say whether this customer may spend this.

        200 holds the funds; 402 says what was needed and what there is. `transaction_id` (or the
        header `Idempotency-Key`) makes a repeat safe: the first answer is given again.
        """
        raise AssertionError("answered by the hot route")

    @post("/estimate", status_code=200, summary="Estimate", opt={HOT: estimate})
    async def estimate(self, data: JSONBody[QuoteEnvelope]) -> EstimateReply:
        """What it would cost and whether it would pass, from the ledger. Holds nothing."""
        raise AssertionError("answered by the hot route")

    @post("/check", status_code=200, summary="Check", opt={HOT: check})
    async def check(self, data: JSONBody[QuoteEnvelope]) -> EstimateReply:
        """Say whether this would be approved now.

        From the hot balances alone: one read, no hold, not binding.
        """
        raise AssertionError("answered by the hot route")

    @post("/{authorization_id:str}/capture", status_code=200, summary="Capture", opt={HOT: capture})
    async def capture(
        self,
        authorization_id: FromPath[str],
        data: JSONBody[CaptureEnvelope],
        idempotency_key: IdempotencyKey = None,
    ) -> AuthorizationReply:
        """Settle with actual usage: items or an amount, less or more than was held.

        `final: false` keeps the rest.
        """
        raise AssertionError("answered by the hot route")

    @post("/{authorization_id:str}/extend", status_code=200, summary="Extend", opt={HOT: extend})
    async def extend(
        self,
        authorization_id: FromPath[str],
        data: JSONBody[ExtendEnvelope],
        idempotency_key: IdempotencyKey = None,
    ) -> AuthorizationReply:
        """Hold more (items or an amount), hold longer (`expires_in`), or both."""
        raise AssertionError("answered by the hot route")

    @post("/{authorization_id:str}/void", status_code=200, summary="Void", opt={HOT: void})
    async def void(self, authorization_id: FromPath[str]) -> AuthorizationReply:
        """Give everything back that was not captured."""
        raise AssertionError("answered by the hot route")

    @post("/{authorization_id:str}/refund", status_code=200, summary="Refund", opt={HOT: refund})
    async def refund(
        self,
        authorization_id: FromPath[str],
        data: JSONBody[RefundEnvelope],
        idempotency_key: IdempotencyKey = None,
    ) -> AuthorizationReply:
        """Give captured money back to the grants that paid; all of it without an amount."""
        raise AssertionError("answered by the hot route")

    @get("/", summary="List authorizations")
    async def list(
        self,
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        external_customer_id: FromQuery[ExternalId | None] = None,
        transaction_id: FromQuery[ExternalId | None] = None,
        status: FromQuery[Word | None] = None,
    ) -> AuthorizationsReply:
        """All authorizations, newest first. The count stops at 100,000."""
        if status is not None and status not in _STATUSES:
            raise field_error("status", "value_is_invalid")
        wanted = AuthorizationFilter(
            external_customer_id=external_customer_id, transaction_id=transaction_id, status=status
        )
        page = await services.authorizations.find_all(
            tenant.organization_id, wanted, window=window, now=now
        )
        return AuthorizationsReply(list_of(page.items), meta(page, window))

    @get("/{authorization_id:str}", summary="Find an authorization")
    async def find(
        self, authorization_id: FromPath[str], tenant: Tenant, services: Services, now: Now
    ) -> AuthorizationReply:
        """One authorization, as it stands."""
        try:
            hold = read_uuid(authorization_id)
        except ValueError:
            raise NotFound("authorization") from None
        return AuthorizationReply(
            await services.authorizations.get(tenant.organization_id, hold, now=now)
        )


def list_of(items: Any) -> list[AuthorizationBody]:
    """A page's items as a list."""
    return [*items]
