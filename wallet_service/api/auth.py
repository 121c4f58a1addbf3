"""Who asks, and whether they may: `Authorization: Bearer <key>`, and the scopes of the key.

Every route names the resource it is about (`opt={"resource": …}`), the method tells whether it
reads or writes. A route without a resource does not start, so none can be forgotten.
"""

from collections.abc import Iterable
from typing import Any, Final

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope

from wallet_service.api.errors import forbidden, unauthorized
from wallet_service.api_keys import RESOURCES, Holder, KeyRing

Tenant = Holder
"""The organization and the key behind a request."""

TENANT_KEY: Final = "wallet_tenant"
HOT: Final = "hot"
"""The key, in a route's `opt`, of the function that answers before Litestar; see `hot_routes`."""
_BEARER: Final = b"bearer "
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADER_LENGTH_MAX: Final = 512


async def authenticate(
    header: bytes | None, keys: KeyRing, *, resource: str, reads: bool
) -> Tenant:
    """The tenant behind a request; raises 401, or 403 where its key does not open the resource."""
    if (
        header is None
        or len(header) > _HEADER_LENGTH_MAX
        or header[: len(_BEARER)].lower() != _BEARER
    ):
        raise unauthorized()
    text = header[len(_BEARER) :].decode("latin-1").strip()
    tenant = await keys.find(text)
    if tenant is None:
        raise unauthorized()
    action = "read" if reads else "write"
    if not tenant.may(action, resource):
        raise forbidden(f"{action}_action_not_allowed_for_{resource}")
    return tenant


async def require_tenant(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Guard: let nobody in without a key for the route's resource."""
    if HOT in handler.opt:  # documented here, answered before Litestar, or not at all
        raise NotFoundException
    scope: Any = connection.scope
    header = next((value for name, value in scope["headers"] if name == b"authorization"), None)
    scope["state"][TENANT_KEY] = await authenticate(
        header,
        connection.app.state.services.keys,
        resource=handler.opt["resource"],
        reads=scope["method"] in _READS,
    )


def provide_tenant(scope: Scope) -> Tenant:
    """Dependency: the tenant that the guard let in."""
    tenant: Tenant = scope["state"][TENANT_KEY]
    return tenant


def refuse_unnamed_routes(app: Litestar, *, prefix: str) -> None:
    """Fail at start if a route of the API says no resource, or one that keys know nothing of."""
    for route in app.routes:
        if not route.path.startswith(prefix):
            continue
        for handler in _handlers(route):
            if handler.opt.get("resource") not in RESOURCES:
                message = f"{route.path}: opt={{'resource': …}} must name one of api_keys.RESOURCES"
                raise AssertionError(message)


def _handlers(route: Any) -> Iterable[BaseRouteHandler]:
    many: Iterable[BaseRouteHandler] | None = getattr(route, "route_handlers", None)
    return many if many is not None else (route.route_handler,)
