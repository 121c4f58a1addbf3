"""Rating, as somebody meets it who wants to break it: odd metrics, odd prices, odd usage.

Metrics and charges are drawn at random, some of them as they ought to be and most with something
odd in them; what is accepted is used in every way, oddly too. Nothing may be answered with a 500,
every refusal has a stable code and names its field, and afterwards nothing is wrong with the books.
`WALLET_HOSTILE_EXAMPLES` asks for more stories than the few of every run.
"""

import itertools
import os
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import Raw, Struct

from tests.api.conftest import open_account, serve
from tests.api.market import Json
from tests.conftest import PATIENCE, NewDatabase
from tests.rating.metering import ranges
from wallet_service.checks.running import run_checks
from wallet_service.embedded.redis import Redis
from wallet_service.jobs.leader import Term
from wallet_service.jobs.usage import Folder
from wallet_service.services import open_services
from wallet_service.settings import Settings

EXAMPLES = int(os.environ.get("WALLET_HOSTILE_EXAMPLES", "25"))
MANY = 200
CODES = frozenset(
    re.findall(
        r"`([a-z][a-z0-9_]+)`",
        (Path(__file__).parents[2] / "docs/reference/errors.md").read_text(),
    )
)
"""Whatever stands in the reference of errors."""

_decode = msgspec.json.Decoder(float_hook=Decimal).decode

few = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES < MANY,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


# -- odd things ------------------------------------------------------------------------------------

ALL = "__ALL_FILTER_VALUES__"
NUMBERS = [
    *(0, 1, -1, 3, 7, 10**17, 10**18, 2**63 - 1, 2**63, -(2**63) - 1),
    *(0.5, 1.25, -0.25, 1e22, 1e-18),
    *(
        Raw(text.encode())
        for text in (
            *("-0", "-0.0", "1e5", "1E+17", "1e18", "1e29", "1e30", "1e40", "1e400", "1e-400"),
            *("1e999999", "-1e999999", "1e-999999", "1e99999999999999999999"),
            *("0.1234567890123456789012345678901234567890", "9" * 40, "9" * 29, "9" * 400),
            *("1." + "0" * 50, "12345678901234567.123456789012"),
        )
    ),
]
TEXTS = [
    *("", " ", "0", "-0", "1", "-1", "12.5", "0.000000000000000001", "1e5", "1E400", "1e999999"),
    *("NaN", "sNaN", "Infinity", "-Infinity", "1_000", "+1", "1.", ".5", "0x10", "١٢", "1,5", "01"),
    *("9" * 29, "9" * 30, "9" * 40, "9" * 5000, "-" + "9" * 29, "abc", "gold", "add", "remove"),
    *(
        "null",
        "true",
        "{}",
        "[]",
        "'; drop table x; --",
        "__ALL_FILTER_VALUES__",
        ">5",
        ">",
        "ß\u2028",
    ),
    *("n" * 256, "x" * 20_000, "\U0001f600" * 300, "a\u0000b", "\n", "\ufffe", "%s", "${n}"),
]
DEEP: Any = "deep"
for _ in range(60):
    DEEP = {"n": [DEEP]}
THINGS = [None, True, False, [], {}, [1], ["n"], {"n": 1}, [[]], [None], {"": ""}, DEEP]
BROKEN = [Raw(b"NaN"), Raw(b"Infinity"), Raw(b'"\\ud800"'), Raw(b"01"), Raw(b'"\xff"')]

numbers, texts = st.sampled_from(NUMBERS), st.sampled_from(TEXTS)
odd = st.one_of(numbers, texts, st.sampled_from(THINGS * 2 + BROKEN))


def once_in(count: int) -> st.SearchStrategy[bool]:
    """Whether something rare happens."""
    return st.sampled_from([False] * (count - 1) + [True])


@st.composite
def mostly(draw: st.DrawFn, usual: Any, *others: Any, times: int = 4) -> Any:
    """The first, or now and then one of the others."""
    return draw(st.sampled_from(others)) if draw(once_in(times)) else usual


