"""Whatever is wrong with a request to a hot route: it is told so by field, and nothing moves.

What replayed keys and other organizations' ids are answered stands in the tests of each resource
and in the matrix of isolation.
"""

import json
import time
import zlib
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec import Struct

from tests.api.conftest import KEY_CACHE_S, NewShop, Service
from tests.api.market import Json, Shop, standard

GIANT = "9" * 4000


class Desk(Struct, frozen=True):
    """A shop, a customer of it who has ten dollars, and what was set up for it."""

    shop: Shop
    customer: str
    paths: dict[str, str]
    bodies: dict[str, Json]


@pytest.fixture(scope="module")
async def desk(new_shop: NewShop) -> Desk:
    shop = await new_shop("bad input")
    shop.plan("plan", standard(shop.metric("tokens", field="n"), "0.5"))
    acme = shop.customer("plan", granted_credits="10")
    amount = shop.held(acme, amount="1", asset_code="USD", expires_in=3600)
    items = shop.held(acme, code="tokens", properties={"n": 2}, expires_in=3600)
    captured = shop.held(acme, amount="1", asset_code="USD", expires_in=3600)
    shop.done(captured, "capture", amount="1")
    event = shop.charged(external_customer_id=acme, code="tokens", properties={"n": 1})
    for other in (amount, items):
        other["path"] = f"/authorizations/{other['id']}"
    used = [{"code": "tokens", "properties": {"n": 1}}]
    who = {"external_customer_id": acme}
    paths = {
        "authorize": "/authorizations",
        "estimate": "/authorizations/estimate",
        "check": "/authorizations/check",
        "capture": f"{amount['path']}/capture",
        "extend": f"{amount['path']}/extend",
        "void": f"{amount['path']}/void",
        "refund": f"/authorizations/{captured['id']}/refund",
        "event": "/events",
        "batch": "/events/batch",
        "reverse": f"/events/{event['transaction_id']}/reverse",
        "authorize items": "/authorizations",
        "estimate items": "/authorizations/estimate",
        "check items": "/authorizations/check",
        "capture items": f"{items['path']}/capture",
        "extend items": f"{items['path']}/extend",
    }
    money = {"amount": "1", "asset_code": "USD"}
    key = {"transaction_id": "bad input"}
    bodies: dict[str, Json] = {
        "authorize": {"authorization": {**who, **key, **money}},
        "estimate": {"authorization": {**who, **money}},
        "check": {"authorization": {**who, **money}},
        "capture": {"capture": {**key, "amount": "1"}},
        "extend": {"extend": {**key, "amount": "1"}},
        "void": {"void": {}},
        "refund": {"refund": {**key, "amount": "1"}},
        "event": {"event": {**who, **key, **used[0]}},
        "batch": {"events": [{**who, **key, **used[0]}]},
        "reverse": {"reverse": {**key, "amount": "0.5"}},
        "authorize items": {"authorization": {**who, **key, "items": used}},
        "estimate items": {"authorization": {**who, "items": used}},
        "check items": {"authorization": {**who, "items": used}},
        "capture items": {"capture": {**key, "items": used}},
        "extend items": {"extend": {**key, "items": used}},
    }
    return Desk(shop, acme, paths, bodies)


ROUTES = (
    *("authorize", "estimate", "check", "capture", "extend", "void", "refund"),
    *("event", "batch", "reverse"),
)
OF_AMOUNTS = ("authorize", "estimate", "check", "capture", "extend", "refund", "reverse")
OF_ITEMS = tuple(
    f"{route} items" for route in ("authorize", "estimate", "check", "capture", "extend")
)
OURS = tuple(route for route in ROUTES if route not in {"event", "batch"}) + OF_ITEMS


@pytest.fixture
async def nothing_moves(desk: Desk, service: Service) -> Any:
    """Afterwards every balance and the whole book are as they were."""
    queries = [
        "select count(*), coalesce(max(timestamp), 0) from ledger.transfers",
        "select count(*) from wallet.authorizations",
        "select count(*) from invoicing.events",
    ]
    connection = await asyncpg.connect(service.dsn)
    before = [tuple(await connection.fetchrow(query)) for query in queries]
    balances = desk.shop.balances(desk.customer), desk.shop.balances(desk.customer, source="ledger")
    yield
    after = [tuple(await connection.fetchrow(query)) for query in queries]
    await connection.close()
    assert after == before
    assert balances == (
        desk.shop.balances(desk.customer),
        desk.shop.balances(desk.customer, source="ledger"),
    )


