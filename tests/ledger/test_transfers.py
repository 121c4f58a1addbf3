"""One answer for a chain, and where chains begin and end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import AccountResult, Phase, Transfer, TransferResult, TransferStatus, chain_result
from ledger.accounts import AccountStatus, Balance
from ledger.transfers import ENDED, TRANSIENT, chains

S = TransferStatus


def result_of(*statuses):
    return chain_result([TransferResult(status, at) for at, status in enumerate(statuses, 1)])


@pytest.mark.parametrize(
    ("statuses", "status", "culprit"),
    [
        ([S.CREATED], S.CREATED, None),
        ([S.CREATED, S.CREATED], S.CREATED, None),
        ([S.EXISTS], S.EXISTS, None),
        ([S.EXISTS, S.LINKED_EVENT_FAILED], S.EXISTS, None),
        ([S.EXCEEDS_CREDITS], S.EXCEEDS_CREDITS, 0),
        ([S.LINKED_EVENT_FAILED, S.EXCEEDS_CREDITS], S.EXCEEDS_CREDITS, 1),
        (
            [S.LINKED_EVENT_FAILED, S.ID_ALREADY_FAILED, S.LINKED_EVENT_FAILED],
            S.ID_ALREADY_FAILED,
            1,
        ),
        (
            [S.EXCEEDS_CREDITS, S.LINKED_EVENT_FAILED, S.LINKED_EVENT_CHAIN_OPEN],
            S.EXCEEDS_CREDITS,
            0,
        ),
    ],
)
def test_a_chain_is_a_fact_or_refused_by_its_first_culprit(statuses, status, culprit):
    result = result_of(*statuses)
    assert (result.status, result.culprit, result.ok) == (status, culprit, culprit is None)


def test_a_chain_without_a_culprit_is_our_own_bug():
    with pytest.raises(AssertionError):
        result_of(S.LINKED_EVENT_FAILED, S.LINKED_EVENT_FAILED)
    with pytest.raises(AssertionError):
        chain_result([])


def test_which_refusals_may_end_differently_with_new_ids():
    assert S.EXCEEDS_CREDITS in TRANSIENT
    assert S.PENDING_TRANSFER_ALREADY_POSTED not in TRANSIENT
    assert S.PENDING_TRANSFER_NOT_FOUND not in ENDED
    assert S.PENDING_TRANSFER_NOT_FOUND in TRANSIENT


@given(st.lists(st.booleans(), max_size=20))
def test_chains_cover_a_batch_without_gaps(linked):
    transfers = [Transfer(id=1, amount=0, linked=each) for each in linked]
    bounds = chains(transfers)
    assert [position for start, end in bounds for position in range(start, end)] == list(
        range(len(linked))
    )
    assert all(not linked[end - 1] for start, end in bounds[:-1])
    assert all(linked[position] for start, end in bounds for position in range(start, end - 1))


def test_flags_are_the_numbers_that_tigerbeetle_keeps():
    names = pytest.importorskip("tigerbeetle").bindings.TransferFlags
    assert Transfer(id=1, amount=0).flags == names.NONE
    assert Transfer(id=1, amount=0, phase=Phase.PENDING, linked=True).flags == (
        names.PENDING | names.LINKED
    )
    assert Transfer(id=1, amount=0, phase=Phase.POST).flags == names.POST_PENDING_TRANSFER
    assert Transfer(id=1, amount=0, phase=Phase.VOID).flags == names.VOID_PENDING_TRANSFER
    both = Transfer(id=1, amount=0, balancing_debit=True, balancing_credit=True)
    assert both.flags == names.BALANCING_DEBIT | names.BALANCING_CREDIT


def test_every_status_is_one_of_tigerbeetles_and_none_that_we_can_meet_is_missing():
    bindings = pytest.importorskip("tigerbeetle").bindings
    theirs = {status.name.lower() for status in bindings.CreateTransferStatus}
    never_met = {
        name for name in theirs if "import" in name or "clos" in name or name == "reserved_flag"
    }
    assert set(TransferStatus) == theirs - never_met
    theirs = {status.name.lower() for status in bindings.CreateAccountStatus}
    never_met = {
        name
        for name in theirs
        if "import" in name
        or "reserved" in name
        or name.endswith(("pending_must_be_zero", "posted_must_be_zero"))
    }
    assert set(AccountStatus) == theirs - never_met


def test_a_balance_is_read_from_either_side():
    balance = Balance(5, 10, 7, 100)
    assert (balance.credit_balance, balance.credit_available, balance.held) == (90, 85, 5)
    assert balance.debit_balance == -90
    assert balance.same_sums(Balance(5, 10, 7, 100, timestamp=9))
    assert not balance.same_sums(Balance(5, 10, 7, 101))
    assert AccountResult(AccountStatus.EXISTS).ok
    assert not AccountResult(AccountStatus.EXISTS_WITH_DIFFERENT_CODE).ok