@st.composite
def spoilt(draw: st.DrawFn, value: Any) -> Any:
    """A copy in which something was replaced, left out, said twice or turned around."""
    if isinstance(value, dict) and value and not draw(once_in(20)):
        name = draw(st.sampled_from(sorted(value)))
        if draw(once_in(6)):
            return {key: one for key, one in value.items() if key != name}
        return value | {name: draw(spoilt(value[name]))}
    if isinstance(value, list) and value and not draw(once_in(6)):
        place = draw(st.integers(0, len(value) - 1))
        before, after = value[:place], value[place + 1 :]
        turned = st.sampled_from((value[::-1], [*value, value[place]], before))
        return draw(st.one_of(turned, spoilt(value[place]).map(lambda one: [*before, one, *after])))
    return draw(odd)


@st.composite
def sometimes_spoilt(draw: st.DrawFn, what: st.SearchStrategy[Any]) -> Any:
    """As it was drawn, or with one or two things wrong."""
    value = draw(what)
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2)))):
        wrong = draw(spoilt(value))
        value = wrong if isinstance(wrong, dict) else value
    return value


# -- metrics ---------------------------------------------------------------------------------------

AGGREGATIONS = ("count_agg", "max_agg", "latest_agg", "sum_agg", "unique_count_agg")
STAYING = ("sum_agg", "unique_count_agg", "weighted_sum_agg")
EXPRESSIONS = (
    "event.properties.a / event.properties.b",
    "event.properties.a * event.properties.a * event.properties.a * event.properties.a",
    "1 / 0",
    "event.properties.a - event.timestamp",
    "event.code",
    "concat(event.properties.a, event.properties.a, event.properties.tier)",
    "round(event.properties.a, event.properties.b)",
    "ceil(event.properties.a / 3, 20)",
    "floor(event.properties.a, -20)",
    "-event.properties.a",
    "(" * 200 + "1" + ")" * 200,
    "event.properties.a" + " * 9999999999" * 40,
    "9" * 400,
)
FILTERS = [{"key": "tier", "values": ["gold", "free"]}, {"key": "n", "values": [">5", ">100"]}]


@st.composite
def metrics(draw: st.DrawFn) -> Json:
    """A metric that may be."""
    recurring = draw(st.booleans())
    metric: Json = {
        "aggregation_type": draw(st.sampled_from(STAYING if recurring else AGGREGATIONS)),
        "recurring": recurring,
        "field_name": draw(mostly("n", "timestamp", "transaction_id", "a.b", "operation_type")),
        "filters": draw(mostly(FILTERS, FILTERS[:1], [])),
        "weighted_interval": draw(mostly(None, "seconds")),
    }
    if draw(once_in(3)):
        metric["rounding_function"] = draw(st.sampled_from(("round", "ceil", "floor")))
        metric["rounding_precision"] = draw(mostly(0, None, 2, -2, 15, -15, 20, -20))
    if draw(once_in(4)):
        metric["expression"] = draw(st.sampled_from(EXPRESSIONS))
    return metric


# -- charges ---------------------------------------------------------------------------------------

UNITS = ranges((0, 5, "2", "1"), (6, 20, "0.5", "0"), (21, None, "0.1", "3"))
RATES = [
    {"from_value": 0, "to_value": 5, "rate": "10", "flat_amount": "2"},
    {"from_value": 6, "to_value": None, "rate": "3", "flat_amount": "1"},
]
PRICES: list[tuple[str, Json]] = [
    ("standard", {"amount": "0.5"}),
    ("standard", {"amount": "999999999999999999"}),
    ("standard", {"amount": "0.000000000000000001"}),
    ("graduated", {"graduated_ranges": UNITS}),
    ("graduated_percentage", {"graduated_percentage_ranges": RATES}),
    ("package", {"amount": "3", "package_size": 4, "free_units": 3}),
    ("package", {"amount": "999999999999999999", "package_size": 1, "free_units": 0}),
    (
        "percentage",
        {
            "rate": "1.5",
            "fixed_amount": "1",
            "free_units_per_events": 2,
            "free_units_per_total_aggregation": "10",
            "per_transaction_min_amount": "1",
            "per_transaction_max_amount": "1.2",
        },
    ),
    ("percentage", {"rate": "100", "fixed_amount": "0"}),
    ("volume", {"volume_ranges": UNITS}),
    ("dynamic", {}),
]
GROUPS: list[Json] = [
    {"pricing_group_keys": ["region"]},
    {"pricing_group_keys": ["region", "n"]},
    {"presentation_group_keys": ["team"]},
    {"presentation_group_keys": [{"value": "team"}], "grouped_by": ["region"]},
]
OPTIONS: list[Json] = [
    {"pay_in_advance": True},
    {"pay_in_advance": True, "invoiceable": False},
    {"prorated": True},
    {"min_amount_cents": 2**63 - 1},
    {"accepts_target_wallet": True},
    {"applied_pricing_unit": {"code": "POINT", "conversion_rate": "0.37"}},
    {"applied_pricing_unit": {"code": "POINT", "conversion_rate": "0.000000000000000001"}},
    {"asset_code": "POINT"},
]


