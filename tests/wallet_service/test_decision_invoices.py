"""Invoices in the book: what is earned, who pays, what is left, and how all of it is taken back."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from invoicing.settlements import (
    CreditNoteRequest,
    Payable,
    PayRequest,
    Settlement,
    SettleRequest,
    Voided,
    VoidRequest,
)
from ledger.chart import AccountCode
from ledger.ids import hash128
from tests.wallet_service.desk import USD, Desk
from wallet_service.decision.commands import (
    BookCreditNote,
    Payer,
    PayInvoice,
    RefundCreditNote,
    SettleInvoice,
    VoidCreditNote,
    VoidInvoice,
)
from wallet_service.errors import Invalid, NotAllowed

CENT = 100
"""The desk's dollar counts hundredths of a cent."""
INVOICE = UUID(int=77)


class Books(Desk):
    """A desk at which invoices are booked. Amounts of lines are in cents."""

    cent = CENT

    def invoice(
        self,
        *,
        fees: int = 0,
        lines: dict[str, int] | None = None,
        debited: int = 0,
        invoice_type: str = "subscription",
        uses_wallets: bool = True,
        customer: str = "acme",
        name: str = "invoice",
        **amounts: Any,
    ) -> Settlement:
        """Settle an invoice. `lines` name a fee type, or a metric; the rest is in its unit."""
        if lines is None:
            taxed = fees + amounts.get("taxes", 0) - amounts.get("coupons", 0)
            lines = {"subscription": taxed * self.cent - debited}
        payables = [
            Payable(
                fee_id=UUID(int=number),
                fee_type=kind if kind in {"subscription", "add_on", "commitment"} else "charge",
                billable_metric_code=None if kind in {"subscription", "add_on"} else kind,
                amount_minor=amount,
            )
            for number, (kind, amount) in enumerate(lines.items())
        ]
        request = SettleRequest(
            invoice_id=UUID(int=hash128(name)),
            revision=1,
            currency="USD",
            invoice_type=invoice_type,
            fees_minor=fees * self.cent,
            progressive_minor=amounts.get("progressive", 0) * self.cent,
            coupons_minor=amounts.get("coupons", 0) * self.cent,
            taxes_minor=amounts.get("taxes", 0) * self.cent,
            credit_notes_minor=amounts.get("credit_notes", 0) * self.cent,
            debited_minor=debited,
            overage_minor=amounts.get("overage", 0),
            debited_from=amounts.get("debited_from", {}),
            payables=payables,
            uses_wallets=uses_wallets,
        )
        promotional = tuple(
            grant_id
            for grant_id in request.debited_from
            if self.rows.grants[grant_id][0].kind == "promotional"
        )
        reply = self.do(
            SettleInvoice(
                asset=USD, cent_minor=self.cent, request=request, promotional=promotional
            ),
            customer=customer,
            key=f"invoice:{name}:1",
            body=name,
        )
        settlement = Settlement.of(reply)
        assert settlement == Settlement.of(settlement.to_json())
        return settlement

    def void_invoice(self, settlement: Settlement, *, name: str = "invoice") -> Voided:
        payers = [
            Payer(
                id=row.id,
                wallet_id=row.wallet_id,
                kind=row.kind,
                priority=row.priority,
                expires_at=row.expires_at,
            )
            for row, _ in self.rows.grants.values()
        ]
        request = VoidRequest(
            invoice_id=UUID(int=hash128(name)), currency="USD", settlement=settlement
        )
        reply = self.do(
            VoidInvoice(asset=USD, cent_minor=self.cent, request=request, payers=tuple(payers)),
            key=f"invoice:{name}:void",
            body=name,
        )
        return msgspec.convert(reply, Voided)

    def stands(self) -> dict[str, int]:
        """What the accounts that invoices move stand at."""
        codes = ("RECEIVABLE", "REVENUE", "TAX_PAYABLE", "DISCOUNTS", "CUSTOMER_CREDIT")
        found = {code.lower(): self.house(AccountCode[code]) for code in codes}
        return {name: amount for name, amount in found.items() if amount}


@pytest.fixture
def desk() -> Books:
    return Books()


