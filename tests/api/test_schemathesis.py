"""What the OpenAPI document promises holds for any input that anybody may make up.

`WALLET_SCHEMATHESIS_EXAMPLES` asks for more examples an operation than the few of every run.
"""

import functools
import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.billed import billing
from tests.api.conftest import NewShop, Service
from tests.api.drafts import drafting
from tests.api.market import Shop, standard
from wallet_service.api.app import create_app
from wallet_service.embedded.redis import Redis
from wallet_service.settings import Settings

EXAMPLES = int(os.environ.get("WALLET_SCHEMATHESIS_EXAMPLES", "6"))
MANY = 100
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@functools.cache
def document() -> dict[str, Any]:
    """The document, as an application without services gives it."""
    return create_app(Settings()).openapi_schema.to_schema()


def tries() -> list[tuple[str, GenerationMode]]:
    """Every operation, with good input, and with bad input where there is any input."""
    found: list[tuple[str, GenerationMode]] = []
    for path, methods in sorted(document()["paths"].items()):
        for method, operation in methods.items():
            label = f"{method.upper()} {path}"
            found.append((label, GenerationMode.POSITIVE))
            # A path of any text and no key: there is nothing that could be wrong with it.
            is_any_text = path == "/documents/{token}"
            takes_input = operation.get("parameters") or operation.get("requestBody")
            if takes_input and not is_any_text:
                found.append((label, GenerationMode.NEGATIVE))
    return found


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """An organization that knows some of the names that the examples use."""
    shop = await new_shop("schemathesis")
    shop.plan("plan", standard(shop.metric("calls"), "0.5"))
    return shop


@pytest.fixture(scope="module")
async def names(shop: Shop, service: Service, redis_server: Redis) -> dict[str, str]:
    """Parameters of paths that lead somewhere."""
    acme = shop.customer("plan", granted_credits="1000", code="main")
    seat = {"code": "main", "name": "Seat", "amount_cents": 1000, "amount_currency": "USD"}
    shop.ok("/add_ons", add_on=seat)
    eu = {"values": {"region": ["eu"]}, "properties": {"amount": "1"}}
    seats = {"add_on_code": "main", "charge_model": "standard", "units": "1"}
    charge = standard(shop.metric("visits", region=["eu"]), "0.5", filters=[eu])
    (charge,) = shop.plan("main", charge, fixed_charges=[seats])["charges"]
    hold = shop.held(acme, amount="1", asset_code="USD")
    event = shop.charged(external_customer_id=acme, code="calls")
    grant = shop.balances(acme)[0]["grants"][0]
    async with billing(service, redis_server.url()) as of:
        invoice = await of(shop.api)(acme)
    paid = {"invoice_id": invoice["id"], "amount_cents": 60_00, "reference": "wire"}
    payment = shop.ok("/payments", payment=paid)["payment"]
    note = {
        "invoice_id": invoice["id"],
        "items": [{"fee_id": invoice["fees"][0], "amount_cents": 50_00}],
        "credit_amount_cents": 30_00,
        "refund_amount_cents": 30_00,
    }
    async with drafting(service, redis_server.url(), shop.api) as make:
        (draft,) = await make("schemathesis-drafted")
    return {
        "invoice_id": draft["lago_id"],
        "fee_id": draft["fees"][1]["lago_id"],
        "note_id": shop.ok("/credit_notes", credit_note=note)["credit_note"]["lago_id"],
        "payment_id": payment["lago_id"],
        "receipt_id": receipt_of(shop),
        "authorization_id": hold["id"],
        "external_id": acme,
        "grant_id": grant["id"],
        "wallet_id": grant["wallet_id"],
        "transaction_id": event["transaction_id"],
        "code": "main",
        "charge_code": charge["code"],
        "filter_id": charge["filters"][0]["lago_id"],
        "fixed_charge_code": "main",
    }


def receipt_of(shop: Shop) -> str:
    """The receipt of the only payment."""
    (receipt,) = shop.api.get("/payment_receipts").json()["payment_receipts"]
    return receipt["lago_id"]


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """The document's operations, ready to be tried."""
    schema = schemathesis.openapi.from_dict(document())
    found = [one.ok() for one in schema.get_all_operations()]
    return {operation.label: operation for operation in found if operation is not None}


@pytest.mark.parametrize(("label", "mode"), tries())
def test_every_answer_is_one_that_was_promised(
    shop: Shop,
    operations: dict[str, Any],
    names: dict[str, str],
    label: str,
    mode: GenerationMode,
) -> None:
    operation = operations[label]
    wanted = {parameter.name for parameter in operation.path_parameters}
    # A file's type is told by its address, and an empty body is no JSON: no schema can say that.
    is_kept_away = label.startswith("DELETE") or "/document." in label or "retry_pay" in label
    leads_somewhere = bool(wanted) and wanted <= names.keys() and not is_kept_away
    known = {name: names[name] for name in wanted} if leads_somewhere else {}

    @settings(
        max_examples=max(1, EXAMPLES // 2),
        deadline=None,
        database=None,
        derandomize=EXAMPLES < MANY,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode), is_known=strategies.booleans())
    def send(case: Any, *, is_known: bool) -> None:
        if is_known and known:
            case.path_parameters = known
        case.call_and_validate(
            base_url=str(shop.api.base_url).removesuffix("/").removesuffix("/api/v1"),
            headers={"Authorization": shop.api.headers["Authorization"]},
            checks=CHECKS,
            timeout=60,
        )

    send()
