"""Every operation that takes an id: another organization's is answered like one that nobody has.

The table has a row for each operation of the OpenAPI document. A new route without one fails.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from msgspec import Struct

from ledger.ids import new_uuid
from tests.api.billed import billing
from tests.api.conftest import NewShop, Service
from tests.api.market import Json, Shop, standard
from wallet_service.api.app import create_app
from wallet_service.embedded.redis import Redis
from wallet_service.settings import Settings

ITEMS = {"amount": "1", "asset_code": "USD"}
METRIC = {"name": "Calls", "code": "matrix", "aggregation_type": "count_agg"}
PLAN = {"name": "P", "code": "matrix", "interval": "monthly", "amount_currency": "USD"}
FIXED = {"charge_model": "standard", "units": "1"}
ADD_ON = {"name": "Setup", "amount_cents": 1000, "amount_currency": "USD"}
EU = {"values": {"region": ["eu"]}, "properties": {"amount": "1"}}
BUDGET = {"limit": "1000", "asset_code": "USD", "mode": "soft"}
TAX = {"name": "VAT", "rate": 20}
COUPON = {
    "name": "Ten",
    "coupon_type": "fixed_amount",
    "amount_cents": 1000,
    "amount_currency": "USD",
    "frequency": "once",
}
ALERT = {"alert_type": "current_usage_amount", "code": "a", "thresholds": [{"value": "1"}]}
STANDARD = {"charge_model": "standard", "properties": {"amount": "1"}}


class Row(Struct, frozen=True):
    """One request. ``{…}`` in its address and its body stands for an id of theirs, or a new one."""

    request: str
    address: str
    status: int
    body: Any = None


ROWS = [
    Row("DELETE /api_keys/{key_id}", "/api_keys/{key}", 404),
    Row("GET /assets/{code}", "/assets/{asset}", 404),
    Row("POST /assets", "/assets", 200, {"asset": {"code": "{asset_2}", "name": "Free"}}),
    Row("GET /authorizations", "/authorizations?external_customer_id={customer}", 200),
    Row("GET /authorizations", "/authorizations?transaction_id={call}", 200),
    Row("GET /authorizations/{authorization_id}", "/authorizations/{hold}", 404),
    Row(
        "POST /authorizations",
        "/authorizations",
        404,
        {"authorization": {"external_customer_id": "{customer}", "transaction_id": "m", **ITEMS}},
    ),
    Row(
        "POST /authorizations",
        "/authorizations",
        422,
        {
            "authorization": {
                "external_customer_id": "own",
                "external_subscription_id": "{subscription}",
                "transaction_id": "m",
                "code": "own",
            }
        },
    ),
    Row(
        "POST /authorizations",
        "/authorizations",
        422,
        {
            "authorization": {
                "external_customer_id": "own",
                "transaction_id": "m",
                "items": [{"code": "{metric}"}],
            }
        },
    ),
    Row(
        "POST /authorizations",
        "/authorizations",
        422,
        {
            "authorization": {
                "external_customer_id": "own",
                "transaction_id": "m",
                "amount": "1",
                "asset_code": "{asset}",
            }
        },
    ),
    *(
        Row(
            f"POST /authorizations/{question}",
            f"/authorizations/{question}",
            404,
            {"authorization": {"external_customer_id": "{customer}", **ITEMS}},
        )
        for question in ("estimate", "check")
    ),
    *(
        Row(
            f"POST /authorizations/{{authorization_id}}/{action}",
            f"/authorizations/{{{hold}}}/{action}",
            404,
            body,
        )
        for action, hold, body in (
            ("capture", "hold", {"capture": {"amount": "1"}}),
            ("extend", "hold", {"extend": {"amount": "1", "transaction_id": "m"}}),
            ("void", "hold", None),
            ("refund", "captured", {"refund": {"transaction_id": "m"}}),
        )
    ),
    Row("GET /customers/{external_id}/balances", "/customers/{customer}/balances", 404),
    Row(
        "GET /customers/{external_id}/balances", "/customers/{customer}/balances?source=ledger", 404
    ),
    Row(
        "POST /billable_metrics",
        "/billable_metrics",
        200,
        {"billable_metric": {**METRIC, "code": "{metric}"}},
    ),
    Row("GET /billable_metrics/{code}", "/billable_metrics/{metric_2}", 404),
    Row(
        "PUT /billable_metrics/{code}",
        "/billable_metrics/{metric_2}",
        404,
        {"billable_metric": {"name": "Taken over"}},
    ),
    Row("DELETE /billable_metrics/{code}", "/billable_metrics/{metric_2}", 404),
    *(
        Row("POST /budgets", "/budgets", 422, {"budget": BUDGET | {"code": "m", **scope}})
        for scope in (
            {"external_customer_id": "{customer}"},
            {"external_subscription_id": "{subscription}"},
            {"billable_metric_code": "{metric_2}"},
            {"api_key_id": "{key}"},
            {"asset_code": "{asset}"},
        )
    ),
    Row("POST /budgets", "/budgets", 200, {"budget": BUDGET | {"code": "{budget_2}"}}),
    Row("GET /budgets", "/budgets?external_customer_id={customer}", 200),
    Row("GET /budgets/{code}", "/budgets/{budget}", 404),
    Row("PUT /budgets/{code}", "/budgets/{budget}", 404, {"budget": {"limit": "0"}}),
    Row("DELETE /budgets/{code}", "/budgets/{budget}", 404),
    Row("GET /budgets/{code}/usage", "/budgets/{budget}/usage", 404),
    Row("GET /budgets/{code}/usage", "/budgets/own/usage?external_customer_id={customer}", 404),
    Row("GET /budgets/{code}/alerts", "/budgets/{budget}/alerts", 404),
    *(
        Row(f"POST /credit_notes{rest}", f"/credit_notes{rest}", 404, {"credit_note": body})
        for rest in ("", "/estimate")
        for body in (
            {"invoice_id": "{invoice}", "items": [{"fee_id": "{fee}", "amount_cents": 1}]},
            {"invoice_id": "{invoice}", "items": [{"fee_id": "m", "amount_cents": 1}]},
        )
    ),
    Row("GET /fees", "/fees?external_customer_id={customer}", 200),
    Row("GET /fees", "/fees?external_subscription_id={subscription}", 200),
    *(
        Row(f"{method} /fees/{{fee_id}}", "/fees/{fee}", 404, body)
        for method, body in (
            ("GET", None),
            ("PUT", {"fee": {"payment_status": "succeeded"}}),
            ("PUT", {"fee": {"units": 1}}),
            ("DELETE", None),
        )
    ),
    *(
        Row("POST /invoices/preview", "/invoices/preview", 404, body)
        for body in (
            {"customer": {"external_id": "{customer}"}, "plan_code": "own"},
            {"customer": {"external_id": "own"}, "plan_code": "{plan}"},
            {
                "customer": {"external_id": "own"},
                "subscriptions": {"external_ids": ["{subscription}"]},
            },
        )
    ),
    Row("GET /invoices", "/invoices?external_customer_id={customer}", 200),
    Row("GET /invoices", "/invoices?search_term={invoice}", 200),
    Row("GET /invoices", "/invoices?metadata[secret]={customer}", 200),
    *(
        Row("POST /invoices", "/invoices", status, {"invoice": body | {"currency": "USD"}})
        for status, body in (
            (404, {"external_customer_id": "{customer}", "fees": [{"add_on_code": "{add_on}"}]}),
            (422, {"external_customer_id": "own", "fees": [{"add_on_code": "{add_on}"}]}),
        )
    ),
    *(
        Row(f"{method} /invoices/{{invoice_id}}{rest}", f"/invoices/{{invoice}}{rest}", 404, body)
        for method, rest, body in (
            ("GET", "", None),
            ("PUT", "", {"invoice": {"payment_status": "succeeded"}}),
            ("PUT", "", {"invoice": {"metadata": [{"key": "taken", "value": "over"}]}}),
            ("DELETE", "", None),
            ("PUT", "/refresh", None),
            ("PUT", "/finalize", None),
            ("POST", "/retry", None),
            ("POST", "/regenerate", None),
            ("POST", "/retry_payment", None),
            ("POST", "/payment_url", None),
            ("POST", "/void", None),
            ("POST", "/void", {"generate_credit_note": True}),
            ("POST", "/lose_dispute", None),
            ("PUT", "/lose_dispute", None),
        )
    ),
    Row("GET /credit_notes", "/credit_notes?external_customer_id={customer}", 200),
    Row("GET /credit_notes", "/credit_notes?search_term={credit_note}", 200),
    *(
        Row(
            f"{method} /credit_notes/{{note_id}}{rest}",
            f"/credit_notes/{{credit_note}}{there}",
            404,
            body,
        )
        for method, rest, there, body in (
            ("GET", "", "", None),
            ("PUT", "", "", {"credit_note": {"refund_status": "succeeded"}}),
            ("PUT", "", "", {"credit_note": {"metadata": {"taken": "over"}}}),
            ("PUT", "/void", "/void", None),
            ("POST", "/metadata", "/metadata", {"metadata": {"taken": "over"}}),
            ("PATCH", "/metadata", "/metadata", {"metadata": {"taken": "over"}}),
            ("DELETE", "/metadata", "/metadata", None),
            ("DELETE", "/metadata/{name}", "/metadata/secret", None),
        )
    ),
    *(
        Row(f"GET /customers/{{external_id}}/{what}", f"/customers/{{customer}}/{what}", 404)
        for what in ("credit_notes", "invoices", "payments")
    ),
    Row(
        "POST /payments",
        "/payments",
        404,
        {"payment": {"invoice_id": "{invoice}", "amount_cents": 1, "reference": "m"}},
    ),
    Row("GET /payments", "/payments?external_customer_id={customer}", 200),
    Row("GET /payments", "/payments?invoice_id={invoice}", 200),
    Row("GET /payments/{payment_id}", "/payments/{payment}", 404),
    Row("GET /payment_receipts", "/payment_receipts?invoice_id={invoice}", 200),
    *(
        Row(
            f"{method} /{papers}/{{{parameter}}}/{file}",
            f"/{papers}/{{{name}}}/{file}",
            404,
        )
        for papers, parameter, name, ending in (
            ("invoices", "invoice_id", "invoice", ("pdf", "xml", "csv", "json")),
            ("credit_notes", "note_id", "credit_note", ("pdf", "xml", "csv", "json")),
            ("payment_receipts", "receipt_id", "receipt", ("pdf", "csv", "json")),
        )
        for method, file in (
            *(("GET", f"document.{form}") for form in ending),
            *(("POST", which) for which in ("download", "download_pdf")),
            *(("POST", "download_xml") for _ in range("xml" in ending)),
        )
    ),
    Row("GET /payment_receipts/{receipt_id}", "/payment_receipts/{receipt}", 404),
    Row("GET /customers/{external_id}", "/customers/{customer}", 404),
    Row("DELETE /customers/{external_id}", "/customers/{customer}", 404),
    Row("GET /customers", "/customers?search_term={customer}", 200),
    Row("GET /customers/{external_id}/subscriptions", "/customers/{customer}/subscriptions", 404),
    *(
        Row(
            f"GET /customers/{{external_id}}/{which}_usage",
            f"/customers/{customer}/{which}_usage?external_subscription_id={{subscription}}",
            404 if customer == "{customer}" or which == "past" else 405,
        )
        for which in ("current", "past", "projected")
        for customer in ("{customer}", "own")
    ),
    Row("GET /customers/{external_id}/wallets", "/customers/{customer}/wallets", 404),
    Row(
        "POST /customers/{external_id}/wallets",
        "/customers/{customer}/wallets",
        404,
        {"wallet": {"rate_amount": "1"}},
    ),
    *(
        Row(
            f"{method} /customers/{{external_id}}/wallets/{{code}}{rest}",
            f"/customers/{customer}/wallets/{{wallet_code}}{there}",
            404,
            body,
        )
        for customer in ("{customer}", "own")
        for method, rest, there, body in (
            ("GET", "", "", None),
            ("PUT", "", "", {"wallet": {"name": "Taken over"}}),
            ("DELETE", "", "", None),
            ("POST", "/metadata", "/metadata", {"metadata": {"taken": "over"}}),
            ("PATCH", "/metadata", "/metadata", {"metadata": {"taken": "over"}}),
            ("DELETE", "/metadata", "/metadata", None),
            ("DELETE", "/metadata/{name}", "/metadata/secret", None),
        )
    ),
    Row(
        "POST /features",
        "/features",
        422,
        {"feature": {"code": "m", "billable_metric_codes": ["{metric_2}"]}},
    ),
    Row("POST /features", "/features", 200, {"feature": {"code": "{feature}"}}),
    Row("GET /features", "/features?search_term={feature_2}", 200),
    Row("GET /features/{code}", "/features/{feature_2}", 404),
    Row("PUT /features/{code}", "/features/{feature_2}", 404, {"feature": {"name": "Taken over"}}),
    Row("DELETE /features/{code}", "/features/{feature_2}", 404),
    Row(
        "DELETE /features/{code}/privileges/{privilege_code}",
        "/features/{feature_2}/privileges/max",
        404,
    ),
    *(
        Row(
            f"{method} /{owners}/entitlements{rest}",
            f"/{owner}/entitlements{there}",
            status,
            None if method in {"GET", "DELETE"} else {"entitlements": {"{feature_2}": {}}},
        )
        for owners, methods, ours, theirs in (
            ("plans/{code}", ("POST", "PATCH", "GET"), "plans/own", "plans/{plan}"),
            (
                "subscriptions/{external_id}",
                ("PATCH", "GET"),
                "subscriptions/own",
                "subscriptions/{subscription}",
            ),
        )
        for method, rest, there, own_status in (
            *((method, "", "", 200 if method == "GET" else 422) for method in methods),
            *(
                (method, "/{feature_code}", "/{feature_2}", 404)
                for method in (("GET", "DELETE") if "POST" in methods else ("DELETE",))
            ),
            (
                "DELETE",
                "/{feature_code}/privileges/{privilege_code}",
                "/{feature_2}/privileges/max",
                404,
            ),
        )
        for owner, status in ((ours, own_status), (theirs, 404))
    ),
    Row(
        "POST /authorizations",
        "/authorizations",
        422,
        {
            "authorization": {
                "external_customer_id": "own",
                "transaction_id": "m",
                "features": ["{feature_2}"],
                **ITEMS,
            }
        },
    ),
    Row("GET /events/{transaction_id}", "/events/{event}", 404),
    Row("GET /events", "/events?external_subscription_id={subscription}", 200),
    Row("GET /events", "/events?external_customer_id={customer}", 200),
    Row(
        "POST /events",
        "/events",
        200,
        {
            "event": {
                "transaction_id": "{event}",
                "external_subscription_id": "{subscription}",
                "code": "{metric}",
            }
        },
    ),
    Row(
        "POST /events",
        "/events",
        200,
        {
            "event": {
                "transaction_id": "{call}",
                "external_customer_id": "{customer}",
                "code": "own",
            }
        },
    ),
    *(
        Row(
            f"POST /events/{which}",
            f"/events/{which}",
            422,
            {envelope: [event] if envelope == "events" else event},
        )
        for which, envelope in (
            ("estimate_fees", "event"),
            ("estimate_instant_fees", "event"),
            ("batch_estimate_instant_fees", "events"),
        )
        for event in (
            {"code": "own", "external_subscription_id": "{subscription}"},
            {"code": "own", "external_customer_id": "{customer}"},
            {"code": "{metric_2}", "external_subscription_id": "own"},
        )
    ),
    Row(
        "POST /events/batch",
        "/events/batch",
        200,
        {
            "events": [
                {"transaction_id": "{wallet}", "external_customer_id": "{customer}", "code": "own"}
            ]
        },
    ),
    Row(
        "POST /events/{transaction_id}/reverse",
        "/events/{event_2}/reverse",
        404,
        {"reverse": {"transaction_id": "m"}},
    ),
    Row("GET /grants", "/grants?wallet_id={wallet}", 404),
    Row("GET /grants", "/grants?external_customer_id={customer}", 404),
    Row("GET /ledger/accounts", "/ledger/accounts?asset_code={asset}", 404),
    Row("GET /ledger/accounts/{account_id}", "/ledger/accounts/{grant}", 404),
    Row("GET /ledger/transfers", "/ledger/transfers?account_id={grant}", 404),
    Row("GET /ledger/statements", "/ledger/statements?account_id={grant}", 404),
    Row("GET /ledger/trial_balance", "/ledger/trial_balance?asset_code={asset}", 404),
    Row("GET /grants/{grant_id}", "/grants/{grant}", 404),
    Row(
        "POST /grants",
        "/grants",
        422,
        {"grant": {"wallet_id": "{wallet}", "amount": "1", "transaction_id": "m"}},
    ),
    Row(
        "POST /grants",
        "/grants",
        422,
        {
            "grant": {
                "external_customer_id": "{customer}",
                "wallet_code": "{wallet_code}",
                "amount": "1",
                "transaction_id": "m",
            }
        },
    ),
    Row(
        "POST /plans",
        "/plans",
        422,
        {"plan": PLAN | {"charges": [STANDARD | {"billable_metric_id": "{metric_id}"}]}},
    ),
    Row("GET /plans/{code}", "/plans/{plan}", 404),
    Row("PUT /plans/{code}", "/plans/{plan}", 404, {"plan": {"name": "Taken over"}}),
    Row("DELETE /plans/{code}", "/plans/{plan}", 404),
    *(
        Row(
            f"{method} /plans/{{code}}/charges{rest}",
            f"/plans/{plan}/charges{there}",
            404,
            body,
        )
        for plan in ("{plan}", "own")
        for method, rest, there, body in (
            ("GET", "/{charge_code}", "/{metric}", None),
            ("PUT", "/{charge_code}", "/{metric}", {"charge": {"prorated": False}}),
            ("DELETE", "/{charge_code}", "/{metric}", None),
            ("GET", "/{charge_code}/filters", "/{metric}/filters", None),
            ("POST", "/{charge_code}/filters", "/{metric}/filters", {"filter": EU}),
            ("GET", "/{charge_code}/filters/{filter_id}", "/{metric}/filters/{filter}", None),
            (
                "PUT",
                "/{charge_code}/filters/{filter_id}",
                "/{metric}/filters/{filter}",
                {"filter": EU},
            ),
            ("DELETE", "/{charge_code}/filters/{filter_id}", "/{metric}/filters/{filter}", None),
        )
    ),
    Row(
        "GET /plans/{code}/charges/{charge_code}/filters/{filter_id}",
        "/plans/own/charges/own/filters/{filter}",
        404,
    ),
    Row("GET /plans/{code}/charges", "/plans/{plan}/charges", 404),
    *(
        Row(
            f"{method} /plans/{{code}}/fixed_charges/{{fixed_charge_code}}",
            f"/plans/{plan}/fixed_charges/{{add_on}}",
            404,
            body,
        )
        for plan in ("{plan}", "own")
        for method, body in (
            ("GET", None),
            ("PUT", {"fixed_charge": {"units": "2"}}),
            ("DELETE", None),
        )
    ),
    Row("GET /plans/{code}/fixed_charges", "/plans/{plan}/fixed_charges", 404),
    *(
        Row("POST /plans/{code}/fixed_charges", f"/plans/{plan}/fixed_charges", status, body)
        for plan, status in (("{plan}", 404), ("own", 422))
        for body in (
            {"fixed_charge": FIXED | {"add_on_code": "{add_on}"}},
            {"fixed_charge": FIXED | {"add_on_id": "{add_on_id}"}},
        )
    ),
    *(
        Row(
            f"{method} /plans/{{code}}/metadata{rest}",
            f"/plans/{{plan}}/metadata{there}",
            404,
            body,
        )
        for method, rest, there, body in (
            ("POST", "", "", {"metadata": {"taken": "over"}}),
            ("PATCH", "", "", {"metadata": {"taken": "over"}}),
            ("DELETE", "", "", None),
            ("DELETE", "/{name}", "/secret", None),
        )
    ),
    Row("GET /plans/{code}/versions", "/plans/{plan}/versions", 404),
    Row("GET /add_ons/{code}", "/add_ons/{add_on}", 404),
    Row("PUT /add_ons/{code}", "/add_ons/{add_on}", 404, {"add_on": {"name": "Taken over"}}),
    Row("DELETE /add_ons/{code}", "/add_ons/{add_on}", 404),
    Row("POST /add_ons", "/add_ons", 200, {"add_on": ADD_ON | {"code": "{add_on_2}"}}),
    *(
        Row(f"{method} /{path}/{{code}}", f"/{path}/{{{name}}}", 404, body)
        for path, name, change in (
            ("taxes", "tax", {"tax": {"name": "Taken over"}}),
            ("coupons", "coupon", {"coupon": {"name": "Taken over"}}),
            (
                "invoice_custom_sections",
                "section",
                {"invoice_custom_section": {"name": "Taken over"}},
            ),
            ("billing_entities", "entity", {"billing_entity": {"name": "Taken over"}}),
        )
        for method, body in (("GET", None), ("PUT", change), ("DELETE", None))
        if (method, path) != ("DELETE", "billing_entities")
    ),
    Row("POST /taxes", "/taxes", 200, {"tax": TAX | {"code": "{tax_2}"}}),
    Row("POST /coupons", "/coupons", 200, {"coupon": COUPON | {"code": "{coupon_2}"}}),
    Row(
        "POST /coupons",
        "/coupons",
        422,
        {"coupon": COUPON | {"code": "m", "applies_to": {"plan_codes": ["{plan}"]}}},
    ),
    Row(
        "POST /invoice_custom_sections",
        "/invoice_custom_sections",
        200,
        {"invoice_custom_section": {"code": "{section_2}", "name": "Section"}},
    ),
    Row(
        "POST /billing_entities",
        "/billing_entities",
        422,
        {"billing_entity": {"code": "m", "name": "Entity", "tax_codes": ["{tax}"]}},
    ),
    Row(
        "POST /applied_coupons",
        "/applied_coupons",
        404,
        {"applied_coupon": {"external_customer_id": "own", "coupon_code": "{coupon}"}},
    ),
    Row(
        "POST /applied_coupons",
        "/applied_coupons",
        404,
        {"applied_coupon": {"external_customer_id": "{customer}", "coupon_code": "own"}},
    ),
    Row("GET /applied_coupons", "/applied_coupons?external_customer_id={customer}", 200),
    Row("GET /applied_coupons", "/applied_coupons?coupon_code[]={coupon}", 200),
    Row(
        "GET /customers/{external_id}/applied_coupons",
        "/customers/{customer}/applied_coupons",
        404,
    ),
    *(
        Row(
            "DELETE /customers/{external_id}/applied_coupons/{applied_coupon_id}",
            f"/customers/{customer}/applied_coupons/{{applied}}",
            404,
        )
        for customer in ("own", "{customer}")
    ),
    Row(
        "POST /plans/{code}/charges",
        "/plans/own/charges",
        422,
        {"charge": STANDARD | {"billable_metric_code": "own", "tax_codes": ["{tax}"]}},
    ),
    Row(
        "POST /plans/{code}/charges",
        "/plans/{plan}/charges",
        404,
        {"charge": STANDARD | {"billable_metric_code": "own"}},
    ),
    Row(
        "POST /plans/{code}/charges",
        "/plans/own/charges",
        422,
        {"charge": STANDARD | {"billable_metric_id": "{metric_id}"}},
    ),
    Row(
        "POST /plans/{code}/charges",
        "/plans/own/charges",
        422,
        {"charge": STANDARD | {"billable_metric_code": "own", "asset_code": "{asset}"}},
    ),
    Row("GET /subscriptions", "/subscriptions?external_customer_id={customer}", 200),
    Row("GET /subscriptions", "/subscriptions?plan_code={plan}", 200),
    Row("GET /subscriptions/{external_id}", "/subscriptions/{subscription}", 404),
    Row(
        "PUT /subscriptions/{external_id}",
        "/subscriptions/{subscription}",
        404,
        {"subscription": {"name": "Taken over"}},
    ),
    Row("DELETE /subscriptions/{external_id}", "/subscriptions/{subscription}", 404),
    *(
        Row(
            f"{method} /subscriptions/{{external_id}}{path}",
            f"/subscriptions/{{subscription}}{address}",
            404,
            body,
        )
        for method, path, address, body in (
            ("GET", "/alerts", "/alerts", None),
            ("POST", "/alerts", "/alerts", {"alert": ALERT}),
            ("DELETE", "/alerts", "/alerts", None),
            ("GET", "/alerts/{code}", "/alerts/{alert}", None),
            ("PUT", "/alerts/{code}", "/alerts/{alert}", {"alert": ALERT}),
            ("DELETE", "/alerts/{code}", "/alerts/{alert}", None),
            ("GET", "/lifetime_usage", "/lifetime_usage", None),
            (
                "PUT",
                "/lifetime_usage",
                "/lifetime_usage",
                {"lifetime_usage": {"external_historical_usage_amount_cents": 1}},
            ),
            ("GET", "/charges", "/charges", None),
            ("GET", "/charges/{charge_code}", "/charges/{metric}", None),
            ("PUT", "/charges/{charge_code}", "/charges/{metric}", {"charge": STANDARD}),
            ("GET", "/charges/{charge_code}/filters", "/charges/{metric}/filters", None),
            ("POST", "/charges/{charge_code}/filters", "/charges/{metric}/filters", {"filter": EU}),
            (
                "GET",
                "/charges/{charge_code}/filters/{filter_id}",
                "/charges/{metric}/filters/{filter}",
                None,
            ),
            (
                "PUT",
                "/charges/{charge_code}/filters/{filter_id}",
                "/charges/{metric}/filters/{filter}",
                {"filter": EU},
            ),
            (
                "DELETE",
                "/charges/{charge_code}/filters/{filter_id}",
                "/charges/{metric}/filters/{filter}",
                None,
            ),
            ("GET", "/fixed_charges", "/fixed_charges", None),
            ("GET", "/fixed_charges/{fixed_charge_code}", "/fixed_charges/{add_on}", None),
            (
                "PUT",
                "/fixed_charges/{fixed_charge_code}",
                "/fixed_charges/{add_on}",
                {"fixed_charge": {"units": "2"}},
            ),
        )
    ),
    Row(
        "POST /subscriptions",
        "/subscriptions",
        404,
        {
            "subscription": {
                "external_customer_id": "own",
                "external_id": "m",
                "plan_code": "{plan}",
            }
        },
    ),
    Row(
        "POST /wallet_transactions",
        "/wallet_transactions",
        422,
        {"wallet_transaction": {"wallet_id": "{wallet}", "granted_credits": "1"}},
    ),
    Row("GET /wallet_transactions/{transaction_id}", "/wallet_transactions/{purchase}", 404),
    Row(
        "POST /wallet_transactions/{transaction_id}/settle",
        "/wallet_transactions/{purchase}/settle",
        404,
    ),
    Row(
        "POST /wallet_transactions/{transaction_id}/fail",
        "/wallet_transactions/{purchase}/fail",
        404,
    ),
    Row(
        "POST /wallets",
        "/wallets",
        422,
        {"wallet": {"external_customer_id": "{customer}", "rate_amount": "1"}},
    ),
    Row("GET /wallets", "/wallets?external_customer_id={customer}", 404),
    *(
        Row(f"{method} /wallets/{{wallet_id}}{rest}", f"/wallets/{{wallet}}{there}", 404, body)
        for method, rest, there, body in (
            ("GET", "", "", None),
            ("PUT", "", "", {"wallet": {"name": "Taken over"}}),
            ("DELETE", "", "", None),
            ("POST", "/metadata", "/metadata", {"metadata": {"taken": "over"}}),
            ("PATCH", "/metadata", "/metadata", {"metadata": {"taken": "over"}}),
            ("DELETE", "/metadata", "/metadata", None),
            ("DELETE", "/metadata/{name}", "/metadata/secret", None),
            ("GET", "/wallet_transactions", "/wallet_transactions", None),
        )
    ),
]

WITHOUT_IDS = {
    "GET /api_keys",
    "POST /api_keys",
    "GET /add_ons",
    "GET /assets",
    "GET /billable_metrics",
    "GET /billing_entities",
    "GET /coupons",
    "GET /invoice_custom_sections",
    "GET /taxes",
    "POST /billable_metrics/evaluate_expression",
    "POST /customers",
    "GET /organizations",
    "PUT /organizations",
    "GET /plans",
}
"""Nothing of anybody can be named here."""


@pytest.fixture(scope="module")
async def theirs(
    new_shop: NewShop, service: Service, redis_server: Redis
) -> tuple[Shop, dict[str, str]]:
    """One of everything, in another organization, and what it is called."""
    shop = await new_shop("theirs")
    metric = shop.unique("metric")
    metric_id = shop.metric(metric, region=["eu"])
    other_metric = shop.unique("metric")
    shop.metric(other_metric)
    plan = shop.unique("plan")
    add_on, other_add_on = shop.unique("add-on"), shop.unique("add-on")
    for code in (add_on, other_add_on):
        sold = shop.ok("/add_ons", add_on=ADD_ON | {"code": code})["add_on"]
    terms = {
        "fixed_charges": [FIXED | {"add_on_code": add_on}],
        "metadata": {"secret": "yes"},
    }
    (charge,) = shop.plan(plan, standard(metric_id, "1", filters=[EU]), **terms)["charges"]
    customer = shop.customer(plan)
    alert = shop.unique("alert")
    shop.ok(f"/subscriptions/{customer}-0/alerts", alert=ALERT | {"code": alert})
    metadata = {"secret": "yes"}
    code = shop.unique("wallet")
    wallet = shop.wallet(customer, granted_credits="100", code=code, metadata=metadata)
    hold = shop.held(customer, **ITEMS)
    captured = shop.held(customer, **ITEMS)
    shop.done(captured, "capture", amount="1")
    event = shop.charged(external_customer_id=customer, code=metric)
    again = shop.charged(external_customer_id=customer, code=metric)
    purchase = {"wallet_id": wallet["lago_id"], "paid_credits": "5"}
    (bought,) = shop.ok("/wallet_transactions", wallet_transaction=purchase)["wallet_transactions"]
    for unit in ("THEIR_UNIT", "THEIR_OTHER_UNIT"):
        shop.ok("/assets", asset={"code": unit, "name": "Unit", "kind": "unit", "scale": 0})
    features = [shop.unique("feature") for _ in range(2)]
    for feature in features:
        privileges = [{"code": "max", "value_type": "integer"}]
        shop.ok("/features", feature={"code": feature, "privileges": privileges})
    shop.ok(f"/plans/{plan}/entitlements", entitlements={features[1]: {"max": 5}})
    names = taxed(shop, customer)
    codes = [shop.unique("budget") for _ in range(2)]
    for budget in codes:
        terms = BUDGET | {"code": budget, "external_customer_id": customer}
        shop.ok("/budgets", budget=terms)
    key = shop.ok("/api_keys", api_key={"name": "theirs"})["api_key"]
    billed = await bill_of(shop, customer, service, redis_server)
    return shop, billed | {
        "key": key["id"],
        "asset": "THEIR_UNIT",
        "asset_2": "THEIR_OTHER_UNIT",
        "customer": customer,
        "subscription": f"{customer}-0",
        "alert": alert,
        "metric": metric,
        "metric_2": other_metric,
        "metric_id": metric_id,
        "plan": plan,
        "add_on": add_on,
        "add_on_2": other_add_on,
        "add_on_id": sold["lago_id"],
        "filter": charge["filters"][0]["lago_id"],
        "feature": features[0],
        "feature_2": features[1],
        "hold": hold["id"],
        "captured": captured["id"],
        "call": hold["transaction_id"],
        "event": event["transaction_id"],
        "event_2": again["transaction_id"],
        "grant": shop.balances(customer)[0]["grants"][0]["id"],
        "wallet": wallet["lago_id"],
        "wallet_code": code,
        "purchase": bought["lago_id"],
        "budget": codes[0],
        "budget_2": codes[1],
        **names,
    }


async def bill_of(
    shop: Shop, customer: str, service: Service, redis_server: Redis
) -> dict[str, str]:
    """An invoice of theirs with a payment, its receipt and a credit note."""
    async with billing(service, redis_server.url()) as of:
        invoice = await of(shop.api)(customer)
    paid = {"invoice_id": invoice["id"], "amount_cents": 60_00, "reference": "wire"}
    payment = shop.ok("/payments", payment=paid)["payment"]
    (receipt,) = shop.api.get("/payment_receipts").json()["payment_receipts"]
    note = {
        "invoice_id": invoice["id"],
        "items": [{"fee_id": invoice["fees"][0], "amount_cents": 50_00}],
        "credit_amount_cents": 30_00,
        "refund_amount_cents": 30_00,
        "metadata": {"secret": "yes"},
    }
    credit_note = shop.ok("/credit_notes", credit_note=note)["credit_note"]
    return {
        "invoice": invoice["id"],
        "fee": invoice["fees"][0],
        "payment": payment["lago_id"],
        "receipt": receipt["lago_id"],
        "credit_note": credit_note["lago_id"],
    }


def taxed(shop: Shop, customer: str) -> dict[str, str]:
    """Taxes, coupons and what goes with them, and what they are called."""
    kinds = ("tax", "coupon", "section", "entity")
    names = {f"{kind}{n}": shop.unique(kind) for kind in kinds for n in ("", "_2")}
    for n in ("", "_2"):
        shop.ok("/taxes", tax=TAX | {"code": names[f"tax{n}"]})
        shop.ok("/coupons", coupon=COUPON | {"code": names[f"coupon{n}"]})
        section = {"code": names[f"section{n}"], "name": "Section"}
        shop.ok("/invoice_custom_sections", invoice_custom_section=section)
    shop.ok("/billing_entities", billing_entity={"code": names["entity"], "name": "Entity"})
    given = {"external_customer_id": customer, "coupon_code": names["coupon"]}
    applied = shop.ok("/applied_coupons", applied_coupon=given)["applied_coupon"]
    return names | {"applied": applied["lago_id"]}


@pytest.fixture(scope="module")
async def ours(new_shop: NewShop) -> Shop:
    """An organization that has only a customer, with a wallet and something to pay for."""
    shop = await new_shop("ours")
    shop.plan("own", standard(shop.metric("own"), "1"))
    shop.ok("/customers", customer={"external_id": "own", "currency": "USD"})
    shop.subscribe("own", "own", "own")
    shop.wallet("own", granted_credits="10", code="own")
    shop.ok("/budgets", budget=BUDGET | {"code": "own", "per": "customer"})
    return shop


def random_names(known: Mapping[str, str]) -> dict[str, str]:
    """Names of the same kinds that nobody has."""
    unknown = {name: str(new_uuid(datetime.now(UTC))) for name in known}
    code = f"NOT_{unknown['key'][-8:].upper()}"
    return unknown | {"asset": code, "asset_2": f"{code}_2"}


def filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key.format(**names): filled(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, names) for inner in value]
    return value.format(**names) if isinstance(value, str) else value


def shown(answer: httpx.Response, names: Mapping[str, str]) -> tuple[int, str]:
    """Status and body, with the caller's words and all that is new in every answer left out."""
    text = answer.text
    for name in sorted(names, key=lambda name: -len(names[name])):
        text = text.replace(names[name], "{name}")
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "{id}", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "{time}", text)
    return answer.status_code, text


