"""Nothing that a client can send is answered with a 500; what is wrong is named."""

import json
import socket
import zlib

import httpx
import pytest

METRIC = {"name": "Tokens", "code": "bad-input", "aggregation_type": "sum_agg", "field_name": "n"}
PLAN = {
    "name": "Plan",
    "code": "bad-input",
    "interval": "monthly",
    "amount_cents": 0,
    "amount_currency": "USD",
}
SUBSCRIPTION = {
    "external_id": "bad-input",
    "external_customer_id": "bad-input",
    "plan_code": "bad-input-plan",
}


@pytest.fixture(scope="module")
def metric_id(api: httpx.Client) -> str:
    metric = {
        "name": "Calls",
        "code": "bad-input-calls",
        "aggregation_type": "count_agg",
        "filters": [{"key": "region", "values": ["eu", "us"]}],
    }
    answer = api.post("/billable_metrics", json={"billable_metric": metric})
    return answer.json()["billable_metric"]["lago_id"]


@pytest.fixture(scope="module")
def plan_code(api: httpx.Client) -> str:
    plan = PLAN | {"code": "bad-input-plan", "amount_cents": 500}
    assert api.post("/plans", json={"plan": plan}).status_code == 200
    cheap = PLAN | {"code": "bad-input-cheap-plan", "amount_cents": 100}
    assert api.post("/plans", json={"plan": cheap}).status_code == 200
    return "bad-input-plan"


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({}, {"external_id": ["value_is_mandatory"]}),
        ({"external_id": None}, {"external_id": ["value_is_mandatory"]}),
        ({"external_id": ""}, {"external_id": ["value_is_mandatory"]}),
        ({"external_id": "   "}, {"external_id": ["value_is_mandatory"]}),
        ({"external_id": 5}, {"external_id": ["value_is_invalid"]}),
        ({"external_id": ["a"]}, {"external_id": ["value_is_invalid"]}),
        ({"external_id": "x" * 256}, {"external_id": ["value_is_too_long"]}),
        ({"external_id": "nul-\x00"}, {"external_id": ["value_is_invalid"]}),
        ({"name": "nul-\x00"}, {"name": ["value_is_invalid"]}),
        ({"name": {"first": "A"}}, {"name": ["value_is_invalid"]}),
        ({"name": True}, {"name": ["value_is_invalid"]}),
        ({"currency": "usd"}, {"currency": ["value_is_invalid"]}),
        ({"currency": "GOLD"}, {"currency": ["value_is_invalid"]}),
        ({"currency": 840}, {"currency": ["value_is_invalid"]}),
        ({"timezone": "Mars/Olympus"}, {"timezone": ["value_is_invalid"]}),
        ({"timezone": "../../etc/passwd"}, {"timezone": ["value_is_invalid"]}),
        ({"country": "Germany"}, {"country": ["not_a_valid_country_code"]}),
        ({"customer_type": "robot"}, {"customer_type": ["value_is_invalid"]}),
        ({"email": "acme.test"}, {"email": ["invalid_email_format"]}),
        (
            {"billing_configuration": {"document_locale": "klingon"}},
            {"billing_configuration.document_locale": ["value_is_invalid"]},
        ),
        ({"net_payment_term": -1}, {"net_payment_term": ["value_is_out_of_range"]}),
        ({"net_payment_term": 10**12}, {"net_payment_term": ["value_is_out_of_range"]}),
        ({"net_payment_term": 1.5}, {"net_payment_term": ["value_is_invalid"]}),
        ({"net_payment_term": "soon"}, {"net_payment_term": ["value_is_invalid"]}),
        (
            {"skip_invoice_custom_sections": "maybe"},
            {"skip_invoice_custom_sections": ["value_is_invalid"]},
        ),
        (
            {"finalize_zero_amount_invoice": "never"},
            {"finalize_zero_amount_invoice": ["invalid_value"]},
        ),
        ({"shipping_address": "here"}, {"shipping_address": ["value_is_invalid"]}),
        ({"shipping_address": {"city": 5}}, {"shipping_address.city": ["value_is_invalid"]}),
        ({"shipping_address": {"city": "\x00"}}, {"shipping_address.city": ["value_is_invalid"]}),
        (
            {"billing_configuration": {"invoice_grace_period": "x"}},
            {"billing_configuration.invoice_grace_period": ["value_is_invalid"]},
        ),
        *(
            (
                {"billing_configuration": {"invoice_grace_period": days}},
                {"billing_configuration.invoice_grace_period": ["value_is_out_of_range"]},
            )
            for days in (-1, 366, 2**31 - 1)
        ),
        ({"metadata": {"a": "b"}}, {"metadata": ["value_is_invalid"]}),
        ({"metadata": [{"key": "a"}]}, {"metadata": ["invalid_key_value_pair"]}),
        ({"metadata": [{"key": "a", "value": "\x00"}]}, {"metadata.0.value": ["value_is_invalid"]}),
        ({"metadata": [{"key": "a", "value": "1"}] * 2}, {"metadata": ["value_is_duplicated"]}),
        ({"metadata": [{"key": "a", "value": "1"}] * 101}, {"metadata": ["invalid_count"]}),
        ({"tax_codes": ["vat"]}, {"tax_codes": ["tax_not_found"]}),
        ({"billing_entity_code": "none"}, {"billing_entity_code": ["billing_entity_not_found"]}),
    ],
)
def test_a_customer_that_is_wrong_is_refused_by_field(
    api: httpx.Client, fields: dict[str, object], details: dict[str, list[str]]
) -> None:
    known = {"external_id": "bad-input"} if fields and "external_id" not in fields else {}
    answer = api.post("/customers", json={"customer": known | fields})
    assert (answer.status_code, answer.json().get("error_details")) == (422, details)
    assert answer.json()["code"] == "validation_errors"


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({"name": None}, {"name": ["value_is_mandatory"]}),
        ({"code": " "}, {"code": ["value_is_mandatory"]}),
        ({"aggregation_type": None}, {"aggregation_type": ["value_is_mandatory"]}),
        ({"aggregation_type": "median_agg"}, {"aggregation_type": ["value_is_invalid"]}),
        ({"aggregation_type": "custom_agg"}, {"aggregation_type": ["value_is_invalid"]}),
        ({"field_name": None}, {"field_name": ["value_is_mandatory"]}),
        *(
            (
                {"aggregation_type": kind, "field_name": nothing},
                {"field_name": ["value_is_mandatory"]},
            )
            for kind in ("max_agg", "latest_agg", "unique_count_agg", "weighted_sum_agg")
            for nothing in (None, "")
        ),
        ({"expression": "event.properties.a *"}, {"expression": ["invalid_expression"]}),
        ({"expression": "a * 2"}, {"expression": ["invalid_expression"]}),
        ({"expression": "1" * 1025}, {"expression": ["invalid_expression"]}),
        ({"expression": "1" * 5001}, {"expression": ["value_is_too_long"]}),
        ({"expression": 5}, {"expression": ["value_is_invalid"]}),
        ({"rounding_function": "truncate"}, {"rounding_function": ["value_is_invalid"]}),
        ({"rounding_precision": 99}, {"rounding_precision": ["value_is_out_of_range"]}),
        ({"rounding_precision": 10**30}, {"rounding_precision": ["value_is_out_of_range"]}),
        ({"weighted_interval": "hours"}, {"weighted_interval": ["value_is_invalid"]}),
        *(
            (
                {"aggregation_type": kind, "recurring": True},
                {"recurring": ["not_compatible_with_aggregation_type"]},
            )
            for kind in ("count_agg", "max_agg", "latest_agg")
        ),
        ({"filters": [{"key": "a", "values": []}]}, {"filters": ["value_is_invalid"]}),
        ({"filters": [{"key": "", "values": ["x"]}]}, {"filters": ["value_is_invalid"]}),
        ({"filters": [{"key": "a", "values": ["x", "x"]}]}, {"filters": ["value_is_invalid"]}),
        ({"filters": [{"key": "a", "values": ["x"]}] * 2}, {"filters": ["value_is_invalid"]}),
        ({"filters": [{"key": "a", "values": [1]}]}, {"filters.0.values.0": ["value_is_invalid"]}),
        ({"filters": [{"key": "a"}]}, {"filters.0.values": ["value_is_mandatory"]}),
    ],
)
def test_a_metric_that_is_wrong_is_refused_by_field(
    api: httpx.Client, fields: dict[str, object], details: dict[str, list[str]]
) -> None:
    answer = api.post("/billable_metrics", json={"billable_metric": METRIC | fields})
    assert (answer.status_code, answer.json().get("error_details")) == (422, details)


