"""One suite over every engine of the book: what holds for one holds for all."""

import asyncio
import time
from itertools import pairwise

import pytest

from ledger import (
    AccountFlags,
    Ledger,
    Phase,
    TransferStatus,
    UnsupportedTransfer,
    chain_result,
)
from ledger.transfers import AMOUNT_MAX, BATCH_MAX, TRANSIENT
from tests.ledger.book import EXISTS, GRANT, OK, OVERAGE, Book
from tests.waiting import PATIENCE_S

LATE = 2**62


@pytest.fixture
async def book(ledger: Ledger, ledger_number: int) -> Book:
    """Payments, revenue and promotions of the house; a grant of 100; an overage nobody used."""
    book = Book(ledger, ledger_number)
    await book.open(
        book.account("payments"),
        book.account("revenue"),
        book.account("grant", GRANT),
        book.account("overage", OVERAGE),
    )
    assert await book.book(book.transfer("top-up", "payments", "grant", 100)) == [OK]
    return book


# ── accounts ────────────────────────────────────────────────────────────────────────────────────


async def test_opening_an_account_twice_is_harmless(book):
    grant = book.account("twin", GRANT, user_data_128=2**128 - 1, user_data_64=2**64 - 1)
    first, second = await book.ledger.create_accounts([grant, grant])
    (third,) = await book.ledger.create_accounts([grant])
    assert (first.status, second.status, third.status) == (OK, EXISTS, EXISTS)
    assert first.timestamp == second.timestamp == third.timestamp > 0


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"flags": AccountFlags.NONE}, "exists_with_different_flags"),
        ({"user_data_128": 9}, "exists_with_different_user_data_128"),
        ({"user_data_64": 9}, "exists_with_different_user_data_64"),
        ({"user_data_32": 9}, "exists_with_different_user_data_32"),
        ({"ledger": 9}, "exists_with_different_ledger"),
        ({"code": 9}, "exists_with_different_code"),
        ({"code": 9, "ledger": 9}, "exists_with_different_ledger"),
        ({"timestamp": 9}, "timestamp_must_be_zero"),
    ],
)
async def test_the_first_difference_of_a_repeated_account_is_named(book, change, status):
    (result,) = await book.ledger.create_accounts(
        [book.account("grant", **{"flags": GRANT} | change)]
    )
    assert result.status == status
    assert not result.ok


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"id": 0}, "id_must_not_be_zero"),
        ({"id": 2**128 - 1}, "id_must_not_be_int_max"),
        ({"flags": GRANT | OVERAGE}, "flags_are_mutually_exclusive"),
        ({"ledger": 0}, "ledger_must_not_be_zero"),
        ({"code": 0}, "code_must_not_be_zero"),
        ({"ledger": 0, "code": 0}, "ledger_must_not_be_zero"),
    ],
)
async def test_a_malformed_account_is_refused(book, change, status):
    (result,) = await book.ledger.create_accounts([book.account("new", **change)])
    assert result.status == status


async def test_linked_accounts_are_opened_together_or_not_at_all(book):
    linked = AccountFlags.LINKED
    results = await book.ledger.create_accounts(
        [
            book.account("left", linked),
            book.account("right", code=0),
            book.account("alone"),
            book.account("open", linked),
        ]
    )
    assert [result.status for result in results] == [
        "linked_event_failed",
        "code_must_not_be_zero",
        OK,
        "linked_event_chain_open",
    ]
    found = await book.ledger.accounts([book.id(name) for name in ("left", "right", "alone")])
    assert set(found) == {book.id("alone")}


async def test_an_account_is_found_as_it_was_opened(book):
    sent = book.account("full", GRANT, user_data_128=2**127, user_data_64=2**63, user_data_32=7)
    (result,) = await book.ledger.create_accounts([sent])
    (found,) = (await book.ledger.accounts([sent.id])).values()
    assert found.timestamp == result.timestamp
    assert (found.id, found.ledger, found.code, found.flags) == (sent.id, sent.ledger, 1, GRANT)
    assert (found.user_data_128, found.user_data_64, found.user_data_32) == (2**127, 2**63, 7)
    assert found.is_limited


