"""What would become of an authorization: the answer of the real one, and nothing is written."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet_service.errors import Invalid, WalletError
from wallet_service.replies import PassedBudget

from .budget_state import BucketState, BudgetKey
from .budgets import Budgets
from .commands import Authorize, Choice
from .outcomes import Effect
from .payable import Situation, find_payable
from .pricing import amounts_to_hold
from .state import NIL, CustomerState

__all__ = ["Trial", "try_authorize"]


class Trial(Struct):
    """How an authorization would come out, in the asset that would pay, or refused last."""

    choice: Choice
    amounts_minor: Sequence[int]
    """What each item may cost."""
    available_minor: int
    refusal: WalletError | None = None
    warnings: Sequence[PassedBudget] = ()
    """Soft budgets that it would pass."""


def try_authorize(
    command: Authorize,
    customer: CustomerState,
    *,
    now: datetime,
    buckets: Mapping[BudgetKey, BucketState],
) -> Trial:
    """Judge an authorization on a copy of what is known, which is used up by that.

    Raises Invalid.
    """
    choices = command.choices
    codes = [item.code for item in command.items]
    available = {
        one.asset.code: customer.available(one.asset.code, codes, now=now) for one in choices
    }
    budgets = Budgets(buckets, _NOTHING, now=now, alert_id=_no_alert)
    try:
        found = find_payable(Situation(customer, now=now, budgets=budgets), command)
    except Invalid:
        raise
    except WalletError as refusal:
        last = choices[-1]
        amounts = amounts_to_hold(last.items, last.asset, command.pricing, customer.totals, at=now)
        return Trial(last, amounts, available[last.asset.code], refusal.with_traceback(None))
    amounts = [claim.amount_minor for claim in found.claims]
    payable_in = found.choice.asset.code
    return Trial(found.choice, amounts, available[payable_in], warnings=found.warnings)


_NOTHING: Final = Effect(NIL, None)
"""What a trial writes."""


def _no_alert(name: str) -> UUID:
    raise AssertionError(f"nothing is spent, so nothing is told: {name}")