def contents(shop: Shop, names: Mapping[str, str]) -> list[Json]:
    """What the other organization sees of its own."""
    addresses = [
        *(f"/customers/{names['customer']}{rest}" for rest in ("", "/balances", "/wallets")),
        *(f"/authorizations/{names[hold]}" for hold in ("hold", "captured")),
        f"/billable_metrics/{names['metric']}",
        f"/billable_metrics/{names['metric_2']}",
        f"/plans/{names['plan']}/entitlements",
        *(f"/plans/{names['plan']}{rest}" for rest in ("", "/versions")),
        f"/plans/{names['plan']}/fixed_charges/{names['add_on']}",
        f"/add_ons/{names['add_on']}",
        f"/add_ons/{names['add_on_2']}",
        f"/subscriptions/{names['subscription']}",
        f"/subscriptions/{names['subscription']}/entitlements",
        f"/subscriptions/{names['subscription']}/charges",
        "/features",
        *("/credit_notes", "/payments", "/payment_receipts", "/invoices", "/fees"),
        *("/taxes", "/coupons", "/invoice_custom_sections", "/billing_entities"),
        "/applied_coupons",
        f"/invoices/{names['invoice']}",
        f"/wallets/{names['wallet']}",
        f"/wallets/{names['wallet']}/wallet_transactions",
        f"/grants/{names['grant']}",
        "/api_keys",
        "/assets?per_page=1000",
        f"/budgets/{names['budget']}/usage",
        "/budgets",
        "/events",
    ]
    answers = [shop.api.get(address) for address in addresses]
    assert [answer.status_code for answer in answers] == [200] * len(addresses)
    return [answer.json() for answer in answers]