async def test_a_ledgers_accounts_come_in_pages_in_the_order_of_their_opening(book):
    (first, first_balance), (second, _) = await book.ledger.ledger_accounts(book.number, limit=2)
    assert [first.id, second.id] == [book.id("payments"), book.id("revenue")]
    assert first_balance.debits_posted == 100
    rest = await book.ledger.ledger_accounts(book.number, after_id=second.id)
    assert [account.id for account, _ in rest] == [book.id("grant"), book.id("overage")]
    assert rest[0][1].credits_posted == 100
    assert await book.ledger.ledger_accounts(book.number, after_id=book.id("overage")) == []


# ── single transfers ────────────────────────────────────────────────────────────────────────────


async def test_a_transfer_debits_one_account_and_credits_the_other(book):
    assert await book.book(book.transfer("use", "grant", "revenue", 30)) == [OK]
    assert await book.sums("grant") == (0, 30, 0, 100)
    assert await book.sums("revenue") == (0, 0, 0, 30)
    assert await book.sums("payments") == (0, 100, 0, 0)
    assert (await book.balance("grant")).credit_available == 70


async def test_a_grant_never_goes_below_zero(book):
    assert await book.book(
        book.transfer("all but one", "grant", "revenue", 99),
        book.transfer("too much", "grant", "revenue", 2),
        book.transfer("the rest", "grant", "revenue", 1),
        book.transfer("nothing", "grant", "revenue", 0),
        book.transfer("one more", "grant", "revenue", 1),
    ) == [OK, "exceeds_credits", OK, OK, "exceeds_credits"]
    assert await book.sums("grant") == (0, 100, 0, 100)


async def test_overage_is_repaid_up_to_what_is_owed(book):
    assert await book.book(
        book.transfer("owed", "overage", "revenue", 10),
        book.transfer("repaid too much", "grant", "overage", 11),
        book.transfer("repaid", "grant", "overage", 10),
    ) == [OK, "exceeds_debits", OK]
    assert (await book.balance("overage")).debit_balance == 0


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"timestamp": 1}, "timestamp_must_be_zero"),
        ({"id": 0}, "id_must_not_be_zero"),
        ({"id": 2**128 - 1}, "id_must_not_be_int_max"),
        ({"debit_account_id": 0}, "debit_account_id_must_not_be_zero"),
        ({"debit_account_id": 2**128 - 1}, "debit_account_id_must_not_be_int_max"),
        ({"credit_account_id": 0}, "credit_account_id_must_not_be_zero"),
        ({"credit_account_id": 2**128 - 1}, "credit_account_id_must_not_be_int_max"),
        ({"debit_account_id": 5, "credit_account_id": 5}, "accounts_must_be_different"),
        ({"pending_id": 5}, "pending_id_must_be_zero"),
        ({"timeout_s": 5}, "timeout_reserved_for_pending_transfer"),
        ({"ledger": 0}, "ledger_must_not_be_zero"),
        ({"code": 0}, "code_must_not_be_zero"),
        ({"debit_account_id": 5}, "debit_account_not_found"),
        ({"credit_account_id": 5}, "credit_account_not_found"),
        ({"ledger": 5}, "transfer_must_have_the_same_ledger_as_accounts"),
        ({"ledger": 5, "code": 0, "pending_id": 5}, "pending_id_must_be_zero"),
        ({"phase": Phase.POST}, "pending_id_must_not_be_zero"),
        ({"phase": Phase.VOID, "pending_id": 2**128 - 1}, "pending_id_must_not_be_int_max"),
        ({"phase": Phase.POST, "id": 77, "pending_id": 77}, "pending_id_must_be_different"),
        (
            {"phase": Phase.POST, "pending_id": 5, "timeout_s": 1},
            "timeout_reserved_for_pending_transfer",
        ),
        (
            {"phase": Phase.POST, "pending_id": 5, "balancing_debit": True},
            "flags_are_mutually_exclusive",
        ),
        ({"phase": Phase.VOID, "pending_id": 5}, "pending_transfer_not_found"),
    ],
)
async def test_a_malformed_transfer_is_refused_with_the_first_reason(book, change, status):
    wrong = {"debit": "grant", "credit": "revenue", "amount": 1} | change
    assert await book.book(book.transfer("wrong", **wrong)) == [status]
    assert await book.sums("grant") == (0, 0, 0, 100)


