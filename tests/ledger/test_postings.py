"""Each movement of money, played into a book: who is debited, who is credited, and by how much."""

import itertools

import pytest

from ledger import Phase, Transfer, chain_result, postings
from ledger.chart import (
    FLAGS,
    HOUSE_CODES,
    NATURE,
    AccountCode,
    TransferCode,
    customer_account,
    house_account_id,
    house_accounts,
)
from ledger.ids import hash128, low64
from ledger.postings import (
    NO_REFERENCE,
    Booking,
    Held,
    Leg,
    Reference,
    Reversed,
    chain,
)
from ledger.reconciliation import trial_balance

NUMBER, UNITS = 7, 8
PAID, PROMOTIONAL, OVERDRAFT, OVERAGE = 101, 102, 103, 104
ABOUT = Reference(user_data_128=2**100, user_data_32=5)


class Story:
    """Plays operations one after another; each gets ids of its own."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.operations = itertools.count(1)

    def booking(self, *, ledger=NUMBER, reference=NO_REFERENCE):
        operation = next(self.operations)
        return Booking(ids=lambda leg: hash128(operation, leg), ledger=ledger, reference=reference)

    async def play(self, transfers: list[Transfer]) -> list[Transfer]:
        assert [transfer.linked for transfer in transfers] == [True] * (len(transfers) - 1) + [
            False
        ]
        result = chain_result(await self.ledger.create_transfers(transfers))
        assert result.ok, result
        for number in (NUMBER, UNITS):
            assert (await trial_balance(self.ledger, number)).is_balanced
        return transfers

    async def refused(self, transfers: list[Transfer]) -> str:
        result = chain_result(await self.ledger.create_transfers(transfers))
        assert not result.ok
        return str(result.status)

    async def posted(self, account) -> int:
        """Posted balance on the side on which the account grows."""
        return (await self._balance(account)).credits_posted - (
            await self._balance(account)
        ).debits_posted

    async def available(self, account) -> int:
        return (await self._balance(account)).credit_available

    async def _balance(self, account):
        if isinstance(account, AccountCode):
            account = house(account)
        return (await self.ledger.balances([account]))[account]


def held_by(transfers: list[Transfer]) -> list[Held]:
    """The live hold that these transfers leave: their pending legs."""
    return [
        Held(transfer.id, transfer.debit_account_id, transfer.amount)
        for transfer in transfers
        if transfer.phase is Phase.PENDING
    ]


def house(code, detail=None, number=NUMBER):
    if detail is None:
        detail = "stripe" if code is AccountCode.PAYMENTS else ""
    return house_account_id(ledger=number, code=code, detail=detail)


@pytest.fixture
async def story(memory_ledger):
    """A paid grant of 100, a promotional one of 20, an overdraft of 30."""
    story = Story(memory_ledger)
    await memory_ledger.create_accounts(house_accounts(ledger=UNITS, asset_code="TOKEN"))
    await memory_ledger.create_accounts(
        [customer_account(account_id=201, ledger=UNITS, code=AccountCode.GRANT_PAID)]
    )
    await story.play(
        postings.top_up(
            story.booking(reference=ABOUT), grant_id=PAID, amount=100, provider="stripe"
        )
    )
    await story.play(postings.promotion(story.booking(), grant_id=PROMOTIONAL, amount=20))
    await story.play(postings.credit_line_up(story.booking(), overdraft_id=OVERDRAFT, amount=30))
    return story


async def held(story, *legs, timeout_s=600):
    transfers = postings.hold(
        story.booking(reference=ABOUT), legs=[Leg(*leg) for leg in legs], timeout_s=timeout_s
    )
    return held_by(await story.play(transfers))


async def test_funding_is_a_debt_to_the_customer(story):
    assert await story.posted(AccountCode.PAYMENTS) == -100
    assert await story.posted(AccountCode.PROMOTIONS) == -20
    assert await story.posted(AccountCode.CREDIT_LINES) == -30
    assert [await story.available(each) for each in (PAID, PROMOTIONAL, OVERDRAFT)] == [100, 20, 30]


async def test_a_hold_sets_aside_and_earns_nothing(story):
    holds = await held(story, (PROMOTIONAL, 20), (PAID, 40))
    assert [(each.account_id, each.amount) for each in holds] == [(PROMOTIONAL, 20), (PAID, 40)]
    assert [await story.available(each) for each in (PROMOTIONAL, PAID)] == [0, 60]
    assert await story.posted(AccountCode.REVENUE) == 0
    assert await story.posted(PAID) == 100


async def test_a_hold_is_all_or_nothing(story):
    transfers = postings.hold(
        story.booking(), legs=[Leg(PAID, 100), Leg(PROMOTIONAL, 21)], timeout_s=1
    )
    assert await story.refused(transfers) == "exceeds_credits"
    assert await story.available(PAID) == 100


async def test_a_capture_earns_what_was_used_in_the_order_of_the_legs(story):
    holds = await held(story, (PROMOTIONAL, 20), (PAID, 40), (OVERDRAFT, 10))
    transfers = postings.capture(story.booking(reference=ABOUT), holds=holds, used=[20, 5, 0])
    await story.play(transfers)
    assert [(each.phase, each.amount) for each in transfers] == [
        (Phase.POST, 20),
        (Phase.POST, 5),
        (Phase.VOID, 10),
    ]
    assert [await story.available(each) for each in (PROMOTIONAL, PAID, OVERDRAFT)] == [0, 95, 30]
    assert await story.posted(AccountCode.REVENUE) == 25


async def test_usage_above_the_hold_is_debited_and_the_rest_is_owed(story):
    holds = await held(story, (PAID, 40))
    await story.play(
        postings.capture(
            story.booking(),
            holds=holds,
            used=[40],
            debits=[Leg(PAID, 60), Leg(OVERDRAFT, 30)],
            overage=Leg(OVERAGE, 9),
        )
    )
    assert await story.posted(AccountCode.REVENUE) == 139
    assert await story.posted(OVERAGE) == -9
    assert [await story.available(each) for each in (PAID, OVERDRAFT)] == [0, 0]


async def test_a_capture_of_nothing_gives_all_back(story):
    holds = await held(story, (PAID, 40), (PROMOTIONAL, 1))
    await story.play(postings.capture(story.booking(), holds=holds, used=[0, 0]))
    assert [await story.available(each) for each in (PAID, PROMOTIONAL)] == [100, 20]


async def test_a_capture_above_the_hold_is_our_own_bug(story):
    holds = await held(story, (PAID, 40))
    with pytest.raises(AssertionError):
        postings.capture(story.booking(), holds=holds, used=[41])


@pytest.mark.parametrize(
    ("used", "live"),
    [
        ([0, 1], [(PAID, 39), (PROMOTIONAL, 20)]),
        ([19, 0], [(PROMOTIONAL, 1), (PAID, 40)]),
        ([20, 0], [(PAID, 40)]),
        ([20, 1], [(PAID, 39)]),
        ([5, 5], [(PROMOTIONAL, 15), (PAID, 35)]),
        ([20, 39], [(PAID, 1)]),
        ([20, 40], []),
    ],
)
async def test_a_partial_capture_keeps_the_rest_held(story, used, live):
    holds = await held(story, (PROMOTIONAL, 20), (PAID, 40))
    free = await story.available(PAID)
    transfers = postings.partial_capture(story.booking(), holds=holds, used=used, timeout_s=600)
    await story.play(transfers)
    untouched = [leg for leg, taken in zip(holds, used, strict=True) if not taken]
    rest = held_by(transfers) + untouched
    assert [(each.account_id, each.amount) for each in rest] == live
    assert await story.available(PAID) == free
    assert await story.posted(AccountCode.REVENUE) == sum(used)
    if rest:
        all_of_it = [each.amount for each in rest]
        await story.play(postings.capture(story.booking(), holds=rest, used=all_of_it))
    assert await story.posted(AccountCode.REVENUE) == 60
    assert [await story.available(each) for each in (PROMOTIONAL, PAID)] == [0, 60]


async def test_a_partial_capture_of_nothing_is_our_own_bug(story):
    holds = await held(story, (PAID, 40))
    with pytest.raises(AssertionError):
        postings.partial_capture(story.booking(), holds=holds, used=[0], timeout_s=600)


async def test_a_partial_capture_may_go_above_the_hold(story):
    holds = await held(story, (PAID, 40))
    transfers = postings.partial_capture(
        story.booking(),
        holds=holds,
        used=[40],
        timeout_s=600,
        debits=[Leg(PAID, 5)],
        overage=Leg(OVERAGE, 1),
    )
    await story.play(transfers)
    assert held_by(transfers) == []
    assert await story.posted(AccountCode.REVENUE) == 46


async def test_extending_holds_anew_in_one_step(story):
    holds = await held(story, (PAID, 90))
    transfers = postings.extend(
        story.booking(), holds=holds, legs=[Leg(PAID, 100)], timeout_s=1_200
    )
    await story.play(transfers)
    (live,) = held_by(transfers)
    assert live.amount == 100
    assert await story.available(PAID) == 0
    assert (
        await story.refused(postings.void(story.booking(), holds=holds))
        == "pending_transfer_already_voided"
    )


async def test_an_extension_that_cannot_be_paid_leaves_the_hold(story):
    holds = await held(story, (PAID, 90))
    transfers = postings.extend(
        story.booking(), holds=holds, legs=[Leg(PAID, 101)], timeout_s=1_200
    )
    assert await story.refused(transfers) == "exceeds_credits"
    assert await story.available(PAID) == 10


@pytest.mark.parametrize("end", [postings.void, postings.expire_hold])
async def test_a_hold_that_is_not_captured_is_given_back(story, end):
    holds = await held(story, (PAID, 40), (PROMOTIONAL, 5))
    await story.play(end(story.booking(), holds=holds))
    assert [await story.available(each) for each in (PAID, PROMOTIONAL)] == [100, 20]


async def test_a_debit_charges_at_once(story):
    transfers = postings.debit(
        story.booking(reference=ABOUT),
        legs=[Leg(PROMOTIONAL, 20), Leg(PAID, 100), Leg(OVERDRAFT, 30)],
        overage=Leg(OVERAGE, 50),
    )
    await story.play(transfers)
    assert [each.code for each in transfers] == [TransferCode.DEBIT] * 3 + [TransferCode.OVERAGE]
    assert {each.user_data_128 for each in transfers} == {2**100}
    assert await story.posted(AccountCode.REVENUE) == 200
    assert await story.posted(OVERAGE) == -50


async def test_the_next_top_up_first_pays_what_is_owed_and_the_overdraft(story):
    await story.play(
        postings.debit(
            story.booking(), legs=[Leg(PAID, 100), Leg(OVERDRAFT, 30)], overage=Leg(OVERAGE, 15)
        )
    )
    at = story.booking()
    await story.play(
        chain(
            postings.top_up(at, grant_id=PAID, amount=60, provider="stripe"),
            postings.repay_overage(at, grant_id=PAID, overage_id=OVERAGE, amount=15),
            postings.repay_overdraft(at, grant_id=PAID, overdraft_id=OVERDRAFT, amount=30),
        )
    )
    assert await story.posted(OVERAGE) == 0
    assert [await story.available(each) for each in (PAID, OVERDRAFT)] == [15, 30]


async def test_overage_cannot_be_repaid_twice(story):
    await story.play(postings.debit(story.booking(), legs=[], overage=Leg(OVERAGE, 15)))
    repay = {"grant_id": PAID, "overage_id": OVERAGE, "amount": 15}
    await story.play(postings.repay_overage(story.booking(), **repay))
    assert await story.refused(postings.repay_overage(story.booking(), **repay)) == "exceeds_debits"


async def test_overage_goes_onto_the_invoice_once(story):
    await story.play(postings.debit(story.booking(), legs=[], overage=Leg(OVERAGE, 15)))
    invoice = {"overage_id": OVERAGE, "amount": 15}
    await story.play(postings.invoice_overage(story.booking(), **invoice))
    assert await story.posted(AccountCode.RECEIVABLE) == -15
    assert await story.posted(OVERAGE) == 0
    assert (
        await story.refused(postings.invoice_overage(story.booking(), **invoice))
        == "exceeds_debits"
    )


async def test_a_credit_line_is_lowered_only_by_what_is_unused(story):
    await story.play(postings.debit(story.booking(), legs=[Leg(OVERDRAFT, 10)]))
    lower = {"overdraft_id": OVERDRAFT}
    assert (
        await story.refused(postings.credit_line_down(story.booking(), amount=21, **lower))
        == "exceeds_credits"
    )
    await story.play(postings.credit_line_down(story.booking(), amount=20, **lower))
    assert await story.posted(AccountCode.CREDIT_LINES) == -10


@pytest.mark.parametrize(
    ("give_back", "code"),
    [
        (postings.refund, TransferCode.REFUND),
        (postings.reversal, TransferCode.REVERSAL),
    ],
)
async def test_usage_is_given_back_to_whoever_paid_it_naming_the_original(story, give_back, code):
    originals = await story.play(
        postings.debit(story.booking(), legs=[Leg(PAID, 50)], overage=Leg(OVERAGE, 10))
    )
    transfers = give_back(
        story.booking(reference=ABOUT),
        legs=[Reversed(originals[0].id, PAID, 45), Reversed(originals[1].id, OVERAGE, 10)],
    )
    await story.play(transfers)
    assert {each.code for each in transfers} == {code}
    assert transfers[0].user_data_64 == low64(originals[0].id)
    assert transfers[1].user_data_64 == low64(originals[1].id)
    assert {each.user_data_128 for each in transfers} == {ABOUT.user_data_128}
    assert await story.available(PAID) == 95
    assert await story.posted(OVERAGE) == 0
    assert await story.posted(AccountCode.REVENUE) == 5


@pytest.mark.parametrize(
    ("grant_id", "is_promotional", "goes_to", "there_before"),
    [
        (PAID, False, AccountCode.BREAKAGE, 0),
        (PROMOTIONAL, True, AccountCode.PROMOTIONS, -20),
    ],
)
async def test_an_expired_grant_loses_what_is_free_and_keeps_what_is_held(
    story, grant_id, is_promotional, goes_to, there_before
):
    expire = {"grant_id": grant_id, "is_promotional": is_promotional}
    granted = await story.available(grant_id)
    holds = await held(story, (grant_id, 15))
    await story.play(postings.grant_expired(story.booking(), amount=granted - 15, **expire))
    assert await story.available(grant_id) == 0
    assert await story.posted(goes_to) == there_before + granted - 15
    await story.play(postings.capture(story.booking(), holds=holds, used=[5]))
    await story.play(postings.grant_expired(story.booking(), amount=10, **expire))
    assert await story.posted(grant_id) == 0
    assert await story.posted(goes_to) == there_before + granted - 5


async def test_a_voided_grant_loses_a_given_amount(story):
    await story.play(
        postings.grant_voided(story.booking(), grant_id=PAID, amount=30, is_promotional=False)
    )
    await story.play(
        postings.grant_voided(story.booking(), grant_id=PROMOTIONAL, amount=5, is_promotional=True)
    )
    assert await story.posted(AccountCode.BREAKAGE) == 30
    assert await story.posted(AccountCode.PROMOTIONS) == -15


async def test_units_are_sold_against_money_that_is_earned_when_they_are_used(story):
    await story.play(
        postings.issue(
            story.booking(ledger=UNITS),
            money_ledger=NUMBER,
            money_amount=40,
            provider="stripe",
            unit_code="TOKEN",
            grant=Leg(201, 4_000),
        )
    )
    assert await story.available(201) == 4_000
    assert await story.posted(AccountCode.DEFERRED_REVENUE) == 40
    assert await story.posted(AccountCode.REVENUE) == 0
    assert await story.posted(house(AccountCode.ISSUED, "TOKEN", UNITS)) == -4_000
    await story.play(postings.recognise_revenue(story.booking(), amount=10))
    assert await story.posted(AccountCode.DEFERRED_REVENUE) == 30
    assert await story.posted(AccountCode.REVENUE) == 10


async def test_a_repeated_operation_moves_nothing(story):
    transfers = postings.debit(story.booking(), legs=[Leg(PAID, 50), Leg(PROMOTIONAL, 1)])
    await story.play(transfers)
    await story.play(transfers)
    assert await story.available(PAID) == 50


@pytest.mark.parametrize("amount", [0, -1, 2**63])
async def test_a_leg_of_nothing_is_our_own_bug(story, amount):
    with pytest.raises(AssertionError):
        postings.debit(story.booking(), legs=[Leg(PAID, amount)])
    with pytest.raises(AssertionError):
        postings.hold(story.booking(), legs=[Leg(PAID, amount)], timeout_s=1)
    with pytest.raises(AssertionError):
        postings.void(story.booking(), holds=[])


def test_a_hold_without_an_end_is_our_own_bug():
    with pytest.raises(AssertionError):
        postings.hold(Booking(ids=hash128, ledger=NUMBER), legs=[Leg(PAID, 1)], timeout_s=0)


def test_legs_of_one_operation_have_ids_of_their_own():
    holds = [Held(1, PAID, 10), Held(2, PROMOTIONAL, 10), Held(3, OVERDRAFT, 10)]
    transfers = postings.partial_capture(
        Booking(ids=hash128, ledger=NUMBER),
        holds=holds,
        used=[10, 5, 0],
        timeout_s=1,
        debits=[Leg(PAID, 1), Leg(PAID, 2)],
        overage=Leg(OVERAGE, 3),
    )
    assert len({each.id for each in transfers}) == len(transfers) == 6


def test_every_kind_of_account_has_a_side_and_a_master():
    assert set(NATURE) == set(AccountCode)
    assert set(FLAGS) | set(HOUSE_CODES) == set(AccountCode)
    names = [account.id for account in house_accounts(ledger=1, asset_code="USD")]
    assert len(set(names)) == len(names) == len(HOUSE_CODES)
    with pytest.raises(AssertionError):
        house_account_id(ledger=1, code=AccountCode.GRANT_PAID)


# -- invoices --------------------------------------------------------------------------------------


async def settle(story, *, coupons=10, taxes=8, credit_notes=5, prepaid=20):
    """An invoice of 50 in fees (true-up included), and what lowers it."""
    at = story.booking(reference=ABOUT)
    return await story.play(
        chain(
            postings.invoice_fees(at, amount=50),
            postings.invoice_coupons(at, amount=coupons),
            postings.invoice_taxes(at, amount=taxes),
            postings.invoice_credit_notes(at, amount=credit_notes),
            postings.invoice_prepaid(at, legs=[Leg(PAID, prepaid)]),
        )
    )


async def test_an_invoice_is_a_claim_that_lowers_with_what_pays_it(story):
    await settle(story)
    assert await story.posted(AccountCode.RECEIVABLE) == -(50 - 10 + 8 - 5 - 20)
    assert await story.posted(AccountCode.REVENUE) == 50
    assert await story.posted(AccountCode.DISCOUNTS) == -10
    assert await story.posted(AccountCode.TAX_PAYABLE) == 8
    assert await story.posted(AccountCode.CUSTOMER_CREDIT) == -5
    assert await story.available(PAID) == 80
    await story.play(postings.invoice_payment(story.booking(), amount=23, provider="stripe"))
    assert await story.posted(AccountCode.RECEIVABLE) == 0
    assert await story.posted(AccountCode.PAYMENTS) == -123


async def test_usage_that_cost_less_in_the_end_goes_back_to_grants_or_to_credit(story):
    at = story.booking()
    await story.play(
        chain(
            postings.invoice_fees(at, amount=-12),
            postings.invoice_refund(at, legs=[Leg(PAID, 3), Leg(PROMOTIONAL, 4)]),
            postings.invoice_credit(at, amount=4),
            postings.invoice_rounding(at, amount=-1),
        )
    )
    assert await story.posted(AccountCode.RECEIVABLE) == 0
    assert await story.posted(AccountCode.REVENUE) == -12 + 1
    assert await story.posted(AccountCode.CUSTOMER_CREDIT) == 4
    assert [await story.available(each) for each in (PAID, PROMOTIONAL)] == [103, 24]


async def test_what_is_less_than_a_cent_is_let_go(story):
    at = story.booking()
    await story.play(
        chain(postings.invoice_fees(at, amount=7), postings.invoice_rounding(at, amount=2))
    )
    assert await story.posted(AccountCode.RECEIVABLE) == -5
    assert await story.posted(AccountCode.REVENUE) == 5


async def test_voiding_an_invoice_books_all_of_it_the_other_way_and_names_it(story):
    booked = await settle(story)
    undone = [
        postings.Undone(each.id, each.debit_account_id, each.credit_account_id, each.amount)
        for each in booked
    ]
    voided = await story.play(postings.invoice_voided(story.booking(), originals=undone[:-1]))
    assert all(
        transfer.user_data_64 == low64(original.id)
        for transfer, original in zip(voided, booked, strict=False)
    )
    await story.play(
        postings.invoice_return(
            story.booking(), grant_id=PROMOTIONAL, amount=20, original_id=booked[-1].id
        )
    )
    for code in (
        AccountCode.RECEIVABLE,
        AccountCode.REVENUE,
        AccountCode.DISCOUNTS,
        AccountCode.TAX_PAYABLE,
        AccountCode.CUSTOMER_CREDIT,
    ):
        assert await story.posted(code) == 0
    assert await story.available(PROMOTIONAL) == 40


async def test_a_credit_note_takes_back_revenue_coupons_and_taxes(story):
    await settle(story)
    parts = postings.CreditedParts(revenue=20, coupons=4, taxes=3)

    await story.play(postings.credit_note(story.booking(), parts=parts))
    assert await story.posted(AccountCode.CUSTOMER_CREDIT) == -5 + 19
    await story.play(postings.credit_note_offset(story.booking(), parts=parts))
    assert await story.posted(AccountCode.RECEIVABLE) == -23 + 19
    await story.play(postings.credit_note_refund(story.booking(), provider="stripe", parts=parts))
    assert await story.posted(AccountCode.PAYMENTS) == -100 + 19
    assert await story.posted(AccountCode.REVENUE) == 50 - 3 * 20
    assert await story.posted(AccountCode.TAX_PAYABLE) == 8 - 3 * 3
    assert await story.posted(AccountCode.DISCOUNTS) == -(10 - 3 * 4)
    await story.play(postings.credit_note_voided(story.booking(), parts=parts))
    assert await story.posted(AccountCode.CUSTOMER_CREDIT) == -5
    assert await story.posted(AccountCode.REVENUE) == 50 - 2 * 20


async def test_what_was_paid_for_units_that_expire_is_breakage(story):
    at = story.booking()
    await story.play(
        chain(
            postings.recognise_revenue(at, amount=-3),
            postings.units_expired(at, amount=5),
        )
    )
    assert await story.posted(AccountCode.DEFERRED_REVENUE) == 3 - 5
    assert await story.posted(AccountCode.REVENUE) == -3
    assert await story.posted(AccountCode.BREAKAGE) == 5
