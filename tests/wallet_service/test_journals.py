"""Journals keep to their formats, whatever customers are called."""

from datetime import date

import pytest

from ledger.chart import AccountCode, TransferCode
from wallet_service.journals import Commodity, Entry, Journal, Stand, account_name, written
from wallet_service.revenue_lines import (
    AccountName,
    Flow,
    Share,
    income_of,
    income_shared,
    owed_of,
    trial_balance_of,
)

USD = Commodity("USD", "US dollar", 9)
GRANT, REVENUE = AccountName(AccountCode.GRANT_PAID), AccountName(AccountCode.REVENUE)


def test_every_kind_of_account_has_a_name_of_its_own():
    names = {account_name(AccountName(code)) for code in AccountCode}
    assert len(names) == len(AccountCode)


def test_providers_keep_apart():
    payments = AccountCode.PAYMENTS
    names = {account_name(AccountName(payments, each)) for each in ("a_b", "a__b", "ab", "a_b_")}
    assert len(names) == 4


async def a_journal(code: str, scale: int, customer: str, dialect) -> str:
    commodity = Commodity(code, customer, scale)

    async def entries():
        yield Entry(
            day=date(2026, 11, 3),
            reason="debit",
            commodity=commodity,
            debit=GRANT,
            credit=REVENUE,
            amount_minor=1,
            details={"customer": customer},
        )

    journal = Journal(
        title=customer,
        opened=date(2026, 11, 1),
        closed=date(2026, 12, 1),
        accounts=[(GRANT, commodity), (REVENUE, commodity)],
        opening=[],
        entries=entries(),
        closing=[Stand(account=GRANT, commodity=commodity, balance_minor=1)],
    )
    return "".join([text async for text in written(journal, dialect)])


@pytest.mark.parametrize("dialect", ["beancount", "hledger"])
@pytest.mark.parametrize("line_end", ["\n", "\r", "\x85", "\u2028", "\x0b", "\x00"])
async def test_no_name_begins_a_line_of_its_own(dialect, line_end):
    text = await a_journal("USD", 9, f"a{line_end}2026-01-01 open Assets:Stolen", dialect)
    assert not [line for line in text.splitlines() if line.startswith("2026-01-01")]


async def test_amounts_are_exact_at_every_scale():
    assert "0.000000000000000001 FINE" in await a_journal("FINE", 18, "x", "beancount")
    assert '1 "WHOLE"' in await a_journal("WHOLE", 0, "x", "hledger")


async def test_codes_that_beancount_does_not_take_get_others_that_nobody_has():
    codes = ["A", "A_", "A__", "A_B", "TRUE", "NULL_", "TRUE_"]
    texts = [await a_journal(code, 2, "x", "beancount") for code in codes]
    shown = [text.split("commodity ")[1].split("\n")[0] for text in texts]
    assert shown == ["A", "A-U1", "A-U2", "A_B", "TRUE-U0", "NULL-U1", "TRUE-U1"]


# -- what flows say --------------------------------------------------------------------------------


def flow(code: TransferCode, debit: AccountCode, credit: AccountCode, amount: int, **terms) -> Flow:
    fields = {"month": date(2026, 11, 1), "asset_code": "USD", "transfers": 1} | terms
    return Flow(
        code=code,
        debit=AccountName(debit),
        credit=AccountName(credit),
        amount_minor=amount,
        **fields,
    )


def lines(flows: list[Flow]) -> dict[str, int]:
    found = income_of(flows, by_month=False)
    return {f"{line.section}/{line.name}": line.amount_minor for line in found}


T, A = TransferCode, AccountCode

