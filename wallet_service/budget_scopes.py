"""Which budgets usage is counted in: matched at the door, from what a worker remembers. No I/O.

Scopes never change, so what is remembered may miss a budget that was just made, or match one that
was just deleted; what a budget allows is read under the lock.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar
from uuid import UUID

from msgspec import Struct, structs

from ledger import ids
from rating.filters import as_text
from wallet_service.decision.budget_state import BudgetKey
from wallet_service.decision.commands import (
    AMOUNT_CODE,
    Authorize,
    Capture,
    Choice,
    Debit,
    Extend,
    Item,
)
from wallet_service.errors import Invalid

__all__ = ["OF_API_KEY", "OF_CUSTOMER", "OF_SUBSCRIPTION", "BudgetScope"]
__all__ += ["BudgetScopes", "Spender"]

OF_CUSTOMER: Final = "customer"
OF_SUBSCRIPTION: Final = "subscription"
OF_API_KEY: Final = "api_key"
_NO_PROPERTIES: Final = (OF_CUSTOMER, OF_SUBSCRIPTION, OF_API_KEY)

_BUCKET_LENGTH_MAX: Final = 255

_Command = TypeVar("_Command", Authorize, Extend, Capture, Debit)


class Spender(Struct, frozen=True):
    """On whose behalf something is used, and through which key."""

    customer_id: UUID
    external_subscription_id: str | None
    api_key_id: UUID | None


class BudgetScope(Struct, frozen=True, kw_only=True):
    """What a budget is for: everything that is named must fit."""

    id: UUID
    asset_code: str
    customer_id: UUID | None = None
    external_subscription_id: str | None = None
    billable_metric_code: str | None = None
    api_key_id: UUID | None = None
    filters: Mapping[str, frozenset[str]] = {}
    per: str | None = None

    @property
    def is_wide(self) -> bool:
        """Whether more than one customer may move one bucket."""
        return self.customer_id is None and self.per != OF_CUSTOMER

    def key(self, item: Item, asset_code: str, spender: Spender) -> BudgetKey | None:
        """The bucket that an item is counted in, if it is."""
        if not self._takes(item, asset_code, spender):
            return None
        bucket = self._bucket(item, spender)
        return BudgetKey(self.id, bucket, self.is_wide) if bucket is not None else None

    def unnamed(self, item: Item, asset_code: str, spender: Spender) -> str | None:
        """The property of an item that ought to name a bucket, and holds what names nothing."""
        if self.per is None or self.per in _NO_PROPERTIES:
            return None
        value = item.properties.get(self.per)
        if value is None or as_text(value) is not None:
            return None
        return self.per if self._takes(item, asset_code, spender) else None

    def _takes(self, item: Item, asset_code: str, spender: Spender) -> bool:
        return (
            self.asset_code == asset_code
            and (self.billable_metric_code or item.code) == item.code
            and (self.customer_id or spender.customer_id) == spender.customer_id
            and (self.api_key_id is None or self.api_key_id == spender.api_key_id)
            and self._takes_subscription(spender)
            and self._takes_values(item)
        )

    def _takes_subscription(self, spender: Spender) -> bool:
        wanted = self.external_subscription_id
        return wanted is None or wanted == spender.external_subscription_id

    def _takes_values(self, item: Item) -> bool:
        return all(
            as_text(item.properties.get(name)) in values for name, values in self.filters.items()
        )

    def _bucket(self, item: Item, spender: Spender) -> str | None:
        """Whose share of the budget it is; None where the usage does not say."""
        match self.per:
            case None:
                return ""
            case "customer":
                return str(spender.customer_id)
            case "subscription":
                return spender.external_subscription_id
            case "api_key":
                return None if spender.api_key_id is None else str(spender.api_key_id)
            case name:
                return _short(as_text(item.properties.get(name)) or None)


class BudgetScopes:
    """All budgets of an organization. Those that name a customer cost nobody else anything."""

    __slots__ = ("_of_all", "_of_customers")

    def __init__(self, scopes: Iterable[BudgetScope]) -> None:
        self._of_all: list[BudgetScope] = []
        self._of_customers: dict[UUID, list[BudgetScope]] = {}
        for scope in scopes:
            if scope.customer_id is None:
                self._of_all.append(scope)
            else:
                self._of_customers.setdefault(scope.customer_id, []).append(scope)

    def count(self, command: _Command, spender: Spender) -> _Command:
        """The same command, with the buckets that its items are counted in.

        Raises Invalid where more is asked for, and what a budget is per names nobody. Usage that
        happened is not refused: it counts where it can.
        """
        scopes = self._of_all + self._of_customers.get(spender.customer_id, [])
        if not scopes:
            return command
        if isinstance(command, Debit):
            return _counted_event(command, scopes, spender)
        if isinstance(command, Authorize):
            for choice in command.choices:
                _check(choice.items, choice.asset.code, scopes, spender)
            return _counted_authorization(command, scopes, spender)
        if isinstance(command, Extend):
            _check(command.items or (), command.asset.code, scopes, spender)
        items = command.items
        if items is not None:
            items = _counted(items, command.asset.code, scopes, spender)
            return structs.replace(command, items=items)
        whole = _counted((Item(AMOUNT_CODE, {}),), command.asset.code, scopes, spender)
        return structs.replace(command, budgets=whole[0].budgets)


def _counted_authorization(
    command: Authorize, scopes: Sequence[BudgetScope], spender: Spender
) -> Authorize:
    first, *others = _counted_choices(command.choices, scopes, spender)
    return structs.replace(command, items=first.items, others=tuple(others))


def _counted_event(command: Debit, scopes: Sequence[BudgetScope], spender: Spender) -> Debit:
    if not command.choices:
        return command
    first, *others = _counted_choices(command.choices, scopes, spender)
    return structs.replace(command, item=first.items[0], others=tuple(others))


def _counted_choices(
    choices: Iterable[Choice], scopes: Sequence[BudgetScope], spender: Spender
) -> list[Choice]:
    return [
        Choice(one.asset, _counted(one.items, one.asset.code, scopes, spender)) for one in choices
    ]


def _counted(
    items: Iterable[Item], asset_code: str, scopes: Sequence[BudgetScope], spender: Spender
) -> tuple[Item, ...]:
    return tuple(
        structs.replace(
            item,
            budgets=tuple(
                key for scope in scopes if (key := scope.key(item, asset_code, spender)) is not None
            ),
        )
        for item in items
    )


def _check(
    items: Iterable[Item], asset_code: str, scopes: Sequence[BudgetScope], spender: Spender
) -> None:
    for position, item in enumerate(items):
        for scope in scopes:
            if (name := scope.unnamed(item, asset_code, spender)) is not None:
                raise Invalid(
                    f"items.{position}.properties.{name}",
                    "value_is_invalid",
                    "a budget is per this property: a text, a boolean, or a number of up to 30"
                    " digits",
                )


def _short(value: str | None) -> str | None:
    """A value that may name a bucket: what is too long for a key keeps its beginning."""
    if value is None or len(value) <= _BUCKET_LENGTH_MAX:
        return value
    return f"{value[:200]}…{ids.hash128(value):032x}"
