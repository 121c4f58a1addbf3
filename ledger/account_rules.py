# ruff: noqa: PLR0911 - every check is a way out, in TigerBeetle's order
"""The rules of opening accounts: statuses and the order of checks are TigerBeetle's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ledger.accounts import LIMITS, Account, AccountFlags, AccountResult, AccountStatus
from ledger.transfers import chain_bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.accounts import AccountId

S = AccountStatus
_U128_MAX = 2**128 - 1


def judge_accounts(
    accounts: Sequence[Account], existing: dict[AccountId, Account], *, timestamp: int
) -> tuple[list[AccountResult], list[Account]]:
    """Judge accounts to be opened, in order; `existing` gains those that are."""
    results: list[AccountResult] = []
    opened: list[Account] = []
    for start, end in chain_bounds([bool(each.flags & AccountFlags.LINKED) for each in accounts]):
        before = len(opened)
        is_broken = False
        for position in range(start, end):
            account, at = accounts[position], timestamp + position
            if position == end - 1 and account.flags & AccountFlags.LINKED:
                result = AccountResult(S.LINKED_EVENT_CHAIN_OPEN, at)
            elif is_broken:
                result = AccountResult(S.LINKED_EVENT_FAILED, at)
            else:
                result = _judge(account, existing, at)
            results.append(result)
            if result.status is S.CREATED:
                kept = replace(account, timestamp=at)
                existing[account.id] = kept
                opened.append(kept)
            elif not is_broken:
                is_broken = True
                while len(opened) > before:
                    del existing[opened.pop().id]
                for member in range(start, position):
                    results[member] = AccountResult(
                        S.LINKED_EVENT_FAILED, results[member].timestamp
                    )
    return results, opened


def _judge(account: Account, existing: dict[AccountId, Account], at: int) -> AccountResult:
    if account.timestamp:
        return AccountResult(S.TIMESTAMP_MUST_BE_ZERO, at)
    if account.id == 0:
        return AccountResult(S.ID_MUST_NOT_BE_ZERO, at)
    if account.id == _U128_MAX:
        return AccountResult(S.ID_MUST_NOT_BE_INT_MAX, at)
    known = existing.get(account.id)
    if known is not None:
        status = _compare(account, known)
        return AccountResult(status, known.timestamp if status is S.EXISTS else at)
    if account.flags & LIMITS == LIMITS:
        return AccountResult(S.FLAGS_ARE_MUTUALLY_EXCLUSIVE, at)
    if account.ledger == 0:
        return AccountResult(S.LEDGER_MUST_NOT_BE_ZERO, at)
    if account.code == 0:
        return AccountResult(S.CODE_MUST_NOT_BE_ZERO, at)
    return AccountResult(S.CREATED, at)


def _compare(account: Account, known: Account) -> AccountStatus:
    if account.flags != known.flags:
        return S.EXISTS_WITH_DIFFERENT_FLAGS
    if account.user_data_128 != known.user_data_128:
        return S.EXISTS_WITH_DIFFERENT_USER_DATA_128
    if account.user_data_64 != known.user_data_64:
        return S.EXISTS_WITH_DIFFERENT_USER_DATA_64
    if account.user_data_32 != known.user_data_32:
        return S.EXISTS_WITH_DIFFERENT_USER_DATA_32
    if account.ledger != known.ledger:
        return S.EXISTS_WITH_DIFFERENT_LEDGER
    if account.code != known.code:
        return S.EXISTS_WITH_DIFFERENT_CODE
    return S.EXISTS