def test_without_wallets_all_of_it_is_due(desk: Books):
    settled = desk.invoice(fees=1_000, coupons=100, taxes=90, credit_notes=40, uses_wallets=False)
    assert (settled.due_cents, settled.prepaid_cents) == (950, 0)
    assert desk.stands() == {
        "receivable": 95_000,
        "revenue": 100_000,
        "tax_payable": 9_000,
        "discounts": 10_000,
        "customer_credit": -4_000,
    }
    assert [booked.name for booked in settled.transfers] == [
        "fees",
        "coupons",
        "taxes",
        "credit_notes",
    ]


def test_a_wallet_that_has_enough_pays_to_the_smallest_unit(desk: Books):
    desk.wallet()
    desk.grant("paid", 200_000)
    desk.debit(1_234)
    settled = desk.invoice(fees=1_000, taxes=100, debited=1_234)
    assert (settled.due_cents, settled.prepaid_cents) == (0, 1_100)
    assert settled.wallets_minor == 110_000 - 1_234
    assert desk.balance_of(desk.ids["paid"]) == 200_000 - 110_000
    assert desk.stands() == {"revenue": 100_000, "tax_payable": 10_000}


def test_a_wallet_that_has_too_little_leaves_whole_cents(desk: Books):
    desk.wallet()
    desk.grant("paid", 5_555)
    settled = desk.invoice(fees=100)
    assert settled.due_cents == 45
    assert settled.wallets_minor == 5_500
    assert desk.balance_of(desk.ids["paid"]) == 55
    assert settled.rounding_minor == 0


def test_less_than_a_cent_that_nobody_can_pay_is_let_go_and_listed(desk: Books):
    desk.wallet()
    desk.grant("paid", 1_234)
    desk.debit(1_234)
    settled = desk.invoice(fees=100, debited=1_234)
    assert (settled.due_cents, settled.rounding_minor) == (87, 66)
    assert desk.stands() == {"receivable": 8_700, "revenue": 10_000 - 66}


def test_what_was_debited_beyond_the_exact_price_goes_back_to_who_paid_last(desk: Books):
    desk.wallet()
    first = desk.grant("first", 1_000, priority=1)
    second = desk.grant("second", 5_000, kind="promotional", priority=2)
    desk.debit(2_005)
    settled = desk.invoice(fees=20, debited=2_005, debited_from={first: 1_000, second: 1_005})
    assert (settled.refunded_minor, settled.due_cents) == (5, 0)
    assert [(part.id, part.amount_minor) for part in settled.grants] == [(second, -5)]
    assert (settled.prepaid_granted_cents, settled.prepaid_purchased_cents) == (10, 10)
    assert desk.balance_of(second) == 5_000 - 1_000


def test_more_than_the_last_payer_paid_goes_back_to_the_one_before(desk: Books):
    desk.wallet()
    first = desk.grant("first", 1_000, priority=1)
    second = desk.grant("second", 5_000, priority=2)
    desk.debit(1_500)
    settled = desk.invoice(fees=8, debited=1_500, debited_from={first: 1_000, second: 500})
    parts = {part.id: part.amount_minor for part in settled.grants}
    assert parts == {second: -500, first: -200}


def test_what_no_grant_can_take_back_is_credited_in_whole_cents(desk: Books):
    desk.wallet()
    paid = desk.grant("paid", 5_000)
    desk.debit(4_321)
    desk.change(status="terminated")
    settled = desk.invoice(fees=10, debited=4_321, debited_from={paid: 4_321})
    assert (settled.credited_minor, settled.rounding_minor) == (3_300, -21)
    assert desk.stands() == {"customer_credit": 3_300, "revenue": 1_021}


def test_overage_that_is_still_owed_moves_onto_the_invoice(desk: Books):
    desk.wallet()
    desk.grant("paid", 1_000)
    desk.debit(4_000)
    assert desk.show().endswith("overage 3000")
    settled = desk.invoice(fees=40, debited=1_000, overage=3_000)
    assert (settled.overage_minor, settled.due_cents, settled.prepaid_cents) == (3_000, 30, 10)
    assert desk.stands() == {"receivable": 3_000, "revenue": 4_000}
    assert "overage" not in desk.show()