def test_an_expression_that_cannot_be_read_is_told_by_its_place(api: httpx.Client) -> None:
    metric = METRIC | {"expression": "event.properties.a * sqrt(2)"}
    answer = api.post("/billable_metrics", json={"billable_metric": metric})
    assert answer.json()["message"] == (
        "at character 22: there is no function 'sqrt'; there are round, ceil, floor and concat"
    )


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({"name": ""}, {"name": ["value_is_mandatory"]}),
        ({"code": None}, {"code": ["value_is_mandatory"]}),
        ({"interval": "daily"}, {"interval": ["value_is_invalid"]}),
        ({"amount_cents": None}, {"amount_cents": ["value_is_mandatory"]}),
        ({"amount_cents": -1}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_cents": 2**63}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_cents": 10**400}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_cents": 1.5}, {"amount_cents": ["value_is_invalid"]}),
        ({"amount_cents": "ten"}, {"amount_cents": ["value_is_invalid"]}),
        ({"amount_currency": "BTC"}, {"amount_currency": ["value_is_invalid"]}),
        ({"trial_period": -1}, {"trial_period": ["value_is_out_of_range"]}),
        ({"trial_period": "NaN"}, {"trial_period": ["value_is_out_of_range"]}),
        ({"trial_period": "1E+1000000"}, {"trial_period": ["value_is_out_of_range"]}),
        ({"trial_period": "Infinity"}, {"trial_period": ["value_is_out_of_range"]}),
        ({"trial_period": "sNaN"}, {"trial_period": ["value_is_out_of_range"]}),
        ({"pay_in_advance": "perhaps"}, {"pay_in_advance": ["value_is_invalid"]}),
        ({"metadata": {"a": "\x00"}}, {"metadata.a": ["value_is_invalid"]}),
        ({"metadata": {"\x00": "a"}}, {"metadata": ["value_is_invalid"]}),
        ({"charges": {}}, {"charges": ["value_is_invalid"]}),
        ({"fixed_charges": [{}]}, {"fixed_charges.0.add_on_id": ["value_is_mandatory"]}),
        ({"fixed_charges": {}}, {"fixed_charges": ["value_is_invalid"]}),
        ({"fixed_charges": [{}] * 501}, {"fixed_charges": ["invalid_count"]}),
        ({"charges": [{}] * 501}, {"charges": ["invalid_count"]}),
        ({"metadata": {"": "a"}}, {"metadata": ["value_is_too_long"]}),
        ({"effective_at": "2999-01-01"}, {"effective_at": ["value_is_invalid"]}),
        (
            {"minimum_commitment": {"invoice_display_name": "At least"}},
            {"minimum_commitment.amount_cents": ["value_is_mandatory"]},
        ),
        (
            {"minimum_commitment": {"amount_cents": -1}},
            {"minimum_commitment.amount_cents": ["value_is_out_of_range"]},
        ),
        (
            {"minimum_commitment": {"amount_cents": 10**400}},
            {"minimum_commitment.amount_cents": ["value_is_out_of_range"]},
        ),
        (
            {"minimum_commitment": {"amount_cents": "NaN"}},
            {"minimum_commitment.amount_cents": ["value_is_invalid"]},
        ),
        (
            {"minimum_commitment": {"amount_cents": 1, "invoice_display_name": "a\x00"}},
            {"minimum_commitment.invoice_display_name": ["value_is_invalid"]},
        ),
        (
            {"minimum_commitment": {"amount_cents": 1, "tax_codes": ["vat"]}},
            {"minimum_commitment.tax_codes": ["tax_not_found"]},
        ),
        ({"minimum_commitment": [1]}, {"minimum_commitment": ["value_is_invalid"]}),
    ],
)
def test_a_plan_that_is_wrong_is_refused_by_field(
    api: httpx.Client, fields: dict[str, object], details: dict[str, list[str]]
) -> None:
    answer = api.post("/plans", json={"plan": PLAN | fields})
    assert (answer.status_code, answer.json().get("error_details")) == (422, details)


