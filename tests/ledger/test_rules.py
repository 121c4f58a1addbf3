"""What the rules add to TigerBeetle's: the range of balances, and that nothing half-done is left.

The statuses themselves are told by `tests/conformance`, for all engines at once.
"""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Phase, Transfer, TransferStatus, UnsupportedTransfer
from ledger.book import AccountState, Book
from ledger.money import MAX_MINOR
from ledger.rules import judge
from ledger.transfers import AMOUNT_MAX

GRANT, OVERAGE, HOUSE, OTHER = 1, 2, 3, 4
NUMBER = 7


def a_book(funds=100):
    return Book(
        {
            GRANT: AccountState(GRANT, NUMBER, 2, credits_posted=funds),
            OTHER: AccountState(OTHER, NUMBER, 2, credits_posted=funds),
            OVERAGE: AccountState(OVERAGE, NUMBER, 4, debits_posted=funds),
            HOUSE: AccountState(HOUSE, NUMBER, 0),
        },
        {},
        {},
        set(),
    )


def move(number, debit, credit, amount, **more):
    return Transfer(
        id=number,
        debit_account_id=debit,
        credit_account_id=credit,
        amount=amount,
        ledger=NUMBER,
        code=1,
        **more,
    )


def statuses(book, *transfers):
    return [result.status for result in judge(transfers, book, timestamp=10).results]


def sums(book):
    return {
        account_id: (
            state.debits_pending,
            state.debits_posted,
            state.credits_pending,
            state.credits_posted,
        )
        for account_id, state in book.accounts.items()
    }


def test_a_customers_balance_ends_at_the_largest_amount():
    book = a_book(funds=MAX_MINOR)
    assert statuses(
        book,
        move(1, HOUSE, GRANT, 1),
        move(2, HOUSE, GRANT, 1, phase=Phase.PENDING),
        move(3, OVERAGE, HOUSE, 1),
        move(4, GRANT, HOUSE, MAX_MINOR),
        move(5, OTHER, HOUSE, 1, phase=Phase.PENDING),
        move(6, OTHER, HOUSE, MAX_MINOR, phase=Phase.PENDING),
    ) == [
        "overflows_credits_posted",
        "overflows_credits_posted",
        "overflows_debits_posted",
        "created",
        "created",
        "overflows_debits_pending",
    ]


def test_pending_and_posted_together_stay_in_the_range():
    book = a_book(funds=0)
    half = MAX_MINOR // 2 + 1
    assert statuses(
        book,
        move(1, HOUSE, GRANT, half, phase=Phase.PENDING),
        move(2, HOUSE, GRANT, half),
        move(3, HOUSE, GRANT, half - 1),
    ) == ["created", "overflows_credits", "created"]


def test_balances_of_the_house_have_no_such_end():
    book = a_book(funds=0)
    assert statuses(
        book,
        move(1, HOUSE, GRANT, MAX_MINOR),
        move(2, HOUSE, OTHER, MAX_MINOR),
    ) == ["created", "created"]
    assert book.accounts[HOUSE].debits_posted == 2 * MAX_MINOR


@pytest.mark.parametrize(
    "wrong",
    [
        move(2, HOUSE, GRANT, 5, balancing_debit=True),
        move(2, GRANT, HOUSE, 5, balancing_credit=True),
        move(2, GRANT, HOUSE, AMOUNT_MAX),
        move(2, GRANT, HOUSE, MAX_MINOR + 1),
    ],
)
def test_what_no_posting_produces_is_refused_before_anything_moves(wrong):
    book = a_book()
    before = sums(book)
    with pytest.raises(UnsupportedTransfer):
        judge([move(1, GRANT, HOUSE, 5), wrong], book, timestamp=10)
    assert sums(book) == before
    assert book.transfers == {}


def test_a_timeout_beyond_the_end_of_time_is_refused():
    book = a_book()
    late = move(1, GRANT, HOUSE, 1, phase=Phase.PENDING, timeout_s=2**32 - 1)
    (result,) = judge([late], book, timestamp=2**63 - 10).results
    assert result.status == "overflows_timeout"


def test_a_hold_can_be_posted_until_its_timeout_and_not_at_it():
    second = 1_000_000_000
    for at, status in ((second + 9, "created"), (second + 10, "pending_transfer_expired")):
        book = a_book()
        judge([move(1, GRANT, HOUSE, 5, phase=Phase.PENDING, timeout_s=1)], book, timestamp=10)
        post = Transfer(id=2, amount=5, phase=Phase.POST, pending_id=1)
        (result,) = judge([post], book, timestamp=at).results
        assert result.status == status


moves = st.builds(
    lambda number, debit, credit, amount, phase, pending_id, linked: Transfer(
        id=number,
        debit_account_id=debit if phase < Phase.POST else 0,
        credit_account_id=credit if phase < Phase.POST else 0,
        amount=amount,
        ledger=NUMBER if phase < Phase.POST else 0,
        code=1 if phase < Phase.POST else 0,
        phase=phase,
        pending_id=pending_id if phase >= Phase.POST else 0,
        linked=linked,
    ),
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from([0, 1, 30, 60, 100]),
    st.sampled_from(Phase),
    st.integers(1, 12),
    st.booleans(),
)


@given(st.lists(moves, max_size=25))
def test_whatever_comes_debits_equal_credits_and_nobody_goes_below_zero(transfers):
    book = a_book()
    before = sums(book)
    verdict = judge(transfers, book, timestamp=10)
    assert len(verdict.results) == len(transfers)
    after = sums(book)
    moved = [sum(after[each][part] - before[each][part] for each in after) for part in range(4)]
    assert moved[0] == moved[2]
    assert moved[1] == moved[3]
    for account_id in (GRANT, OTHER):
        debits_pending, debits_posted, _, credits_posted = after[account_id]
        assert debits_pending + debits_posted <= credits_posted
    _, debits_posted, credits_pending, credits_posted = after[OVERAGE]
    assert credits_pending + credits_posted <= debits_posted
    assert all(part >= 0 for account in after.values() for part in account)


@given(st.lists(moves, max_size=15))
def test_a_broken_chain_leaves_the_book_as_it_was(transfers):
    book = a_book()
    linked = [
        Transfer(
            **{name: getattr(each, name) for name in each.__struct_fields__} | {"linked": True}
        )
        for each in transfers
    ]
    before, known = sums(book), copy.copy(book.transfers)
    verdict = judge([*linked, move(99, GRANT, GRANT, 1)], book, timestamp=10)
    assert all(result.status != TransferStatus.CREATED for result in verdict.results)
    assert (sums(book), book.transfers, book.ended, verdict.booked) == (before, known, {}, [])
    assert len(verdict.burnt) <= 1


@given(st.lists(moves, max_size=15))
def test_a_repeated_batch_books_nothing_new(transfers):
    book = a_book()
    judge(transfers, book, timestamp=10)
    before = sums(book)
    again = judge(transfers, book, timestamp=1_000)
    created = [
        position
        for position, result in enumerate(again.results)
        if result.status is TransferStatus.CREATED
    ]
    for position in created:
        # Only what was refused for its place in a chain or for its form may succeed later.
        assert transfers[position].id not in book.burnt
    assert sums(book) == before or created