def test_overage_that_a_top_up_repaid_is_paid_already(desk: Books):
    desk.wallet()
    desk.debit(4_000)
    desk.grant("late", 3_000)
    settled = desk.invoice(fees=40, overage=4_000)
    assert (settled.debited_minor, settled.overage_minor, settled.due_cents) == (3_000, 1_000, 10)
    assert settled.prepaid_purchased_cents == 30


def test_overage_of_other_usage_stays_where_it_is(desk: Books):
    desk.wallet()
    desk.debit(4_000)
    desk.invoice(fees=10, overage=1_000)
    assert desk.show().endswith("overage 3000")


def test_wallets_pay_only_the_lines_that_they_may_pay_for(desk: Books):
    desk.wallet("m1", priority=1, codes=["m1"])
    desk.grant("for m1", 1_000, wallet="m1")
    desk.wallet("plans", priority=2, fee_types=["subscription"])
    desk.grant("for plans", 1_000, wallet="plans")
    desk.wallet("any", priority=3)
    desk.grant("for any", 1_000, wallet="any")
    settled = desk.invoice(
        fees=40, lines={"m1": 2_000, "m2": 500, "subscription": 300, "add_on": 1_200}
    )
    parts = {desk.names[part.id]: part.amount_minor for part in settled.grants}
    assert parts == {"for m1": 1_000, "for plans": 300, "for any": 1_000}
    assert settled.due_cents == 17


def test_three_wallets_of_ten_pay_as_in_lago(desk: Books):
    # lago.md §4, wallets/balance_spec: m1-only, m2-only and any, usage m1 30 and m2 5.
    for name, codes in (("m1", ["m1"]), ("m2", ["m2"]), ("any", [])):
        desk.wallet(name, codes=codes)
        desk.grant(f"g-{name}", 100_000, wallet=name)
    settled = desk.invoice(fees=3_500, lines={"m1": 300_000, "m2": 50_000})
    left = [desk.balance_of(desk.ids[f"g-{name}"]) for name in ("m1", "m2", "any")]
    assert left == [0, 50_000, 0]
    assert settled.due_cents == 1_000


def test_a_wallet_pays_an_invoice_as_in_lago(desk: Books):
    # lago.md §4: 14.29 + 24% = 17.72; a wallet of 39.00 is left with 21.28, then pays 14.27 + 24%.
    desk.wallet()
    desk.grant("paid", 3_900 * CENT)
    assert desk.invoice(fees=1_429, taxes=343).due_cents == 0
    assert desk.balance_of(desk.ids["paid"]) == 2_128 * CENT
    assert desk.invoice(fees=1_427, taxes=342, name="second").due_cents == 0
    assert desk.balance_of(desk.ids["paid"]) == 359 * CENT


def test_an_overdraft_a_frozen_wallet_and_an_expired_grant_pay_nothing(desk: Books):
    desk.wallet("line", overdraft=5_000)
    desk.wallet("cold")
    desk.grant("frozen", 5_000, wallet="cold")
    desk.change("cold", frozen=True)
    desk.wallet()
    desk.grant("short", 5_000, expires_in_s=10)
    desk.pass_time(11)
    settled = desk.invoice(fees=10)
    assert (settled.due_cents, settled.grants) == (10, [])


def test_one_off_invoices_are_not_paid_by_wallets(desk: Books):
    desk.wallet()
    desk.grant("paid", 5_000)
    assert desk.invoice(fees=10, invoice_type="one_off", uses_wallets=False).due_cents == 10


def test_a_credit_invoice_is_only_a_document(desk: Books):
    settled = desk.invoice(fees=10, invoice_type="credit")
    assert (settled.due_cents, settled.transfers) == (10, [])
    assert desk.stands() == {}


def test_revenue_of_a_progressive_invoice_is_not_earned_twice(desk: Books):
    desk.invoice(fees=200, name="progressive", uses_wallets=False)
    settled = desk.invoice(fees=431, progressive=200, uses_wallets=False)
    assert settled.due_cents == 231
    assert desk.stands() == {"receivable": 43_100, "revenue": 43_100}


def test_an_invoice_of_nothing_books_nothing(desk: Books):
    assert desk.invoice().due_cents == 0
    assert desk.stands() == {}


def test_a_sum_that_no_account_can_count_is_refused(desk: Books):
    with pytest.raises(Invalid):
        desk.invoice(fees=2**62)
    assert desk.stands() == {}