def test_every_operation_has_a_row() -> None:
    described = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in create_app(Settings()).openapi_schema.to_schema()["paths"].items()
        for method in methods
        if path.startswith("/api/v1")
    }
    rows = {row.request for row in ROWS}
    assert rows | WITHOUT_IDS == described
    assert not rows & WITHOUT_IDS


def test_no_operation_tells_theirs_from_nobodys(
    ours: Shop, theirs: tuple[Shop, dict[str, str]]
) -> None:
    their_shop, their_names = theirs
    before = contents(their_shop, their_names)
    told: list[str] = []
    for row in ROWS:
        method = row.request.split(" ", maxsplit=1)[0]
        answers: list[tuple[int, str]] = []
        for names in (their_names, random_names(their_names)):
            answer = ours.api.request(
                method, row.address.format(**names), json=filled(row.body, names)
            )
            answers.append(shown(answer, names))
        if answers[0] != answers[1] or answers[0][0] != row.status:
            told.append(f"{row.request} {row.address}: {answers}")
    assert not told, "\n".join(told)
    assert contents(their_shop, their_names) == before


def test_another_organizations_keys_repeat_nothing(
    ours: Shop, theirs: tuple[Shop, dict[str, str]]
) -> None:
    their_shop, names = theirs
    before = contents(their_shop, names)
    hold = ours.held("own", transaction_id=names["call"], **ITEMS)
    assert hold["id"] != names["hold"]
    event = ours.charged(transaction_id=names["event_2"], external_customer_id="own", code="own")
    assert event["external_subscription_id"] == "own"
    assert contents(their_shop, names) == before