async def test_accounts_of_two_ledgers_never_meet(book):
    elsewhere = book.account("elsewhere", ledger=book.number + 1_000_000)
    await book.open(elsewhere)
    assert await book.book(book.transfer("across", "grant", "elsewhere", 1)) == [
        "accounts_must_have_the_same_ledger"
    ]


async def test_a_posted_hold_is_no_pending_transfer(book):
    assert await book.book(book.post("post", "top-up", 1)) == ["pending_transfer_not_pending"]


async def test_amounts_beyond_the_range_are_refused_before_anything_is_booked(book):
    with pytest.raises(UnsupportedTransfer):
        await book.book(
            book.transfer("fine", "grant", "revenue", 1),
            book.transfer("huge", "payments", "grant", 2**63),
        )
    assert await book.sums("grant") == (0, 0, 0, 100)


async def test_an_empty_batch_is_no_error(book):
    assert await book.ledger.create_transfers([]) == []
    assert await book.ledger.create_accounts([]) == []
    assert await book.ledger.balances([]) == {}


# ── repeats and burnt ids ───────────────────────────────────────────────────────────────────────


async def test_a_repeat_moves_nothing_and_names_the_first_moment(book):
    use = book.transfer("use", "grant", "revenue", 30, user_data_128=2**128 - 1)
    (first,) = await book.ledger.create_transfers([use])
    (again,) = await book.ledger.create_transfers([use])
    assert (first.status, again.status) == (OK, EXISTS)
    assert first.timestamp == again.timestamp
    assert again.ok
    assert await book.sums("grant") == (0, 30, 0, 100)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"linked": True}, "exists_with_different_flags"),
        ({"phase": Phase.SINGLE, "timeout_s": 0}, "exists_with_different_flags"),
        ({"balancing_debit": True}, "exists_with_different_flags"),
        ({"pending_id": 5}, "exists_with_different_pending_id"),
        ({"timeout_s": 8}, "exists_with_different_timeout"),
        ({"debit_account_id": 5}, "exists_with_different_debit_account_id"),
        ({"credit_account_id": 5}, "exists_with_different_credit_account_id"),
        ({"amount": 11}, "exists_with_different_amount"),
        ({"user_data_128": 5}, "exists_with_different_user_data_128"),
        ({"user_data_64": 5}, "exists_with_different_user_data_64"),
        ({"user_data_32": 5}, "exists_with_different_user_data_32"),
        ({"ledger": 5}, "exists_with_different_ledger"),
        ({"code": 5}, "exists_with_different_code"),
        ({"amount": 11, "code": 5}, "exists_with_different_amount"),
    ],
)
async def test_the_first_difference_of_a_repeated_transfer_is_named(book, change, status):
    hold = {"debit": "grant", "credit": "revenue", "amount": 10, "timeout_s": 9_000}
    assert await book.book(book.hold("hold", **hold)) == [OK]
    last = book.transfer("last", "grant", "revenue", 0)  # so that no chain stays open
    repeated = book.transfer("hold", **({"phase": Phase.PENDING} | hold | change))
    assert await book.book(repeated, last) == [
        status,
        "linked_event_failed" if repeated.linked else OK,
    ]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, EXISTS),
        ({"amount": 11}, "exists_with_different_amount"),
        ({"amount": AMOUNT_MAX}, "exists_with_different_amount"),
        ({"debit": "payments"}, "exists_with_different_debit_account_id"),
        ({"credit": "payments"}, "exists_with_different_credit_account_id"),
        ({"user_data_128": 5}, "exists_with_different_user_data_128"),
        ({"user_data_64": 64}, EXISTS),
        ({"user_data_64": 5}, "exists_with_different_user_data_64"),
        ({"user_data_32": 5}, "exists_with_different_user_data_32"),
        ({"ledger": 5}, "exists_with_different_ledger"),
        ({"code": 5}, "exists_with_different_code"),
        ({"code": 3, "debit": "grant", "credit": "revenue"}, EXISTS),
        ({"phase": Phase.VOID}, "exists_with_different_flags"),
    ],
)
async def test_a_repeated_post_inherits_like_the_first(book, change, status):
    assert await book.book(
        book.hold("hold", "grant", "revenue", 20, user_data_64=64),
        book.post("post", "hold", 10),
    ) == [OK, OK]
    again = {"amount": 10, "ledger": 0, "code": 0, "phase": Phase.POST} | change
    again["pending_id"] = book.id("hold")
    assert await book.book(book.transfer("post", **again)) == [status]