@st.composite
def charges(draw: st.DrawFn) -> Json:
    """A charge that may be, as yet without a metric."""
    model, price = draw(st.sampled_from(PRICES))
    charge = {"charge_model": model, "properties": price | draw(mostly({}, *GROUPS))}
    charge |= draw(mostly({}, *OPTIONS))
    if draw(once_in(4)):
        chosen = st.sampled_from([{"tier": ["gold"]}, {"n": [">5"]}, {"tier": [ALL], "n": [">5"]}])
        charge["filters"] = [{"values": draw(chosen), "properties": price}]
    if draw(once_in(6)):
        charge["alternatives"] = [{"asset_code": "POINT", "properties": price}]
    return charge


# -- usage -----------------------------------------------------------------------------------------

quantities = st.one_of(
    st.sampled_from(("12.5", 3, 1, 250, 0, "-2", "0.5")),
    st.sampled_from(("12.5", 3, 1, 250, 0, "-2", "0.5")),
    st.sampled_from(
        (
            *("9" * 30, "-" + "9" * 30, "9" * 30 + "." + "9" * 18, "0.000000000000000001", 10**18),
            *(Raw(b"1e29"), Raw(b"-1e29"), Raw(b"1e-18"), Raw(b"-0.0"), 2**63 - 1, "1" + "0" * 20),
        )
    ),
)
uses = st.fixed_dictionaries(
    {
        "properties": st.fixed_dictionaries(
            {
                "n": quantities,
                "a": quantities,
                "b": quantities,
                "tier": mostly("gold", "free"),
                "region": mostly("eu", "us", "", True, 7, times=2),
                "team": mostly("red", "", times=2),
                "operation_type": mostly("add", "remove"),
                "a.b": quantities,
                "timestamp": quantities,
                "transaction_id": quantities,
            }
        )
    },
    optional={
        "precise_total_amount_cents": quantities,
        "timestamp": mostly(None, "1767225600", 1767225600.5, "1700000000", "0", 4102444800),
    },
)


class Story(Struct):
    """What somebody tries: some metrics and charges, of which some use is made."""

    metrics: list[Json]
    charges: list[Json]
    changed: list[Json]
    """What the charges are to be changed into, half way."""
    uses: list[Json]
    on_shortfall: str


stories = st.builds(
    Story,
    st.lists(sometimes_spoilt(metrics()), min_size=1, max_size=2),
    st.lists(sometimes_spoilt(charges()), min_size=1, max_size=3),
    st.lists(sometimes_spoilt(charges()), max_size=2),
    st.lists(sometimes_spoilt(uses), min_size=1, max_size=6),
    st.sampled_from(("overage", "reject")),
)


# -- the door --------------------------------------------------------------------------------------