def told(
    desk: Desk, route: str, content: bytes, headers: dict[str, str] | None = None
) -> tuple[int, list[str]]:
    """Status and fields of a refusal, which has the shape of all refusals."""
    return fields_of(desk.shop.api.post(desk.paths[route], content=content, headers=headers))


def fields_of(answer: httpx.Response) -> tuple[int, list[str]]:
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert (
        body["status"],
        set(body) - {"status", "error", "code", "error_details", "message"},
    ) == (
        answer.status_code,
        set(),
    ), answer.text
    assert 400 <= answer.status_code < 500, answer.text
    assert len(answer.content) < 2000
    if answer.status_code != 422:
        return answer.status_code, []
    details: dict[str, Any] = body["error_details"]
    fields: list[str] = []
    for name, codes in details.items():
        if isinstance(codes, dict):  # an event of a batch
            fields += [f"{name}.{field}" for field in codes]
        else:
            fields.append(name)
            assert all(isinstance(code, str) for code in codes)
    return 422, fields


def changed(body: Json, **fields: Any) -> bytes:
    """The body with fields of its inner object replaced by raw JSON."""
    ((envelope, inner),) = body.items()
    is_batch = isinstance(inner, list)
    inner = inner[0] if is_batch else inner
    texts = {name: json.dumps(value) for name, value in inner.items()} | fields
    fields_text = ",".join(f"{json.dumps(name)}:{value}" for name, value in texts.items())
    text = f"{{{fields_text}}}"
    return f'{{"{envelope}":{f"[{text}]" if is_batch else text}}}'.encode()


def place(route: str, field: str) -> str:
    return f"0.{field}" if route == "batch" else field


BAD_AMOUNTS = [
    *('"-1"', '"-0.5"', '"+1"', '"NaN"', '"sNaN"', '"Infinity"', '"1E+1000000"', '"1e5"', '""'),
    *('" 1"', '"1 "', '"1,5"', '"1_0"', '"0x10"', '"١٢"', '"１"', '"."', '"1."', '".5"', '"1.2.3"'),
    *(f'"{GIANT}"', f'"0.{GIANT}"', '"0.0000000001"', '"9223372036.854775808"'),
    *("1", "-1", "1.5", "1e400", GIANT, "true", "[]", "{}", "null", '["1"]'),
]


@pytest.mark.parametrize("route", OF_AMOUNTS)
def test_an_amount_is_a_plain_decimal(desk: Desk, nothing_moves: None, route: str) -> None:
    for amount in BAD_AMOUNTS:
        found = told(desk, route, changed(desk.bodies[route], amount=amount))
        assert found == (422, ["amount"]), amount[:50]
    status, _ = told(desk, route, changed(desk.bodies[route], amount="NaN"))
    assert status == 400


BAD_QUANTITIES = [
    *("-1", '"-1"', '"NaN"', '"Infinity"', '"1E+1000000"', "1E+1000000", "1e400", GIANT, "-1e400"),
    *(f'"{GIANT}"', '"٣"', '"３"', "true", "false", "[]", "{}", '""', '"abc"', '"1,5"', "null"),
    *("9" * 40, "1e-400", f"0.{GIANT}", "9223372036854775808000000"),
]


@pytest.mark.parametrize("route", [*OF_ITEMS, "event", "batch"])
def test_a_quantity_is_a_plain_number(desk: Desk, nothing_moves: None, route: str) -> None:
    for quantity in BAD_QUANTITIES:
        if route in {"event", "batch"}:
            if quantity in {"null", "-1", '"-1"'}:
                continue  # nothing was said: stored as unrated; or a correction
            content = changed(desk.bodies[route], properties=f'{{"n":{quantity}}}')
        else:
            item = f'[{{"code":"tokens","properties":{{"n":{quantity}}}}}]'
            content = changed(desk.bodies[route], items=item)
        status, fields = told(desk, route, content)
        assert status == 422, (route, quantity[:50])
        assert all("properties" in field for field in fields), (quantity[:50], fields)