def test_the_example_of_the_documentation_comes_to_what_it_says(desk: Books):
    # docs/reference/invoice-accounting.md, in millionths.
    desk.cent = 10_000
    desk.wallet("usage", codes=["tokens"])
    usage = desk.grant("for usage", 4_000_000, wallet="usage")
    desk.wallet("plans", fee_types=["subscription"])
    desk.grant("for plans", 9_000_000, wallet="plans")
    desk.debit({"tokens": 4_567_891})
    settled = desk.invoice(
        fees=1_657,
        lines={"tokens": 432_109, "subscription": 11_280_000},
        progressive=200,
        coupons=100,
        taxes=271,
        credit_notes=68,
        debited=4_000_000,
        overage=567_891,
        debited_from={usage: 4_000_000},
    )
    assert [(booked.name, booked.amount_minor) for booked in settled.transfers] == [
        ("fees", 10_002_109),
        ("overage", 567_891),
        ("coupons", 1_000_000),
        ("taxes", 2_710_000),
        ("credit_notes", 680_000),
        ("prepaid", 9_000_000),
    ]
    assert (settled.due_cents, settled.prepaid_cents) == (260, 1_300)
    assert desk.stands() == {
        "receivable": 2_600_000,
        "revenue": 14_570_000,
        "tax_payable": 2_710_000,
        "discounts": 1_000_000,
        "customer_credit": -680_000,
    }


def test_settling_twice_books_once(desk: Books):
    desk.wallet()
    desk.grant("paid", 5_000)
    assert desk.invoice(fees=10) == desk.invoice(fees=10)
    assert desk.balance_of(desk.ids["paid"]) == 4_000


def test_a_payment_takes_the_claim_away(desk: Books):
    desk.invoice(fees=10)
    payment = PayRequest(
        payment_id=UUID(int=5), invoice_id=INVOICE, currency="USD", amount_cents=10
    )
    command = PayInvoice(asset=USD, cent_minor=CENT, request=payment, provider="manual")
    first = desk.do(command, key="payment:5")
    assert desk.do(command, key="payment:5") == first
    assert desk.stands() == {"revenue": 1_000}
    assert desk.house(AccountCode.PAYMENTS, "manual") == 1_000


# -- taken back ------------------------------------------------------------------------------------


def test_voiding_gives_grants_back_what_they_paid(desk: Books):
    desk.wallet()
    desk.grant("first", 3_000, kind="promotional")
    desk.grant("second", 10_000)
    settled = desk.invoice(fees=100, coupons=10, taxes=9, credit_notes=9)
    assert desk.balance_of(desk.ids["first"]) == 0
    voided = desk.void_invoice(settled)
    assert desk.balance_of(desk.ids["first"]) == 3_000
    assert desk.balance_of(desk.ids["second"]) == 10_000
    assert desk.stands() == {}
    assert sum(part.amount_minor for part in voided.grants) == 9_000
    assert desk.void_invoice(settled) == voided


def test_a_grant_that_was_put_away_is_opened_again(desk: Books):
    desk.wallet()
    desk.grant("first", 3_000)
    desk.grant("second", 3_000)
    settled = desk.invoice(fees=30)
    desk.close_grant("first")
    desk.void_invoice(settled)
    assert desk.show() == "first 3000 | second 3000"


def test_a_grant_that_has_expired_is_replaced_by_a_new_one_of_its_kind(desk: Books):
    desk.wallet()
    desk.grant("short", 3_000, kind="promotional", expires_in_s=10)
    settled = desk.invoice(fees=20)
    desk.pass_time(11)
    desk.expire_grant("short")
    voided = desk.void_invoice(settled)
    assert desk.show() == "promotional 2000"
    assert voided.grants[0].id != desk.ids["short"]
    assert desk.stands() == {}


def test_what_a_wallet_that_has_ended_paid_is_credited(desk: Books):
    desk.wallet()
    desk.grant("paid", 3_000)
    desk.debit(1_234)
    settled = desk.invoice(fees=20, debited=1_234)
    desk.change(status="terminated")
    voided = desk.void_invoice(settled)
    assert (voided.credited_cents, voided.rounding_minor) == (7, -66)
    assert desk.stands() == {"revenue": 1_234 + 66, "customer_credit": 700}