@pytest.mark.parametrize(
    ("charge", "field", "code"),
    [
        ({"billable_metric_id": None}, "billable_metric_id", "value_is_mandatory"),
        ({"billable_metric_id": "no-uuid"}, "billable_metric_id", "value_is_invalid"),
        (
            {"billable_metric_id": "01900000-0000-7000-8000-000000000000"},
            "billable_metric_id",
            "billable_metric_not_found",
        ),
        ({"charge_model": None}, "charge_model", "value_is_mandatory"),
        ({"charge_model": "custom"}, "charge_model", "value_is_invalid"),
        ({"charge_model": "magic"}, "charge_model", "value_is_invalid"),
        ({"properties": None}, "properties", "value_is_mandatory"),
        ({"properties": {}}, "properties", "value_is_mandatory"),
        ({"properties": {"amount": "-1"}}, "properties.amount", "invalid_amount"),
        ({"properties": {"amount": "NaN"}}, "properties.amount", "invalid_amount"),
        ({"properties": {"amount": "1E+1000000"}}, "properties.amount", "invalid_amount"),
        ({"properties": {"amount": "١"}}, "properties.amount", "invalid_amount"),
        ({"properties": {"amount": " 1"}}, "properties.amount", "invalid_amount"),
        ({"properties": {"amount": "0x10"}}, "properties.amount", "invalid_amount"),
        ({"properties": {"amount": True}}, "properties.amount", "invalid_amount"),
        ({"properties": {"amount": []}}, "properties.amount", "invalid_amount"),
        ({"properties": {"amount": 10**50}}, "properties.amount", "invalid_amount"),
        (
            {"charge_model": "package", "properties": {"amount": "1", "package_size": 0}},
            "properties.package_size",
            "invalid_package_size",
        ),
        (
            {"charge_model": "package", "properties": {"amount": "1"}},
            "properties.package_size",
            "invalid_package_size",
        ),
        (
            {"charge_model": "package", "properties": {"amount": "1", "package_size": 1.5}},
            "properties.package_size",
            "invalid_package_size",
        ),
        (
            {
                "charge_model": "package",
                "properties": {"amount": "1", "package_size": 10, "free_units": -1},
            },
            "properties.free_units",
            "invalid_free_units",
        ),
        (
            {"charge_model": "percentage", "properties": {"rate": "many"}},
            "properties.rate",
            "invalid_rate",
        ),
        ({"min_amount_cents": -1}, "min_amount_cents", "value_is_out_of_range"),
        ({"asset_code": "tokens!"}, "asset_code", "value_is_invalid"),
        ({"prorated": True}, "prorated", "invalid_billable_metric_or_charge_model"),
        ({"asset_code": "NO_SUCH_UNIT"}, "asset_code", "asset_not_found"),
        ({"effective_at": "2999-01-01"}, "effective_at", "value_is_invalid"),
        ({"tax_codes": ["vat"]}, "tax_codes", "tax_not_found"),
        ({"filters": [{}]}, "filters.0.values", "value_is_invalid"),
        (
            {"filters": [{"values": {"planet": ["mars"]}, "properties": {"amount": "1"}}]},
            "filters.0.values",
            "value_is_invalid",
        ),
        (
            {"filters": [{"values": {"region": ["asia"]}, "properties": {"amount": "1"}}]},
            "filters.0.values",
            "value_is_invalid",
        ),
        (
            {"filters": [{"values": {"region": ["eu"]}}]},
            "filters.0.properties",
            "value_is_mandatory",
        ),
        (
            {"filters": [{"values": {"region": ["eu"]}, "properties": {"amount": "x"}}]},
            "filters.0.properties.amount",
            "invalid_amount",
        ),
        (
            {"filters": [{"values": {"region": ["eu"]}, "properties": {"amount": "1"}}] * 2},
            "filters.1.values",
            "value_is_duplicated",
        ),
    ],
)
def test_a_charge_that_is_wrong_is_refused_by_position_and_field(
    api: httpx.Client, metric_id: str, charge: dict[str, object], field: str, code: str
) -> None:
    good = {
        "billable_metric_id": metric_id,
        "charge_model": "standard",
        "properties": {"amount": "1"},
    }
    answer = api.post("/plans", json={"plan": PLAN | {"charges": [good, good | charge]}})
    assert answer.status_code == 422
    assert answer.json()["error_details"] == {f"charges.1.{field}": [code]}


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"external_id": ""}, 422, {"external_id": ["value_is_mandatory"]}),
        ({"external_customer_id": None}, 422, {"external_customer_id": ["value_is_mandatory"]}),
        ({"plan_code": None}, 422, {"plan_code": ["value_is_mandatory"]}),
        ({"plan_code": "nowhere"}, 404, "plan_not_found"),
        ({"billing_time": "lunar"}, 422, {"billing_time": ["value_is_invalid"]}),
        ({"subscription_at": "tomorrow"}, 422, {"subscription_at": ["value_is_invalid"]}),
        ({"subscription_at": "0000-00-00"}, 422, {"subscription_at": ["value_is_invalid"]}),
        (
            {"subscription_at": "9999-12-31T23:59:59Z"},
            422,
            {"subscription_at": ["value_is_invalid"]},
        ),
        (
            {"subscription_at": "0001-01-01T00:00:00+14:00"},
            422,
            {"subscription_at": ["value_is_invalid"]},
        ),
        ({"subscription_at": 1700000000}, 422, {"subscription_at": ["value_is_invalid"]}),
        ({"ending_at": "2020-01-01T00:00:00Z"}, 422, {"ending_at": ["value_is_invalid"]}),
        (
            {"plan_overrides": {"interval": 1, "amount_currency": "?"}},
            422,
            {"amount_currency": ["value_is_invalid"]},
        ),
    ],
)
def test_a_subscription_that_is_wrong_is_refused_by_field(
    api: httpx.Client, plan_code: str, fields: dict[str, object], status: int, told: object
) -> None:
    answer = api.post("/subscriptions", json={"subscription": SUBSCRIPTION | fields})
    assert answer.status_code == status
    body = answer.json()
    assert (body.get("error_details") or body["code"]) == told


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"nonsense", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'"text"', 400),
        (b"{}", 400),
        (b'{"customer": null}', 400),
        (b'{"customer": []}', 400),
        (b'{"customer": {"external_id": "a"}} trailing', 400),
        (b'{"customer": {"external_id": "a", "net_payment_term": NaN}}', 400),
        (b'{"customer": {"external_id": "\xff\xfe"}}', 400),
        (b'\xef\xbb\xbf{"customer": {"external_id": "a"}}', 400),
        (b'{"customer": {"external_id": "\\ud800"}}', 400),
        (b'{"customer": {"external_id": "a\x01"}}', 400),
        (
            b'{"customer": {"external_id": "a", "unknown": '
            + b"[" * 100_000
            + b"]" * 100_000
            + b"}}",
            400,
        ),
        (b'{"customer": {"external_id": "a", "shipping_address": ' + b'{"a":' * 50_000 + b"1", 400),
        (b'{"customer": {"external_id": "a", "external_id": "b"}}', 422),
        (b'{"customer": {"external_id": "a"}, "customer": {"external_id": "b"}}', 422),
        (b'{"customer": {"external_id": "a", "unknown": {"x": 1, "x": 2}}}', 422),
        (b'{"customer": {"external_id": "a", "net_payment_term": ' + b"9" * 4_000 + b"}}", 422),
        (b'{"customer": {"external_id": "a", "net_payment_term": ' + b"9" * 40_000 + b"}}", 422),
        (b'{"customer": {"external_id": "a", "net_payment_term": 1e400}}', 422),
        (b'{"customer": {"external_id": "a", "unknown\\u0000": 1}}', 422),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(api: httpx.Client, body: bytes, status: int) -> None:
    answer = api.post("/customers", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == status


def test_a_key_that_is_there_twice_is_named(api: httpx.Client) -> None:
    body = b'{"customer": {"external_id": "a", "name": "b", "name": "c"}}'
    answer = api.post("/customers", content=body)
    assert answer.json()["error_details"] == {"name": ["value_is_duplicated"]}


def test_what_lago_does_not_know_of_is_ignored_and_null_is_accepted(api: httpx.Client) -> None:
    customer = {"external_id": "bad-input-newer-client", "invented": {"a": [1, 2.5, None]}}
    customer |= dict.fromkeys(("name", "currency", "metadata", "billing_configuration", "taxes"))
    answer = api.post("/customers", json={"customer": customer})
    assert answer.status_code == 200


def test_a_number_may_come_as_a_text(api: httpx.Client) -> None:
    plan = PLAN | {"code": "bad-input-texts", "amount_cents": "1250", "trial_period": "2.5"}
    answer = api.post("/plans", json={"plan": plan})
    assert (answer.json()["plan"]["amount_cents"], answer.json()["plan"]["trial_period"]) == (
        1250,
        2.5,
    )


def test_a_field_that_nobody_knows_may_hold_any_number(api: httpx.Client) -> None:
    known = json.dumps({"name": "Odd", "code": "bad-input-odd", "rate": "1.5"})[:-1]
    for code, number in enumerate(("1e99999999999999999999", "1" * 5_000, "-0.0e-1")):
        body = known.replace("input-odd", f"input-odd-{code}") + f', "x": [{number}, null]}}'
        answer = api.post("/taxes", content=f'{{"tax": {body}}}')
        assert answer.status_code == 200, answer.text
    broken = api.post("/taxes", content='{"tax": {"name": "\\u0000", "x": }}')
    assert broken.status_code == 400
    assert "JSON" in broken.json()["error"]


@pytest.mark.parametrize("text", ["\u0661\u0662", "\uff11\uff12", "1_2", " 12", "12\n"])
def test_a_number_has_ascii_digits_and_nothing_around_them(
    api: httpx.Client, metric_id: str, text: str
) -> None:
    charge = {"billable_metric_id": metric_id, "charge_model": "standard"}
    named = {"name": "Digits", "code": "bad-input-digits"}
    usd = {"amount_cents": 1, "amount_currency": "USD"}
    fixed = {"add_on_code": "bad-input-digits", "charge_model": "standard", "units": text}
    fee = {"add_on_code": "bad-input-digits", "units": text}
    someone = {"external_customer_id": "bad-input-digits"}
    customer = {"external_id": "bad-input-digits", "currency": "USD"}
    assert api.post("/customers", json={"customer": customer}).status_code == 200
    hold = someone | {"transaction_id": "digits", "asset_code": "USD", "amount": "1"}
    event = {"transaction_id": "digits", "code": "bad-input-calls"}
    posted = [
        ("/taxes", "tax", named | {"rate": text}, "rate"),
        ("/coupons", "coupon", named | {"percentage_rate": text}, "percentage_rate"),
        ("/coupons", "coupon", named | usd | {"amount_cents": text}, "amount_cents"),
        ("/plans", "plan", PLAN | {"trial_period": text}, "trial_period"),
        ("/plans", "plan", PLAN | {"amount_cents": text}, "amount_cents"),
        (
            "/plans",
            "plan",
            PLAN | {"charges": [charge | {"properties": {"amount": text}}]},
            "charges.0.properties.amount",
        ),
        ("/plans", "plan", PLAN | {"fixed_charges": [fixed]}, "fixed_charges.0.units"),
        ("/invoices", "invoice", someone | {"fees": [fee]}, "fees.0.units"),
        ("/wallets", "wallet", someone | {"rate_amount": text}, "rate_amount"),
        ("/authorizations", "authorization", hold | {"amount": text}, "amount"),
        ("/authorizations", "authorization", hold | {"expires_in": text}, "expires_in"),
        ("/events", "event", event | {"timestamp": text}, "timestamp"),
        ("/budgets", "budget", named | {"asset_code": "USD", "limit": text}, "limit"),
    ]
    for path, name, body, field in posted:
        answer = api.post(path, json={name: body})
        assert (answer.status_code, [*answer.json()["error_details"]]) == (422, [field]), path
    asked = [("/invoices", "amount_from"), ("/events", "timestamp_from"), ("/fees", "per_page")]
    for path, field in asked:
        answer = api.get(path, params={field: text})
        assert (answer.status_code, [*answer.json()["error_details"]]) == (422, [field]), path


def test_a_body_that_is_too_long_is_refused(api: httpx.Client) -> None:
    body = json.dumps({"customer": {"external_id": "a", "name": "x" * 2_000_000}})
    answer = api.post("/customers", content=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


def test_a_compressed_body_is_refused(api: httpx.Client) -> None:
    body = zlib.compress(json.dumps({"customer": {"external_id": "a"}}).encode())
    answer = api.post("/customers", content=body, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_content_encoding")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "resource_not_found"),
        ("GET", "/customers/none", 404, "customer_not_found"),
        ("GET", "/customers/%00", 400, None),
        ("GET", "/customers?search_term=%00", 400, None),
        ("GET", "/customers/%FF%FE", 404, "customer_not_found"),
        ("GET", "/customers/" + "x" * 3000, 404, "customer_not_found"),
        ("GET", "/customers/..%2F..%2Fetc", 404, "resource_not_found"),
        ("GET", "/plans/none", 404, "plan_not_found"),
        ("GET", "/plans/none/versions", 404, "plan_not_found"),
        ("GET", "/plans/none/charges", 404, "plan_not_found"),
        ("DELETE", "/plans/none/charges/none", 404, "plan_not_found"),
        ("DELETE", "/plans/none/charges/none?effective_at=soon", 422, "validation_errors"),
        ("DELETE", "/plans/none/charges/none?effective_at=2001-01-01", 404, "plan_not_found"),
        ("DELETE", "/plans/none/metadata", 404, "plan_not_found"),
        ("GET", "/add_ons/none", 404, "add_on_not_found"),
        ("GET", "/taxes/none", 404, "tax_not_found"),
        ("DELETE", "/taxes/none", 404, "tax_not_found"),
        ("GET", "/coupons/none", 404, "coupon_not_found"),
        ("GET", "/billing_entities/none", 404, "billing_entity_not_found"),
        ("GET", "/invoice_custom_sections/none", 404, "invoice_custom_section_not_found"),
        ("GET", "/customers/none/applied_coupons", 404, "customer_not_found"),
        ("PUT", "/plans/none", 400, None),
        ("GET", "/billable_metrics/none", 404, "billable_metric_not_found"),
        ("GET", "/subscriptions/none", 404, "subscription_not_found"),
        ("GET", "/events/none", 404, "event_not_found"),
        ("DELETE", "/api_keys/none", 404, "api_key_not_found"),
        ("DELETE", "/api_keys/01900000-0000-7000-8000-000000000000", 404, "api_key_not_found"),
        ("PATCH", "/customers", 405, "method_not_allowed"),
        ("DELETE", "/customers", 405, "method_not_allowed"),
        ("GET", "/subscriptions?status[]=dead", 422, "validation_errors"),
        ("GET", "/subscriptions/none?status=dead", 422, "validation_errors"),
        ("DELETE", "/subscriptions/none?on_termination_invoice=burn", 422, "validation_errors"),
        ("GET", "/events?timestamp_from=soon", 422, "validation_errors"),
        ("GET", "/events?rating_status=great", 422, "validation_errors"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_so(
    api: httpx.Client, method: str, path: str, status: int, code: str | None
) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=abc",
        "page=1.5",
        "page=99999999999999999999",
        "page=%D9%A1",
        "page=",
        "per_page=0",
        "per_page=-5",
        "per_page=1001",
        "per_page=x",
    ],
)
@pytest.mark.parametrize(
    "path", ["/customers", "/plans", "/billable_metrics", "/subscriptions", "/events", "/api_keys"]
)
def test_a_page_that_cannot_be_is_refused_by_name(api: httpx.Client, path: str, query: str) -> None:
    answer = api.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert list(answer.json()["error_details"]) == [query.split("=", maxsplit=1)[0]]


def test_a_request_that_is_no_http_does_not_stop_the_service(service, api: httpx.Client) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert api.get("/customers").status_code == 200