async def test_a_void_repeats_with_or_without_its_amount(book):
    await book.book(book.hold("hold", "grant", "revenue", 20), book.void("void", "hold"))
    assert await book.book(book.void("void", "hold"), book.void("void", "hold", 20)) == [
        EXISTS,
        EXISTS,
    ]
    assert await book.book(book.void("void", "hold", 19)) == ["exists_with_different_amount"]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"debit": "grant", "credit": "revenue", "amount": 101}, "exceeds_credits"),
        ({"debit": "grant", "credit": "overage", "amount": 1}, "exceeds_debits"),
        ({"debit": "missing", "credit": "revenue", "amount": 1}, "debit_account_not_found"),
        ({"debit": "grant", "credit": "missing", "amount": 1}, "credit_account_not_found"),
        (
            {"phase": Phase.POST, "pending_id": 5, "amount": 1},
            "pending_transfer_not_found",
        ),
    ],
)
async def test_an_id_refused_for_a_passing_reason_is_burnt(book, wrong, status):
    refused = book.transfer("refused", **wrong)
    (first,) = await book.ledger.create_transfers([refused])
    assert first.status == status
    assert first.status in TRANSIENT
    assert await book.book(refused, book.transfer("refused", "payments", "revenue", 1)) == [
        "id_already_failed",
        "id_already_failed",
    ]
    assert book.id("refused") not in await book.ledger.transfers([book.id("refused")])


async def test_an_id_refused_for_its_form_may_be_used_again(book):
    assert await book.book(book.transfer("retry", "grant", "grant", 1)) == [
        "accounts_must_be_different"
    ]
    assert await book.book(book.transfer("retry", "grant", "revenue", 1)) == [OK]


# ── chains ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_chain_is_booked_as_a_whole_and_sees_its_own_steps(book):
    await book.open(book.account("new", GRANT))
    assert await book.book(
        book.transfer("fund", "payments", "new", 10, linked=True),
        book.transfer("spend", "new", "revenue", 10),
    ) == [OK, OK]
    assert await book.sums("new") == (0, 10, 0, 10)


async def test_a_broken_chain_leaves_nothing_and_burns_only_the_culprit(book):
    assert await book.book(
        book.transfer("before", "grant", "revenue", 1),
        book.transfer("first", "grant", "revenue", 50, linked=True),
        book.hold("second", "grant", "revenue", 20, linked=True),
        book.transfer("culprit", "grant", "revenue", 50, linked=True),
        book.transfer("fourth", "payments", "grant", 50),
        book.transfer("after", "grant", "revenue", 99),
    ) == [
        OK,
        "linked_event_failed",
        "linked_event_failed",
        "exceeds_credits",
        "linked_event_failed",
        OK,
    ]
    assert await book.sums("grant") == (0, 100, 0, 100)
    assert await book.book(
        book.transfer("fourth", "payments", "grant", 50),
        book.transfer("first", "grant", "revenue", 50, linked=False),
        book.transfer("culprit", "grant", "revenue", 0),
    ) == [OK, OK, "id_already_failed"]


async def test_a_broken_chain_gives_back_the_hold_that_it_ended(book):
    await book.book(book.hold("hold", "grant", "revenue", 60))
    assert await book.book(
        book.post("post", "hold", 50, linked=True),
        book.transfer("more", "grant", "revenue", 51),
    ) == ["linked_event_failed", "exceeds_credits"]
    assert await book.sums("grant") == (60, 0, 0, 100)
    assert await book.book(book.post("post again", "hold", 60)) == [OK]