INCOME = [
    (flow(T.DEBIT, A.GRANT_PAID, A.REVENUE, 5), {"revenue/usage_paid": 5}),
    (flow(T.HOLD, A.GRANT_PROMOTIONAL, A.REVENUE, 5), {"revenue/usage_promotional": 5}),
    (flow(T.CAPTURE, A.OVERDRAFT, A.REVENUE, 5), {"revenue/usage_overdraft": 5}),
    (flow(T.OVERAGE, A.OVERAGE, A.REVENUE, 5), {"revenue/usage_overage": 5}),
    (flow(T.REVERSAL, A.REVENUE, A.GRANT_PAID, 5), {"revenue/usage_paid": -5}),
    (flow(T.INVOICE, A.RECEIVABLE, A.REVENUE, 5), {"revenue/invoiced": 5}),
    (flow(T.INVOICE, A.REVENUE, A.RECEIVABLE, 5), {"revenue/invoiced": -5}),
    (flow(T.INVOICE_ROUNDING, A.REVENUE, A.RECEIVABLE, 5), {"revenue/invoice_rounding": -5}),
    (flow(T.INVOICE_VOIDED, A.REVENUE, A.RECEIVABLE, 5), {"revenue/invoices_voided": -5}),
    (flow(T.CREDIT_NOTE, A.REVENUE, A.CUSTOMER_CREDIT, 5), {"revenue/credit_notes": -5}),
    (flow(T.CREDIT_NOTE, A.CUSTOMER_CREDIT, A.DISCOUNTS, 5), {"discounts/credit_notes": 5}),
    (flow(T.INVOICE_COUPONS, A.DISCOUNTS, A.RECEIVABLE, 5), {"discounts/coupons": -5}),
    (flow(T.RECOGNISE_REVENUE, A.DEFERRED_REVENUE, A.REVENUE, 5), {"revenue/units_used": 5}),
    (flow(T.UNITS_EXPIRED, A.DEFERRED_REVENUE, A.BREAKAGE, 5), {"breakage/units_expired": 5}),
    (flow(T.GRANT_EXPIRED, A.GRANT_PAID, A.BREAKAGE, 5), {"breakage/grants_expired": 5}),
    (flow(T.PROMOTION, A.PROMOTIONS, A.GRANT_PROMOTIONAL, 5), {"promotions/credits_granted": -5}),
    (
        flow(T.GRANT_EXPIRED, A.GRANT_PROMOTIONAL, A.PROMOTIONS, 5),
        {"promotions/grants_expired": 5},
    ),
    (flow(T.INVOICE_TAXES, A.RECEIVABLE, A.TAX_PAYABLE, 5), {"taxes/invoiced": 5}),
    (flow(T.TOP_UP, A.PAYMENTS, A.GRANT_PAID, 5), {}),
    (flow(T.INVOICE_PREPAID, A.GRANT_PAID, A.RECEIVABLE, 5), {}),
]


@pytest.mark.parametrize(("moved", "expected"), INCOME)
def test_each_movement_has_its_line_of_income(moved, expected):
    assert lines([moved]) == expected


def test_what_was_before_is_no_income_of_the_time():
    assert lines([flow(T.DEBIT, A.GRANT_PAID, A.REVENUE, 5, month=None)]) == {}


def test_shares_never_change_the_sum():
    flows = [
        flow(T.DEBIT, A.GRANT_PAID, A.REVENUE, 5),
        flow(T.OVERAGE, A.OVERAGE, A.REVENUE, 4),
        flow(T.INVOICE, A.RECEIVABLE, A.REVENUE, 7),
    ]
    shares = [
        Share(asset_code="USD", group="tokens", name="usage", amount_minor=8),
        Share(asset_code="USD", group="seats", name="invoiced", amount_minor=10),
    ]
    found = income_shared(flows, shares)
    assert {(line.name, line.group): line.amount_minor for line in found} == {
        ("usage", "tokens"): 8,
        ("usage", ""): 1,
        ("invoiced", "seats"): 10,
        ("invoiced", ""): -3,
    }


def test_an_overdraft_is_owed_as_far_as_it_is_used():
    flows = [
        flow(T.CREDIT_LINE, A.CREDIT_LINES, A.OVERDRAFT, 100),
        flow(T.DEBIT, A.OVERDRAFT, A.REVENUE, 30),
        flow(T.REPAY_OVERDRAFT, A.GRANT_PAID, A.OVERDRAFT, 10),
    ]
    used = {line.name: line for line in owed_of(flows)}["overdrafts_used"]
    assert (used.section, used.increase_minor, used.decrease_minor) == ("assets", 30, 10)
    assert used.closing_minor == 20


def test_a_trial_balance_has_opening_balances_apart():
    flows = [
        flow(T.TOP_UP, A.PAYMENTS, A.GRANT_PAID, 10, month=None),
        flow(T.DEBIT, A.GRANT_PAID, A.REVENUE, 3),
    ]
    found = {line.account.code: line for line in trial_balance_of(flows)}
    grant = found[A.GRANT_PAID]
    assert (grant.opening_minor, grant.debits_minor, grant.credits_minor) == (-10, 3, 0)
    assert sum(line.closing_minor for line in found.values()) == 0
