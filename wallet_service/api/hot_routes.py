"""The routes that must be fast, answered before Litestar looks at the request.

A hot handler is written as an ordinary Litestar route for the documentation, with the function that
does the work beside it:

    @post("/authorizations/{authorization_id:str}/capture", opt={"resource": …, HOT: capture})
    async def capture_authorization(authorization_id: str, data: JSONBody[CaptureRequest]) -> …:
        raise NotImplementedError  # answered by `capture`

The function gets a HotRequest and returns the body of a 200 as bytes; what it raises is answered by
`error_table`. It is behind the same keys, limits and measurements as every other route.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from litestar import Litestar
from litestar.types import HTTPScope, Receive

from wallet_service.api.auth import HOT, Tenant
from wallet_service.api.bodies import read_body

if TYPE_CHECKING:
    from wallet_service.services import Services


class HotRequest:
    """What a hot handler gets to see."""

    __slots__ = ("_receive", "headers", "now", "parameters", "scope", "services", "tenant")

    def __init__(
        self,
        scope: HTTPScope,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        services: "Services",
        tenant: Tenant,
        parameters: Mapping[str, str],
        now: datetime,
    ) -> None:
        self.scope = scope
        self.headers = headers
        """By their names in lower case."""
        self._receive = receive
        self.services = services
        self.tenant = tenant
        self.parameters = parameters
        self.now = now

    def body(self, *, bytes_max: int | None = None) -> Coroutine[Any, Any, bytes]:
        """The whole body; raises ApiError if it is longer, or compressed.

        Unless something else is said, it is as long as that of a single thing may be.
        """
        if bytes_max is None:
            bytes_max = self.services.settings.body_bytes_max
        return read_body(self.headers, self._receive, bytes_max=bytes_max)

    def header(self, name: bytes) -> str | None:
        """A header, by its name in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


HotHandler: TypeAlias = Callable[[HotRequest], Awaitable[bytes]]


class HotRoute:
    """One fast route."""

    __slots__ = ("handler", "reads", "resource", "template")

    def __init__(self, template: str, handler: HotHandler, *, resource: str, reads: bool) -> None:
        self.template = template
        self.handler = handler
        self.resource = resource
        self.reads = reads


class HotRoutes:
    """Finds the hot route of a request: one look-up if its path is fixed, else one a shape.

    The shape of a template is where its parameters stand; very few shapes have the same length.
    """

    __slots__ = ("_by_shape", "_fixed", "_shapes")

    def __init__(self) -> None:
        self._fixed: dict[tuple[str, str], HotRoute] = {}
        self._shapes: dict[tuple[str, int], list[tuple[int, ...]]] = {}
        self._by_shape: dict[tuple[str, str], tuple[tuple[str, ...], HotRoute]] = {}

    @classmethod
    def of(cls, app: Litestar) -> "HotRoutes":
        """Collect the hot routes of an app."""
        routes = cls()
        for route in app.routes:
            for handler in getattr(route, "route_handlers", ()):
                function = handler.opt.get(HOT)
                if function is not None:
                    routes.add(
                        handler.http_methods, route.path_format, function, handler.opt["resource"]
                    )
        return routes

    def add(
        self, methods: Iterable[str], template: str, handler: HotHandler, resource: str
    ) -> None:
        """Add a route; `template` names parameters in braces."""
        for method in methods:
            route = HotRoute(template, handler, resource=resource, reads=method == "GET")
            if "{" not in template:
                self._fixed[method, template] = route
                continue
            segments = template.split("/")
            shape = tuple(at for at, part in enumerate(segments) if part.startswith("{"))
            names = tuple(segments[at][1:-1].split(":")[0] for at in shape)
            shapes = self._shapes.setdefault((method, len(segments)), [])
            if shape not in shapes:
                shapes.append(shape)
            self._by_shape[method, _without(segments, shape)] = (names, route)

    def find(self, method: str, path: str) -> tuple[HotRoute, Mapping[str, str]] | None:
        """The route and its parameters, or None: then Litestar answers."""
        if path.endswith("/") or "//" in path:  # as Litestar reads it
            path = "/" + "/".join(part for part in path.split("/") if part)
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed, _NO_PARAMETERS
        segments = path.split("/")
        for shape in self._shapes.get((method, len(segments)), ()):
            found = self._by_shape.get((method, _without(segments, shape)))
            if found is not None:
                names, route = found
                return route, {name: segments[at] for name, at in zip(names, shape, strict=True)}
        return None


def _without(segments: list[str], shape: tuple[int, ...]) -> str:
    """A path with its parameters taken out."""
    kept = segments.copy()
    for at in shape:
        kept[at] = "{}"
    return "/".join(kept)


_NO_PARAMETERS: Final[Mapping[str, str]] = {}