async def test_an_open_chain_is_refused(book):
    assert await book.book(
        book.transfer("first", "grant", "revenue", 1, linked=True),
        book.transfer("last", "grant", "revenue", 1, linked=True),
    ) == ["linked_event_failed", "linked_event_chain_open"]
    assert await book.book(book.transfer("alone", "grant", "revenue", 1, linked=True)) == [
        "linked_event_chain_open"
    ]
    assert await book.sums("grant") == (0, 0, 0, 100)


async def test_a_broken_chain_that_stays_open_says_both(book):
    assert await book.book(
        book.transfer("culprit", "grant", "revenue", 101, linked=True),
        book.transfer("middle", "grant", "revenue", 1, linked=True),
        book.transfer("last", "grant", "revenue", 1, linked=True),
    ) == ["exceeds_credits", "linked_event_failed", "linked_event_chain_open"]


async def test_a_repeated_chain_is_one_fact(book):
    links = [
        book.transfer("first", "grant", "revenue", 1, linked=True),
        book.transfer("second", "grant", "revenue", 2, linked=True),
        book.transfer("third", "grant", "revenue", 3),
    ]
    first = chain_result(await book.ledger.create_transfers(links))
    repeated = await book.ledger.create_transfers(links)
    assert first.status == OK
    assert repeated[0].status == EXISTS
    assert repeated[1].status == "linked_event_failed"
    assert chain_result(repeated).ok
    assert chain_result(repeated).timestamp == first.timestamp
    assert await book.sums("grant") == (0, 6, 0, 100)


async def test_a_refused_chain_is_refused_by_its_first_culprit(book):
    links = [
        book.transfer("first", "grant", "revenue", 99, linked=True),
        book.transfer("second", "grant", "revenue", 2, linked=True),
        book.transfer("third", "grant", "missing", 3),
    ]
    refused = chain_result(await book.ledger.create_transfers(links))
    assert (refused.status, refused.culprit, refused.ok) == ("exceeds_credits", 1, False)
    again = chain_result(await book.ledger.create_transfers(links))
    assert (again.status, again.culprit) == ("id_already_failed", 1)


# ── holds ───────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_held_cannot_be_spent(book):
    assert await book.book(
        book.hold("hold", "grant", "revenue", 60),
        book.transfer("too much", "grant", "revenue", 41),
        book.transfer("the rest", "grant", "revenue", 40),
        book.hold("one more", "grant", "revenue", 1),
    ) == [OK, "exceeds_credits", OK, "exceeds_credits"]
    assert await book.sums("grant") == (60, 40, 0, 100)
    assert await book.sums("revenue") == (0, 0, 60, 40)
    balance = await book.balance("grant")
    assert (balance.credit_available, balance.held, balance.credit_balance) == (0, 60, 60)


@pytest.mark.parametrize(("amount", "posted"), [(45, 45), (60, 60), (AMOUNT_MAX, 60), (0, 0)])
async def test_a_post_keeps_what_was_used_and_gives_the_rest_back(book, amount, posted):
    assert await book.book(
        book.hold("hold", "grant", "revenue", 60), book.post("post", "hold", amount)
    ) == [OK, OK]
    assert await book.sums("grant") == (0, posted, 0, 100)
    assert await book.sums("revenue") == (0, 0, 0, posted)
    (kept,) = (await book.ledger.transfers([book.id("post")])).values()
    assert (kept.amount, kept.phase, kept.pending_id) == (posted, Phase.POST, book.id("hold"))
    assert (kept.debit_account_id, kept.credit_account_id) == (book.id("grant"), book.id("revenue"))
    assert (kept.code, kept.ledger) == (3, book.number)


async def test_a_void_gives_all_back(book):
    assert await book.book(
        book.hold("hold", "grant", "revenue", 60, user_data_128=7),
        book.void("part", "hold", 59),
        book.void("void", "hold", user_data_64=8),
    ) == [OK, "pending_transfer_has_different_amount", OK]
    assert await book.sums("grant") == (0, 0, 0, 100)
    (kept,) = (await book.ledger.transfers([book.id("void")])).values()
    assert (kept.amount, kept.user_data_128, kept.user_data_64) == (60, 7, 8)