class Door:
    """The API, whose every answer is looked at."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.numbers = itertools.count(1)
        self.answers = Counter[int]()

    def name(self, what: str) -> str:
        return f"{what}-{next(self.numbers)}"

    def ask(self, path: str, body: Any, *, method: str = "POST") -> Json | None:
        """Send a body; what comes back, or None where it was refused as it ought to be."""
        content = msgspec.json.encode(body)
        answer = self.client.request(method, path, content=content)
        for _ in range(3):
            if answer.status_code != 503:  # a machine that stood still
                break
            time.sleep(float(answer.headers["retry-after"]))
            answer = self.client.request(method, path, content=content)
        return self.read(answer, content)

    def told(self, path: str, body: Any) -> Json:
        """What is wrong with a body that is refused."""
        answer = self.client.post(path, content=msgspec.json.encode(body))
        assert self.read(answer, b"") is None, answer.text
        assert answer.status_code == 422, answer.text
        return answer.json()["error_details"]

    def get(self, path: str, **params: Any) -> Json | None:
        return self.read(self.client.get(path, params=params), path.encode())

    def read(self, answer: httpx.Response, asked: bytes) -> Json | None:
        self.answers[answer.status_code] += 1
        told = (
            f"{answer.status_code} {answer.text[:600]}\nto {answer.request.url}\n{asked[:2000]!r}"
        )
        if answer.status_code == 200:
            return _decode(answer.content)
        assert 400 <= answer.status_code < 500, told
        body = msgspec.json.decode(answer.content)
        assert set(body) <= {"status", "error", "code", "error_details", "message"}, told
        if answer.status_code == 400:
            assert body["error"].startswith("BadRequest: "), told
            return None
        assert body["code"] in CODES, told
        if answer.status_code == 422:
            fields: dict[str, Any] = {}
            for field, codes in body["error_details"].items():
                # Of a batch, each event tells its fields.
                fields |= codes if isinstance(codes, dict) else {field: codes}
            assert fields, told
            for field, codes in fields.items():
                assert field not in {"", "base"}, told
                assert codes, told
                assert set(codes) <= CODES, told
        return None


@pytest.fixture(scope="module")
async def hostile_settings(new_database: NewDatabase, redis_server: Redis) -> Settings:
    """A stack of its own, so that the checks look at nothing else."""
    return Settings(
        database_url=await new_database(),
        redis_url=redis_server.url(),
        allow_unsafe_database=True,
        **PATIENCE,
    )


@pytest.fixture(scope="module")
async def door(hostile_settings: Settings) -> AsyncIterator[Door]:
    _, key = await open_account(hostile_settings.database_url, "Hostile")
    server, thread = serve(hostile_settings)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}/api/v1",
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        timeout=60,
        trust_env=False,
    ) as client:
        door = Door(client)
        point = {"code": "POINT", "name": "Points", "kind": "unit", "scale": 1}
        assert door.ask("/assets", {"asset": point})
        yield door
    server.should_exit = True
    thread.join(timeout=20)


# -- stories ---------------------------------------------------------------------------------------


def make_metrics(door: Door, story: Story) -> list[Json]:
    """Those that are accepted; one that everybody can use if none is."""
    made: list[Json] = []
    for metric in story.metrics:
        name = door.name("metric")
        made += made_of(
            door.ask(
                "/billable_metrics", {"billable_metric": {"name": name, "code": name} | metric}
            )
        )
    if not made:
        name = door.name("metric")
        plain = {"name": name, "code": name, "aggregation_type": "sum_agg", "field_name": "n"}
        made += made_of(door.ask("/billable_metrics", {"billable_metric": plain}))
        assert made
    return made


def made_of(answer: Json | None) -> list[Json]:
    return [] if answer is None else [answer["billable_metric"]]


def make_plan(door: Door, metrics: list[Json], story: Story) -> tuple[str, dict[str, str]]:
    """A plan with the charges that are accepted; its code, and the metric of each charge."""
    plan = door.name("plan")
    terms = {"name": plan, "code": plan, "interval": "monthly", "amount_cents": 0}
    assert door.ask("/plans", {"plan": terms | {"amount_currency": "USD"}})
    plain = {"charge_model": "standard", "properties": {"amount": "0.5"}}
    wanted = [*story.charges, *[plain] * len(metrics)]
    made: dict[str, str] = {}
    for position, charge in enumerate(wanted):
        metric = metrics[position % len(metrics)]
        if position >= len(story.charges) and metric["code"] in made.values():
            continue
        body = {"billable_metric_id": metric["lago_id"], "code": door.name("charge")} | charge
        if door.ask(f"/plans/{plan}/charges", {"charge": body}):
            made[body["code"]] = metric["code"]
    return plan, made


def make_customer(door: Door, plan: str, on_shortfall: str) -> str:
    """Somebody who has used the plan for a while, and can pay for some of what is to come."""
    name = door.name("customer")
    assert door.ask("/customers", {"customer": {"external_id": name, "currency": "USD"}})
    for asset in ("USD", "POINT"):
        wallet = {"external_customer_id": name, "rate_amount": "1", "granted_credits": "1000"}
        wallet |= {"asset_code": asset, "code": asset.lower(), "on_shortfall": on_shortfall}
        assert door.ask("/wallets", {"wallet": wallet})
    subscription = {
        "external_id": name,
        "external_customer_id": name,
        "plan_code": plan,
        "subscription_at": "2025-11-30T12:00:00Z",
    }
    assert door.ask("/subscriptions", {"subscription": subscription})
    return name


def use(door: Door, customer: str, code: str, used: Json) -> None:
    """Every way in which usage comes in."""
    who = {"external_customer_id": customer}
    event = {"external_subscription_id": customer, "code": code} | used
    door.ask("/events/estimate_fees", {"event": event})
    door.ask("/events/estimate_instant_fees", {"event": event})
    key = door.name("event")
    sent = door.ask("/events", {"event": event | {"transaction_id": key}})
    again = door.ask("/events", {"event": event | {"transaction_id": key}})
    assert again == sent
    batch = [event | {"transaction_id": door.name("event")} for _ in range(2)]
    door.ask("/events/batch", {"events": batch})
    if sent:
        reversal = {"transaction_id": door.name("reversal"), "amount": "0.000000001"}
        door.ask(f"/events/{key}/reverse", {"reverse": reversal})
        door.ask(f"/events/{key}/reverse", {"reverse": {"transaction_id": door.name("reversal")}})
    item = {name: value for name, value in used.items() if name != "timestamp"} | {"code": code}
    items = {"items": [item, item]}
    door.ask("/authorizations/estimate", {"authorization": who | items})
    door.ask("/authorizations/check", {"authorization": who | items})
    asked = who | items | {"transaction_id": door.name("call")}
    whole = door.ask("/authorizations", {"authorization": asked})
    asked |= {"transaction_id": door.name("call"), "partial": True}
    if answer := whole or door.ask("/authorizations", {"authorization": asked}):
        hold = f"/authorizations/{answer['authorization']['id']}"
        more = {"transaction_id": door.name("extend"), "items": [item]}
        door.ask(f"{hold}/extend", {"extend": more})
        some_of_it = {"transaction_id": door.name("capture"), "final": False, "items": [item]}
        door.ask(f"{hold}/capture", {"capture": some_of_it})
        door.ask(f"{hold}/capture", {"capture": items | {"transaction_id": door.name("capture")}})
        door.ask(f"{hold}/refund", {"refund": {"transaction_id": door.name("refund")}})
        door.ask(f"{hold}/void", {})


def look(door: Door, customer: str) -> None:
    """Every way in which usage is shown."""
    for which in ("current", "projected", "past"):
        door.get(
            f"/customers/{customer}/{which}_usage", external_subscription_id=customer, per_page=2
        )
    door.get(
        f"/customers/{customer}/current_usage",
        external_subscription_id=customer,
        full_usage="true",
        filter_by_presentation="team",
    )


@few
@given(story=stories)
def test_whatever_is_priced_and_used_is_answered(door: Door, story: Story) -> None:
    metrics = make_metrics(door, story)
    plan, made = make_plan(door, metrics, story)
    customer = make_customer(door, plan, story.on_shortfall)
    codes = list(made.values())
    for position, used in enumerate(story.uses):
        if position == len(story.uses) // 2:
            for charge, other in zip(made, story.changed, strict=False):
                door.ask(f"/plans/{plan}/charges/{charge}", {"charge": other}, method="PUT")
        use(door, customer, codes[position % len(codes)], used)
    look(door, customer)


# -- what was found --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def acme(door: Door) -> tuple[str, str]:
    """A customer with a hundred dollars and more, and the code of what costs one each."""
    name = door.name("plain")
    metric = {"name": name, "code": name, "aggregation_type": "sum_agg", "field_name": "n"}
    assert door.ask("/billable_metrics", {"billable_metric": metric})
    charge = {"billable_metric_code": name, "charge_model": "standard"}
    plan = {"name": name, "code": name, "interval": "monthly", "amount_cents": 0}
    plan |= {"amount_currency": "USD", "charges": [charge | {"properties": {"amount": "1"}}]}
    assert door.ask("/plans", {"plan": plan})
    return make_customer(door, name, "overage"), name


@pytest.mark.parametrize(
    "number",
    [
        "1e401",
        "-1e999999",
        "1e-1001",
        "0." + "1" * 1_001,
        "18446744073709551616",
        "-9223372036854775809",
    ],
)
@pytest.mark.parametrize("place", ["%s", "[1, %s]", '{"a": {"b": [%s]}}'])
def test_a_number_that_no_store_keeps_is_refused_by_the_property_it_stands_in(
    door: Door, acme: tuple[str, str], number: str, place: str
) -> None:
    """Also where it means nothing: Postgres would not take it, or write out all its digits."""
    customer, code = acme
    properties = {"n": 1, "note": Raw((place % number).encode())}
    item = {"code": code, "properties": properties}
    event = item | {"external_subscription_id": customer, "transaction_id": door.name("event")}
    wrong = ["value_is_out_of_range"]
    assert door.told("/events", {"event": event}) == {"properties.note": wrong}
    assert door.told("/events/estimate_fees", {"event": event}) == {"properties.note": wrong}
    batch = [event | {"properties": {"n": 1}}, event | {"transaction_id": door.name("event")}]
    told = door.told("/events/batch", {"events": batch})
    assert told == {"1": {"properties.note": wrong}}
    asked = {"external_customer_id": customer, "transaction_id": door.name("call")}
    told = door.told("/authorizations", {"authorization": asked | {"items": [item]}})
    assert told == {"items.0.properties.note": wrong}
    hold = door.ask(
        "/authorizations", {"authorization": asked | {"amount": "2", "asset_code": "USD"}}
    )
    assert hold
    path = f"/authorizations/{hold['authorization']['id']}/capture"
    capture = {"transaction_id": door.name("capture"), "items": [item]}
    assert door.told(path, {"capture": capture}) == {"items.0.properties.note": wrong}


@pytest.mark.parametrize("number", ["1e400", "-1e-400", "9" * 39 + ".5", "18446744073709551615"])
def test_a_number_that_is_not_used_may_be_odd(
    door: Door, acme: tuple[str, str], number: str
) -> None:
    customer, code = acme
    event = {"external_subscription_id": customer, "transaction_id": door.name("event")}
    event |= {"code": code, "properties": {"n": 1, "note": Raw(number.encode())}}
    sent = door.ask("/events", {"event": event})
    assert sent
    assert Decimal(sent["event"]["properties"]["note"]) == Decimal(number)


@pytest.mark.parametrize("number", ["1e99999999999999999999", "-1E+1000000000000000000"])
def test_an_exponent_that_no_decimal_has_is_refused_wherever_it_stands(
    door: Door, acme: tuple[str, str], number: str
) -> None:
    customer, code = acme
    wrong = ["value_is_out_of_range"]
    event = {"external_subscription_id": customer, "transaction_id": door.name("event")}
    event |= {"code": code, "properties": {"n": Raw(number.encode())}}
    assert door.told("/events", {"event": event}) == {"properties": wrong}
    cents = event | {"properties": {}, "precise_total_amount_cents": Raw(number.encode())}
    assert door.told("/events", {"event": cents}) == {"precise_total_amount_cents": wrong}
    charge = {"billable_metric_code": code, "charge_model": "standard"}
    charge |= {"properties": {"amount": Raw(number.encode())}}
    told = door.told(f"/plans/{code}/charges", {"charge": charge})
    assert told == {"properties": wrong}


# -- after all that --------------------------------------------------------------------------------


async def test_the_books_are_right_after_all_that(hostile_settings: Settings, door: Door) -> None:
    async with open_services(hostile_settings) as services:
        while await Folder().run(services, Term(0)):
            pass
        results = await run_checks(services.database, services.ledger, services.hot)
    assert {one.invariant: one.breaches for one in results if one.breaches} == {}
    # Both were tried: what is taken, and what is refused.
    assert min(door.answers[200], door.answers[422]) > EXAMPLES
