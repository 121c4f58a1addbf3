"""What is kept of an open operation gives the same transfers and rows to whoever takes it up."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from ledger.accounts import AccountFlags
from ledger.transfers import AMOUNT_MAX, Phase, Transfer
from rating.charge_models import Percentage
from rating.rate_cards import Line
from tests.rating.playing import bucket
from tests.wallet_service.desk import NOON, USD, Desk
from wallet_service.decision import Done, Effect, Operation
from wallet_service.decision.budget_state import BudgetKey, BudgetTerms, Threshold
from wallet_service.decision.budget_windows import Rolling
from wallet_service.decision.commands import Cycle, Debit, Item, PricedLine, Pricing
from wallet_service.intents import decode_intent, encode_intent

PRICING = Pricing(UUID(int=1), "main", UUID(int=2), Cycle("monthly", "calendar", NOON))


class Recording(Desk):
    """A desk that keeps what each operation writes."""

    def __init__(self) -> None:
        super().__init__()
        self.effects: list[Effect] = []

    def judge(self, *operations: Operation) -> list[Any]:
        outcomes = super().judge(*operations)
        self.effects += [outcome.effect for outcome in outcomes if isinstance(outcome, Done)]
        return outcomes


def test_every_kind_of_effect_comes_back_as_it_was():
    desk = Recording()
    desk.wallet(overdraft=20, codes=["calls", "amount"], expires_in_s=600)
    desk.grant("paid", 100, expires_in_s=60)
    desk.settle(desk.purchase(50))
    model = Percentage(rate=Decimal("12.5"), fixed_amount=Decimal("0.3"))
    line = Line(
        bucket(model, charge_id=UUID(int=3), filter_id=UUID(int=4), code="calls"),
        Decimal("30.25"),
    )
    event = desk.debit(
        [Item("calls", {"n": Decimal("0.1")}, (PricedLine(line, None),))], pricing=PRICING
    )
    desk.reverse(event)
    hold = desk.authorize(30)
    desk.extend(hold, 5, expires_in_s=900)
    desk.capture(hold, 10, final=False, transaction_id="first")
    desk.capture(hold, 300)
    desk.refund(hold, 290)
    desk.void(desk.authorize(5))
    desk.void_credits(1)
    desk.pass_time(60)
    desk.expire_grant("paid")
    budget = UUID(int=5)
    terms = BudgetTerms(
        budget, "all", "All", "USD", 10, True, Rolling(seconds=60), (Threshold(50, 40),)
    )
    desk.rows.budgets[budget] = terms
    counted = (Item("amount", {}, amount_minor=9, budgets=(BudgetKey(budget, is_wide=True),)),)
    desk.grant("more", 100)
    desk.capture(desk.authorize(counted), counted)
    unrated = Debit(
        UUID(int=9), "e", "new", {}, None, "acme", NOON, None, None, None, "unknown", "x"
    )
    desk.do(unrated)
    assert len(desk.effects) > 12
    assert [row.spent_minor for effect in desk.effects for row in effect.alerts] == [9]
    for effect in desk.effects:
        assert decode_intent(encode_intent(effect)) == effect


def test_a_change_of_a_wallet_is_written_from_the_intent_as_from_the_decision():
    desk = Recording()
    desk.wallet()
    desk.change(
        overdraft_limit_minor=20,
        expiration_at=desk.later(60),
        billable_metric_codes=("calls",),
        metadata_merge={"team": "blue", "none": None},
    )
    effect = desk.effects[-1]
    again = decode_intent(encode_intent(effect))
    written = [msgspec.json.encode(one.wallet_changes) for one in (effect, again)]
    assert written[0] == written[1]
    assert again.transfers == effect.transfers


def test_numbers_of_128_bits_survive():
    effect = Effect(UUID(int=1), None)
    effect.transfers.append(
        Transfer(
            id=2**128 - 2,
            debit_account_id=2**127 + 1,
            credit_account_id=1,
            amount=AMOUNT_MAX,
            ledger=2**32 - 1,
            code=3,
            phase=Phase.PENDING,
            user_data_128=2**128 - 1,
            user_data_64=2**64 - 1,
            timeout_s=4_200,
            linked=True,
            balancing_debit=True,
        )
    )
    assert decode_intent(encode_intent(effect)) == effect


def test_an_account_keeps_its_limit():
    desk = Recording()
    desk.wallet()
    desk.grant("paid", 10)
    (account,) = decode_intent(encode_intent(desk.effects[-1])).accounts
    assert account.flags is AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS


@pytest.mark.parametrize(
    "number",
    [Decimal("0.1"), Decimal("1E+30"), Decimal("1E-30"), 2**63, 2**64 - 1, -(2**63), True, None],
)
def test_what_a_client_sent_stays_exact(number: Any):
    desk = Recording()
    desk.wallet()
    item = Item("calls", {}, amount_minor=1)
    command = Debit(UUID(int=9), "e", "calls", {"n": number}, None, "acme", None, item, USD)
    desk.do(command)
    (row,) = decode_intent(encode_intent(desk.effects[-1])).events
    assert row.properties == {"n": number}
