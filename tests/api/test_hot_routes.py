import pytest

from wallet_service.api.hot_routes import HotRequest, HotRoutes


async def capture(_: HotRequest) -> bytes:
    return b""


async def void(_: HotRequest) -> bytes:
    return b""


async def authorize(_: HotRequest) -> bytes:
    return b""


@pytest.fixture(scope="module")
def routes() -> HotRoutes:
    routes = HotRoutes()
    routes.add(["POST"], "/authorizations", authorize, "authorizations")
    routes.add(["POST"], "/authorizations/{authorization_id}/capture", capture, "authorizations")
    routes.add(["POST"], "/authorizations/{authorization_id}/void", void, "authorizations")
    routes.add(["GET"], "/customers/{external_id}/wallets/{code}", void, "balances")
    return routes


@pytest.mark.parametrize(
    ("method", "path", "handler", "parameters"),
    [
        ("POST", "/authorizations", authorize, {}),
        ("POST", "/authorizations/", authorize, {}),
        ("POST", "//authorizations", authorize, {}),
        ("POST", "/authorizations/7/capture", capture, {"authorization_id": "7"}),
        ("POST", "/authorizations/7/void", void, {"authorization_id": "7"}),
        ("POST", "/authorizations/{}/void/", void, {"authorization_id": "{}"}),
        ("GET", "/customers/acme/wallets/main", void, {"external_id": "acme", "code": "main"}),
    ],
)
def test_a_hot_route_is_found_with_its_parameters(
    routes: HotRoutes, method: str, path: str, handler: object, parameters: dict[str, str]
) -> None:
    found = routes.find(method, path)
    assert found is not None
    assert (found[0].handler, found[1]) == (handler, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/authorizations"),
        ("POST", "/authorizations/7"),
        ("POST", "/authorizations/7/refund"),
        ("POST", "/authorizations//capture"),
        ("POST", "/authorizations/7/capture/now"),
        ("POST", "/"),
        ("POST", ""),
        ("GET", "/customers/acme/wallets"),
    ],
)
def test_everything_else_is_left_to_litestar(routes: HotRoutes, method: str, path: str) -> None:
    assert routes.find(method, path) is None


def test_a_route_knows_whether_it_reads(routes: HotRoutes) -> None:
    writing = routes.find("POST", "/authorizations")
    reading = routes.find("GET", "/customers/acme/wallets/main")
    assert writing is not None
    assert reading is not None
    assert (writing[0].reads, reading[0].reads) == (False, True)