def test_what_had_been_refunded_is_taken_again_or_owed(desk: Books):
    desk.wallet()
    paid = desk.grant("paid", 5_000)
    desk.debit(5_000)
    settled = desk.invoice(fees=20, debited=5_000, debited_from={paid: 5_000})
    assert desk.balance_of(paid) == 3_000
    desk.debit(2_500)
    voided = desk.void_invoice(settled)
    assert desk.show() == "paid 0 | overage 2500"
    assert voided.overage_minor == 2_500
    assert desk.stands() == {"revenue": 7_500}


def test_overage_is_owed_again(desk: Books):
    desk.wallet()
    desk.debit(4_000)
    settled = desk.invoice(fees=40, overage=4_000)
    desk.void_invoice(settled)
    assert desk.show() == "overage 4000"
    assert desk.stands() == {"revenue": 4_000}


# -- credit notes ----------------------------------------------------------------------------------


def note(**amounts: int) -> CreditNoteRequest:
    return CreditNoteRequest(
        credit_note_id=UUID(int=9), invoice_id=INVOICE, currency="USD", **amounts
    )


def book(desk: Books, request: CreditNoteRequest) -> Any:
    return desk.do(BookCreditNote(asset=USD, cent_minor=CENT, request=request))


def test_a_credit_note_takes_back_revenue_coupons_and_taxes(desk: Books):
    # lago.md §4, credit_note_rounding_spec: 193.33 + 48.33 = 241.66.
    book(desk, note(items_cents=19_333, taxes_cents=4_833, credit_cents=24_166))
    assert desk.stands() == {
        "revenue": -1_933_300,
        "tax_payable": -483_300,
        "customer_credit": 2_416_600,
    }


def test_credit_offset_and_refund_share_the_parts_exactly(desk: Books):
    request = note(
        items_cents=101,
        coupons_cents=10,
        taxes_cents=19,
        credit_cents=33,
        offset_cents=50,
        refund_cents=27,
    )
    book(desk, request)
    desk.do(RefundCreditNote(asset=USD, cent_minor=CENT, request=request, provider="manual"))
    assert desk.stands() == {
        "revenue": -10_100,
        "discounts": -1_000,
        "tax_payable": -1_900,
        "customer_credit": 3_300,
        "receivable": -5_000,
    }
    assert desk.house(AccountCode.PAYMENTS, "manual") == -2_700


def test_what_is_left_of_a_credit_is_taken_back(desk: Books):
    request = note(items_cents=100, coupons_cents=3, taxes_cents=20, credit_cents=117)
    book(desk, request)
    for left in (40, 77):
        command = VoidCreditNote(asset=USD, cent_minor=CENT, request=request, balance_cents=left)
        desk.do(command)
    assert abs(desk.stands().pop("revenue", 0)) <= 1


def test_nothing_is_refunded_or_taken_back_where_there_is_nothing(desk: Books):
    request = note(items_cents=100, credit_cents=100)
    refund = RefundCreditNote(asset=USD, cent_minor=CENT, request=request, provider="manual")
    assert isinstance(desk.refusal(refund), NotAllowed)
    command = VoidCreditNote(asset=USD, cent_minor=CENT, request=request, balance_cents=0)
    assert isinstance(desk.refusal(command), NotAllowed)


# -- whatever the amounts --------------------------------------------------------------------------

AMOUNTS = st.integers(0, 60_000)
CENTS = st.integers(0, 300)


@st.composite
def grants(draw: st.DrawFn) -> list[tuple[str, int, str]]:
    kinds = st.tuples(
        st.sampled_from(["any", "m1", "plans"]),
        st.integers(1, 20_000),
        st.sampled_from(["paid", "promotional"]),
    )
    return draw(st.lists(kinds, max_size=4))