async def test_a_hold_ends_once(book):
    await book.book(
        book.hold("posted", "grant", "revenue", 30),
        book.hold("voided", "grant", "revenue", 30),
        book.post("post", "posted", 30),
        book.void("void", "voided"),
    )
    assert await book.book(
        book.post("a", "posted", 30),
        book.void("b", "posted"),
        book.post("c", "voided", 30),
        book.void("d", "voided"),
        book.post("a", "voided", 31),
    ) == [
        "pending_transfer_already_posted",
        "pending_transfer_already_posted",
        "pending_transfer_already_voided",
        "pending_transfer_already_voided",
        "exceeds_pending_transfer_amount",
    ]
    assert await book.sums("grant") == (0, 30, 0, 100)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"debit": "payments"}, "pending_transfer_has_different_debit_account_id"),
        ({"credit": "payments"}, "pending_transfer_has_different_credit_account_id"),
        ({"ledger": 5}, "pending_transfer_has_different_ledger"),
        ({"code": 5}, "pending_transfer_has_different_code"),
        ({"amount": 61}, "exceeds_pending_transfer_amount"),
        ({"phase": Phase.VOID, "amount": 61}, "exceeds_pending_transfer_amount"),
        ({"debit": "grant", "credit": "revenue", "code": 3}, OK),
    ],
)
async def test_a_post_must_fit_its_hold(book, change, status):
    await book.book(book.hold("hold", "grant", "revenue", 60))
    post = {"amount": 1, "ledger": 0, "code": 0, "phase": Phase.POST} | change
    assert await book.book(book.transfer("post", pending_id=book.id("hold"), **post)) == [status]


async def test_a_hold_may_be_made_and_ended_in_one_chain(book):
    assert await book.book(
        book.hold("hold", "grant", "revenue", 100, linked=True),
        book.post("post", "hold", 70, linked=True),
        book.hold("anew", "grant", "revenue", 30),
    ) == [OK, OK, OK]
    assert await book.sums("grant") == (30, 70, 0, 100)


async def test_a_hold_that_timed_out_is_given_back_and_cannot_be_posted(book):
    started = time.monotonic()
    assert (
        await book.book(
            book.hold("short", "grant", "revenue", 60, timeout_s=1),
            book.hold("long", "grant", "revenue", 30, timeout_s=1_000),
            book.hold("endless", "grant", "revenue", 5),
            book.hold("ended", "grant", "revenue", 5, timeout_s=1),
            book.void("end", "ended"),
        )
        == [OK] * 5
    )
    held = await book.sums("grant")
    if time.monotonic() - started < 1:  # on a busy machine it may be over
        assert held == (95, 0, 0, 100)
    if book.ledger.name == "memory":
        book.ledger._clock.now += 1_500_000_000
    else:
        await asyncio.sleep(1.2)
    assert await book.book(book.post("late", "short", 60)) == ["pending_transfer_expired"]
    async with asyncio.timeout(PATIENCE_S):
        await book.ledger.release_expired()
        while await book.sums("grant") != (35, 0, 0, 100):
            await asyncio.sleep(0.05)
            await book.ledger.release_expired()
    assert await book.sums("grant") == (35, 0, 0, 100)
    assert await book.sums("revenue") == (0, 0, 35, 0)
    assert await book.ledger.release_expired() == 0
    assert await book.book(
        book.void("later", "short"), book.post("in time", "long", 30), book.post("e", "ended", 5)
    ) == ["pending_transfer_expired", OK, "pending_transfer_already_voided"]
    history = await book.ledger.account_transfers(book.id("grant"))
    assert len(history) == 7, "an expiry is no transfer"
    assert (await book.ledger.balance_at(book.id("grant"), timestamp=LATE)).same_sums(
        await book.balance("grant")
    )


# ── balancing ───────────────────────────────────────────────────────────────────────────────────