@pytest.mark.parametrize("route", OURS)
def test_what_is_unknown_is_named(desk: Desk, nothing_moves: None, route: str) -> None:
    body = desk.bodies[route]
    assert told(desk, route, changed(body, bonus="1")) == (422, ["bonus"])
    assert told(desk, route, json.dumps(body | {"bonus": 1}).encode()) == (422, ["bonus"])
    if route in OF_ITEMS:
        item = '[{"code":"tokens","bonus":1}]'
        assert told(desk, route, changed(body, items=item)) == (422, ["items.0.bonus"])


WRONG_TYPES: list[tuple[tuple[str, ...], str, str]] = [
    (("authorize", "estimate", "check"), "external_customer_id", '7 "" null [] {} true'),
    (("authorize", "estimate", "check"), "asset_code", '7 "" null [] {} "G" "GOLD" "usd"'),
    (("authorize", "estimate", "check"), "external_subscription_id", '7 "" null []'),
    (("authorize", "capture", "extend", "refund", "reverse"), "transaction_id", '7 "" null [] {}'),
    (("authorize", "extend"), "expires_in", '"60" 0 -1 1.5 null true [] 99999999 1e400'),
    (("authorize",), "partial", '"true" 1 null []'),
    (("capture",), "final", '"false" 0 null []'),
    (OF_ITEMS, "items", '{} "tokens" 7 null [] [7] [null]'),
    (("event", "batch"), "transaction_id", '"" null [] {}'),
    (("event", "batch"), "code", '"" null [] {}'),
    (("event", "batch"), "properties", '7 "n" [] true'),
    (("event", "batch"), "timestamp", '"soon" [] {} true -1 "2026-03-10T12:00:00Z"'),
]


@pytest.mark.parametrize(("routes", "field", "values"), WRONG_TYPES)
def test_a_field_has_its_type(
    desk: Desk, nothing_moves: None, routes: tuple[str, ...], field: str, values: str
) -> None:
    for route in routes:
        for value in values.split():
            status, fields = told(desk, route, changed(desk.bodies[route], **{field: value}))
            assert status == 422, (route, field, value)
            assert len(fields) == 1, (route, field, value)
            assert fields[0].startswith(place(route, field)), (route, field, value, fields)


def unreadable(body: Json) -> Iterator[tuple[bytes, int]]:
    text = json.dumps(body)
    yield from ((content, 400) for content in (b"{", b"[]", b"null", b'"a"', b"7", b"\xff\xfe"))
    yield b"\xef\xbb\xbf" + text.encode(), 400
    yield text.encode() + b"x", 400
    yield text.encode("utf-16"), 400
    yield (text[:-1] + ',"a":NaN}').encode(), 0
    yield (text[:-1] + ',"a":' + "[" * 30_000 + "]" * 30_000 + "}").encode(), 0
    yield (text[:-1] + ',"a":' + '{"a":' * 12_000).encode(), 0


@pytest.mark.parametrize("route", ROUTES)
def test_what_cannot_be_read_is_refused(desk: Desk, nothing_moves: None, route: str) -> None:
    for content, status in unreadable(desk.bodies[route]):
        found, _ = told(desk, route, content)
        assert found == status or (not status and found in {400, 422}), content[:60]
    if route != "void":
        assert told(desk, route, b"")[0] == 400
        assert told(desk, route, b"{}")[0] == 400


@pytest.mark.parametrize("route", ["authorize items", "capture items", "event", "batch"])
def test_depth_in_properties_is_bounded(desk: Desk, nothing_moves: None, route: str) -> None:
    for deep in ("[" * 30_000 + "]" * 30_000, '{"a":' * 10_000 + "1" + "}" * 10_000):
        properties = f'{{"n":1,"deep":{deep}}}'
        field = {"properties": properties}
        if "items" in route:
            field = {"items": f'[{{"code":"tokens","properties":{properties}}}]'}
        assert told(desk, route, changed(desk.bodies[route], **field))[0] in {400, 422}


