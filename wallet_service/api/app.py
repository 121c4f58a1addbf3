"""The application: routes, limits, keys, errors and documentation put together."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute

from wallet_service.api.auth import provide_tenant, refuse_unnamed_routes, require_tenant
from wallet_service.api.boundary import RequestBoundary, report
from wallet_service.api.dependencies import provide_window
from wallet_service.api.document_urls import provide_urls
from wallet_service.api.documents import open_link
from wallet_service.api.error_table import refusal
from wallet_service.api.errors import ErrorBody
from wallet_service.api.health import HEALTH_ROUTES
from wallet_service.api.hot_routes import HotRoutes
from wallet_service.api.json_bodies import JsonBodies
from wallet_service.api.routes import API_ROUTES
from wallet_service.api.struct_schemas import StructSchemas
from wallet_service.observability import RequestMeasures, configure_logging
from wallet_service.services import Services, open_services
from wallet_service.settings import Settings, load_settings

API_PREFIX: Final = "/api/v1"

_ERRORS: Final = {
    400: "The request cannot be read.",
    401: "No key, or not a valid one.",
    402: "The customer cannot pay; nothing changed.",
    403: "The key has no scope for this.",
    404: "No such thing in this organization.",
    405: "What the thing has become forbids this.",
    413: "The body is too long.",
    415: "The body is compressed.",
    422: "Fields are wrong; each is named.",
    503: "Not now; the same request may succeed later.",
}


def create_app(
    settings: Settings,
    services: Services | None = None,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Litestar:
    """Make the application. Without `services` it opens its own when it starts, and closes them."""
    measures = RequestMeasures()
    state = State(
        {"services": services, "settings": settings, "clock": clock, "measures": measures}
    )
    app = Litestar(
        route_handlers=[
            *HEALTH_ROUTES,
            open_link,
            Router(
                API_PREFIX,
                route_handlers=API_ROUTES,
                guards=[require_tenant],
                dependencies={
                    "tenant": Provide(provide_tenant, sync_to_thread=False),
                    "window": Provide(provide_window, sync_to_thread=False),
                    "now": Provide(_provide_now, sync_to_thread=False),
                    "services": Provide(_provide_services, sync_to_thread=False),
                    "urls": Provide(provide_urls, sync_to_thread=False),
                },
                security=[{"api_key": []}],
            ),
        ],
        dto=JsonBodies,
        return_dto=None,
        state=state,
        lifespan=[] if services is not None else [_opening_services(settings)],
        on_shutdown=[measures.pass_on],
        exception_handlers={Exception: _answer_error},
        request_max_body_size=settings.batch_body_bytes_max,
        openapi_config=_documentation(),
        logging_config=None,
        plugins=[StructSchemas()],
    )
    refuse_unnamed_routes(app, prefix=API_PREFIX)
    _document_errors(app)
    boundary = RequestBoundary(app.asgi_handler, state=app.state, measures=measures)
    boundary.hot = HotRoutes.of(app)
    app.asgi_handler = boundary
    return app


def create_app_from_env() -> Litestar:
    """Make the application as the environment says; for uvicorn's `--factory`."""
    configure_logging(logging.INFO)
    return create_app(load_settings())


def _opening_services(
    settings: Settings,
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            yield

    return lifespan


def _provide_now(state: State) -> datetime:
    now: datetime = state.clock()
    return now


def _provide_services(state: State) -> Services:
    services: Services = state.services
    return services


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    answer = refusal(error)
    report(request.scope, error, answer)
    return Response(
        answer.body(),
        status_code=answer.status,
        media_type="application/json",
        headers={name.decode(): value.decode() for name, value in answer.headers},
    )


def _document_errors(app: Litestar) -> None:
    """Say of every route of the API what it may refuse."""
    specs = {
        status: ResponseSpec(ErrorBody, description=text, generate_examples=False)
        for status, text in _ERRORS.items()
    }
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith(API_PREFIX):
            for handler in route.route_handlers:
                handler.responses = {**specs, **(handler.responses or {})}


def _documentation() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Prepaid wallet",
        version="1",
        description="Prepaid wallets and real-time authorization; billing in Lago's shapes.",
        path="/schema",
        render_plugins=[
            JsonRenderPlugin(path="/openapi.json"),
            YamlRenderPlugin(path="/openapi.yml"),
        ],
        components=Components(
            security_schemes={"api_key": SecurityScheme(type="http", scheme="bearer")}
        ),
        use_handler_docstrings=True,
    )