async def test_a_balancing_debit_takes_what_is_there_and_no_more(book):
    await book.book(book.hold("hold", "grant", "revenue", 25))
    rest = book.transfer("rest", "grant", "revenue", AMOUNT_MAX, balancing_debit=True)
    assert await book.book(rest, rest) == [OK, EXISTS]
    assert await book.sums("grant") == (25, 75, 0, 100)
    (kept,) = (await book.ledger.transfers([rest.id])).values()
    assert kept.amount == 75
    nothing = book.transfer("nothing", "grant", "revenue", 40, balancing_debit=True)
    assert await book.book(nothing) == [OK]
    lower = book.transfer("rest", "grant", "revenue", 74, balancing_debit=True)
    same = book.transfer("rest", "grant", "revenue", 75, balancing_debit=True)
    assert await book.book(lower, same) == ["exists_with_different_amount", EXISTS]
    assert await book.sums("grant") == (25, 75, 0, 100)


async def test_a_balancing_credit_repays_what_is_owed_and_no_more(book):
    await book.book(book.transfer("owed", "overage", "revenue", 10))
    assert await book.book(
        book.transfer("repay", "grant", "overage", 50, balancing_credit=True),
        book.transfer("both", "grant", "overage", 50, balancing_credit=True, balancing_debit=True),
    ) == [OK, OK]
    assert await book.sums("overage") == (0, 10, 0, 10)
    assert await book.sums("grant") == (0, 10, 0, 100)


# ── reading ─────────────────────────────────────────────────────────────────────────────────────


async def test_unknown_ids_are_absent(book):
    assert await book.ledger.accounts([5, book.id("nobody")]) == {}
    assert await book.ledger.transfers([5]) == {}
    assert set(await book.ledger.balances([5, book.id("grant")])) == {book.id("grant")}
    assert await book.ledger.account_transfers(5) == []


async def test_a_transfer_is_found_as_it_was_booked(book):
    sent = book.hold(
        "full",
        "grant",
        "revenue",
        60,
        user_data_128=2**128 - 1,
        user_data_64=2**64 - 1,
        user_data_32=2**32 - 1,
        timeout_s=2**31,
    )
    (result,) = await book.ledger.create_transfers([sent])
    (found,) = (await book.ledger.transfers([sent.id])).values()
    assert found.timestamp == result.timestamp
    assert {**_fields(found), "timestamp": 0} == _fields(sent)


def _fields(transfer):
    return {name: getattr(transfer, name) for name in transfer.__struct_fields__}


async def test_history_comes_in_pages_from_either_end(book):
    names = ["one", "two", "three", "four", "five"]
    for name in names:
        await book.book(book.transfer(name, "grant", "revenue", 1))
    expected = [book.id(name) for name in ("top-up", *names)]
    page = await book.ledger.account_transfers(book.id("grant"), limit=4)
    assert [transfer.id for transfer in page] == expected[:4]
    rest = await book.ledger.account_transfers(
        book.id("grant"), since_timestamp=page[-1].timestamp + 1
    )
    assert [transfer.id for transfer in rest] == expected[4:]
    between = await book.ledger.account_transfers(
        book.id("grant"),
        since_timestamp=page[1].timestamp,
        until_timestamp=page[2].timestamp,
    )
    assert [transfer.id for transfer in between] == expected[1:3]
    newest = await book.ledger.account_transfers(book.id("grant"), newest_first=True, limit=2)
    assert [transfer.id for transfer in newest] == expected[:-3:-1]
    timestamps = [transfer.timestamp for transfer in page + rest]
    assert all(earlier < later for earlier, later in pairwise(timestamps))


async def test_the_balance_at_each_step_is_what_it_was_then(book):
    steps = [
        book.hold("hold", "grant", "revenue", 60),
        book.transfer("use", "grant", "revenue", 10),
        book.post("post", "hold", 20),
        book.transfer("back", "revenue", "grant", 5),
        book.hold("second", "grant", "revenue", 7),
        book.void("void", "second"),
    ]
    seen = []
    for step in steps:
        (result,) = await book.ledger.create_transfers([step])
        seen.append((result.timestamp, await book.balance("grant"), await book.balance("revenue")))
    for timestamp, grant, revenue in seen:
        for name, expected in (("grant", grant), ("revenue", revenue)):
            then = await book.ledger.balance_at(book.id(name), timestamp=timestamp)
            assert then.same_sums(expected), name
    before = await book.ledger.balance_at(book.id("grant"), timestamp=seen[0][0] - 1)
    assert (before.credits_posted, before.debits_pending) == (100, 0)