@pytest.mark.parametrize("route", [*ROUTES, *OF_ITEMS])
def test_keys_that_are_there_twice_are_refused(desk: Desk, nothing_moves: None, route: str) -> None:
    ((envelope, inner),) = desk.bodies[route].items()
    once = json.dumps(inner)
    twice = f'{{"{envelope}":{once},"{envelope}":{once}}}'
    assert told(desk, route, twice.encode()) == (422, [envelope])
    text = json.dumps(desk.bodies[route])
    for name in ("amount", "transaction_id", "items", "properties"):
        if f'"{name}": ' in text:
            start = text.index(f'"{name}": ')
            again = f'{text[:start]}"{name}": "x", {text[start:]}'
            status, fields = told(desk, route, again.encode())
            assert status == 422, (route, name)
            assert any(name in field for field in fields), (route, name, fields)


@pytest.mark.parametrize("route", [*ROUTES, *OF_ITEMS])
def test_the_character_nul_is_refused_by_field(desk: Desk, nothing_moves: None, route: str) -> None:
    text = json.dumps(desk.bodies[route])
    for name in ("external_customer_id", "transaction_id", "code", "asset_code"):
        if f'"{name}": "' in text:
            dirty = text.replace(f'"{name}": "', f'"{name}": "\\u0000', 1)
            status, fields = told(desk, route, dirty.encode())
            assert status == 422, (route, name)
            assert fields[0].endswith(name), (route, name, fields)
    dirty = text[:-1] + ',"\\u0000": 1}'
    assert told(desk, route, dirty.encode())[0] == 422


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_has_a_limit_and_is_not_compressed(
    desk: Desk, nothing_moves: None, route: str
) -> None:
    text = json.dumps(desk.bodies[route]).encode()
    size = 1_048_577 if route == "batch" else 65_537
    assert told(desk, route, text + b" " * size)[0] == 413
    headers = {"Content-Encoding": "gzip"}
    assert told(desk, route, zlib.compress(text), headers)[0] == 415

    def chunks() -> Iterator[bytes]:
        for _ in range(size // 4096 + 1):
            yield b" " * 4096

    answer = desk.shop.api.post(desk.paths[route], content=chunks())
    assert fields_of(answer)[0] == 413


@pytest.mark.parametrize("route", [*ROUTES, "balances"])
def test_only_a_good_key_opens_a_hot_route(desk: Desk, nothing_moves: None, route: str) -> None:
    path = desk.paths.get(route, f"/customers/{desk.customer}/balances")
    body = desk.bodies.get(route)
    method = "POST" if body else "GET"
    revoked = desk.shop.ok("/api_keys", api_key={"name": "gone"})["api_key"]
    assert desk.shop.api.delete(f"/api_keys/{revoked['id']}").status_code == 200
    scoped = desk.shop.ok("/api_keys", api_key={"name": "s", "scopes": ["plans:read"]})["api_key"]
    time.sleep(KEY_CACHE_S)
    for key, status in (
        ("wk_", 401),
        ("wk_nonsense", 401),
        (revoked["value"], 401),
        (scoped["value"], 403),
    ):
        headers = {"Authorization": f"Bearer {key}"}
        answer = desk.shop.api.request(method, path, json=body, headers=headers)
        assert fields_of(answer)[0] == status, (route, key[:5])


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/customers/nobody/balances", 404),
        ("/customers/%00/balances", 400),
        ("/customers/" + "x" * 5000 + "/balances", 404),
        ("/customers/%FF%FE/balances", 404),
        ("/authorizations/%00", 400),
        ("/authorizations/" + "1" * 5000, 404),
        ("/events/%00", 400),
    ],
)
def test_an_address_that_leads_nowhere_is_told_so(desk: Desk, address: str, status: int) -> None:
    assert fields_of(desk.shop.api.get(address))[0] == status


@pytest.mark.parametrize("query", ["source=moon", "source=", "source=ledger&source=hot", "x=1"])
def test_balances_come_from_where_they_can(desk: Desk, query: str) -> None:
    answer = desk.shop.api.get(f"/customers/{desk.customer}/balances?{query}")
    assert fields_of(answer) == (422, ["source"])