@settings(max_examples=50)
@given(
    grants=grants(),
    used=AMOUNTS,
    late=st.integers(0, 5_000),
    charge=CENTS,
    plan=CENTS,
    coupons=CENTS,
    taxes=CENTS,
    notes=CENTS,
    progressive=CENTS,
    is_atomic=st.booleans(),
    uses_wallets=st.booleans(),
)
def test_whatever_is_on_it_an_invoice_is_settled_to_the_last_unit(
    grants: list[tuple[str, int, str]],
    used: int,
    late: int,
    charge: int,
    plan: int,
    coupons: int,
    taxes: int,
    notes: int,
    progressive: int,
    is_atomic: bool,
    uses_wallets: bool,
):
    progressive = min(progressive, charge + plan)
    coupons = min(coupons, charge + plan - progressive)
    notes = min(notes, charge + plan - progressive - coupons + taxes)
    desk = Books(is_atomic=is_atomic)
    desk.wallet("any", priority=2)
    desk.wallet("m1", priority=1, codes=["m1"])
    desk.wallet("plans", priority=3, fee_types=["subscription"])
    for number, (wallet, amount, kind) in enumerate(grants):
        desk.grant(f"g{number}", amount, wallet=wallet, kind=kind)
    debited_from: dict[UUID, int] = {}
    overage = 0
    if used:
        event = desk.debit({"m1": used})
        for entry in desk.rows.events[event][1].paid:
            if entry.grant_id.int:
                debited_from[entry.grant_id] = entry.amount_minor
            else:
                overage = entry.amount_minor
    if late:
        desk.grant("late", late, wallet="any")
    debited = sum(debited_from.values())
    before = desk.stands()
    balances = {grant: desk.balance_of(grant) for grant in desk.rows.grants}
    owed = desk.overage_of(desk.customers[0], "USD")
    terms: dict[str, Any] = {
        "fees": charge + plan,
        "lines": {"m1": charge * CENT - debited - overage, "subscription": plan * CENT},
        "debited": debited,
        "overage": overage,
        "coupons": coupons,
        "taxes": taxes,
        "credit_notes": notes,
        "progressive": progressive,
        "debited_from": debited_from,
        "uses_wallets": uses_wallets,
    }
    settled = desk.invoice(**terms)
    assert desk.invoice(**terms) == settled
    gross = (charge + plan - progressive - coupons + taxes - notes) * CENT
    assert gross == (
        settled.debited_minor
        + settled.wallets_minor
        + settled.due_cents * CENT
        - settled.refunded_minor
        - settled.credited_minor
        + settled.rounding_minor
    )
    assert settled.due_cents >= 0
    assert settled.prepaid_cents == gross // CENT - settled.due_cents
    assert settled.prepaid_granted_cents + settled.prepaid_purchased_cents == settled.prepaid_cents
    assert min(settled.prepaid_granted_cents, settled.prepaid_purchased_cents) >= 0
    assert abs(settled.rounding_minor) < CENT
    assert settled.credited_minor % CENT == 0
    assert desk.house(AccountCode.RECEIVABLE) == settled.due_cents * CENT
    assert desk.house(AccountCode.DISCOUNTS) == coupons * CENT
    assert desk.house(AccountCode.TAX_PAYABLE) == taxes * CENT
    assert desk.house(AccountCode.REVENUE) == (
        (charge + plan - progressive) * CENT - settled.rounding_minor
    )
    assert desk.void_invoice(settled) == desk.void_invoice(settled)
    assert desk.stands() == before
    assert {grant: desk.balance_of(grant) for grant in balances} == balances
    assert desk.overage_of(desk.customers[0], "USD") == owed


@settings(max_examples=50)
@given(
    items=CENTS,
    coupons=CENTS,
    taxes=CENTS,
    cuts=st.tuples(st.integers(0, 100), st.integers(0, 100)),
)
def test_the_parts_of_a_credit_note_add_up(
    items: int, coupons: int, taxes: int, cuts: tuple[int, int]
):
    coupons = min(coupons, items)
    total = items - coupons + taxes
    assume(total)
    first, second = sorted(total * cut // 100 for cut in cuts)
    desk = Books()
    request = note(
        items_cents=items,
        coupons_cents=coupons,
        taxes_cents=taxes,
        credit_cents=first,
        offset_cents=second - first,
        refund_cents=total - second,
    )
    book(desk, request)
    if request.refund_cents:
        desk.do(RefundCreditNote(asset=USD, cent_minor=CENT, request=request, provider="manual"))
    expected = {
        "revenue": -items * CENT,
        "discounts": -coupons * CENT,
        "tax_payable": -taxes * CENT,
        "customer_credit": first * CENT,
        "receivable": -(second - first) * CENT,
    }
    assert desk.stands() == {name: amount for name, amount in expected.items() if amount}