async def test_a_later_read_has_a_later_timestamp(book):
    first = await book.balance("grant")
    await book.book(book.transfer("use", "grant", "revenue", 1))
    second = await book.balance("grant")
    assert 0 < first.timestamp < second.timestamp
    house = (await book.ledger.balances([book.id("revenue"), book.id("grant")])).values()
    assert len({balance.timestamp for balance in house}) == 1, "read at one moment"


async def test_more_than_a_submission_carries_is_booked_all_the_same(book):
    transfers = [
        book.transfer(f"{number}", "payments", "revenue", 1, linked=number % 3 != 2)
        for number in range(BATCH_MAX // 3 * 3 + 300)
    ]
    results = await book.ledger.create_transfers(transfers)
    assert {result.status for result in results} == {TransferStatus.CREATED}
    assert await book.sums("payments") == (0, 100 + len(transfers), 0, 0)


# ── together ────────────────────────────────────────────────────────────────────────────────────


async def test_many_at_once_never_overspend(book):
    attempts = [
        book.book(book.transfer(f"use {number}", "grant", "revenue", 7)) for number in range(30)
    ]
    statuses = [status for (status,) in await asyncio.gather(*attempts)]
    assert statuses.count(OK) == 100 // 7
    assert statuses.count("exceeds_credits") == 30 - 100 // 7
    assert await book.sums("grant") == (0, 98, 0, 100)


async def test_the_same_transfer_many_times_at_once_is_booked_once(book):
    use = book.transfer("use", "grant", "revenue", 7)
    statuses = [status for (status,) in await asyncio.gather(*[book.book(use) for _ in range(10)])]
    assert sorted(statuses) == sorted([OK] + [EXISTS] * 9)
    assert await book.sums("grant") == (0, 7, 0, 100)


async def test_whoever_repeats_while_the_first_try_empties_the_grant_hears_that_it_exists(book):
    use = book.transfer("use", "grant", "revenue", 100)
    for statuses in await asyncio.gather(*[book.book(use) for _ in range(8)]):
        assert statuses in ([OK], [EXISTS])
    assert await book.book(use) == [EXISTS]


@pytest.mark.parametrize(("debit", "credit"), [("grant", "revenue"), ("payments", "revenue")])
async def test_one_of_many_who_end_a_hold_at_once_ends_it(book, debit, credit):
    await book.book(book.hold("hold", debit, credit, 50))
    before = (await book.balance(debit)).debits_posted
    ends = [book.post(f"post {number}", "hold", 10 + number) for number in range(8)]
    statuses = [status for (status,) in await asyncio.gather(*[book.book(end) for end in ends])]
    assert statuses.count(OK) == 1
    assert statuses.count("pending_transfer_already_posted") == 7
    after = await book.balance(debit)
    assert after.debits_pending == 0
    assert after.debits_posted == before + 10 + statuses.index(OK)


async def test_crossing_transfers_between_two_customers_all_get_through(book):
    await book.open(book.account("other", GRANT))
    await book.book(book.transfer("fund", "payments", "other", 100))
    crossing = [
        book.book(
            book.transfer(f"to {number}", "grant", "other", 1, linked=True),
            book.transfer(f"back {number}", "other", "grant", 1),
        )
        if number % 2
        else book.book(
            book.transfer(f"back {number}", "other", "grant", 1, linked=True),
            book.transfer(f"to {number}", "grant", "other", 1),
        )
        for number in range(20)
    ]
    for statuses in await asyncio.gather(*crossing):
        assert statuses == [OK, OK]
    assert (await book.balance("grant")).credit_balance == 100
    assert (await book.balance("other")).credit_balance == 100
