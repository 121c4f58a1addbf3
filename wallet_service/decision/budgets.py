"""Budgets: how much may be spent of something, by whom, in which time.

    held ──capture──► spent ──refund, reversal──► given back, where it was spent
     └──void, expiry, final capture──► released

A hard budget refuses authorizations for which ``spent + held + needed`` would pass its limit; a
soft one says so. Usage that happened counts and is never refused. What is held is in no window: it
will be spent in whichever it is captured, so it counts in all of them until then.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from msgspec import structs

from wallet_service.errors import BudgetExceeded
from wallet_service.replies import PassedBudget, iso

from .budget_alerts import AlertId, raise_alerts, rearm, spent_of
from .budget_state import BucketState, BudgetKey, BudgetMove, BudgetPart, EventBudget
from .budget_windows import (
    EPOCH,
    Rolling,
    counts,
    ends_at,
    kept_s,
    leaves_at,
    starts_at,
)
from .commands import (
    Asset,
    Authorize,
    Capture,
    Command,
    Debit,
    Expire,
    Extend,
    Refund,
    Reverse,
    Void,
)
from .outcomes import Effect, EventRow
from .state import CustomerState, EventState

__all__ = ["Budgets", "Need", "buckets_of", "merged", "undo_moves"]

Need: TypeAlias = tuple[Sequence[BudgetKey], int]
"""The buckets that an item is counted in, and what it comes to."""


class Budgets:
    """The budgets of one batch, as one operation sees and moves them.

    Buckets that were not read are of budgets that are gone: they limit nothing, and nothing is
    counted there.
    """

    __slots__ = ("_alert_id", "_buckets", "_effect", "_now")

    def __init__(
        self,
        buckets: Mapping[BudgetKey, BucketState],
        effect: Effect,
        *,
        now: datetime,
        alert_id: AlertId,
    ) -> None:
        self._buckets = buckets
        self._effect = effect
        self._now = now
        self._alert_id = alert_id

    # -- questions ---------------------------------------------------------------------------------

    def room(
        self, keys: Iterable[BudgetKey], asset: Asset, taken: Mapping[BudgetKey, int]
    ) -> int | None:
        """How much the hard ones of these would still let pass beside what is taken already.

        None where nothing limits it.
        """
        rooms: list[int] = []
        for key in keys:
            bucket = self._find(key, asset)
            if bucket is not None and bucket.terms.is_hard:
                used = self._used(bucket) + taken.get(key, 0)
                rooms.append(bucket.terms.limit_minor - used)
        return max(0, min(rooms)) if rooms else None

    def check(self, needs: Iterable[Need], asset: Asset) -> list[PassedBudget]:
        """Whether all of this may be held: the soft budgets that it would pass.

        Raises BudgetExceeded for the first hard one.
        """
        passed: list[PassedBudget] = []
        if not self._buckets:
            return passed
        for key, needed in _by_bucket(needs).items():
            bucket = self._find(key, asset)
            if bucket is None or self._used(bucket) + needed <= bucket.terms.limit_minor:
                continue
            body = self._body(bucket, asset, needed)
            if bucket.terms.is_hard:
                raise BudgetExceeded(
                    needed=body.needed,
                    available=asset.format(max(0, bucket.terms.limit_minor - self._used(bucket))),
                    asset_code=asset.code,
                    budget=structs.asdict(body),
                )
            passed.append(body)
        return passed

    # -- movements ---------------------------------------------------------------------------------

    def hold(self, needs: Iterable[Need], asset: Asset) -> list[BudgetPart]:
        """Reserve what is to be held; what the hold then has in each bucket."""
        parts: list[BudgetPart] = []
        if not self._buckets:
            return parts
        for key, needed in _by_bucket(needs).items():
            bucket = self._find(key, asset)
            if bucket is not None:
                bucket.held += needed
                self._effect.budget_moves.append(BudgetMove(key, held_minor=needed))
                parts.append(_part(key, "", None, needed))
        return parts

    def release(self, parts: Sequence[BudgetPart]) -> list[BudgetPart]:
        """Let go of what a hold still has reserved; what it has spent stays."""
        return self.settle(parts, [], left_minor=0)

    def settle(
        self, parts: Sequence[BudgetPart], spent: Sequence[BudgetPart], *, left_minor: int
    ) -> list[BudgetPart]:
        """Part with what was used of a hold; ``left_minor`` is what it goes on to hold."""
        used: dict[BudgetKey, int] = {}
        for part in spent:
            used[part.key] = used.get(part.key, 0) + part.amount_minor
        kept = [part for part in parts if part.starts_at is not None]
        for part in merged(part for part in parts if part.starts_at is None):
            left = max(0, min(part.amount_minor - used.get(part.key, 0), left_minor))
            freed = part.amount_minor - left
            bucket = self._buckets.get(part.key)
            if freed and bucket is not None:
                bucket.held -= freed
                self._effect.budget_moves.append(BudgetMove(part.key, held_minor=-freed))
            part.amount_minor = left
            kept.append(part)
        return merged([*kept, *spent])

    def spend(
        self, keys: Iterable[BudgetKey], code: str, amount_minor: int, asset: Asset
    ) -> list[BudgetPart]:
        """Count usage that happened, whatever the limits; raises alerts that are due."""
        parts: list[BudgetPart] = []
        for key in keys if amount_minor else ():
            bucket = self._find(key, asset)
            if bucket is not None:
                place = starts_at(bucket.terms.window, self._now)
                rearm(bucket, self._now)
                self._move_spent(key, bucket, place, amount_minor)
                self._effect.alerts += raise_alerts(
                    key, bucket, now=self._now, alert_id=self._alert_id
                )
                parts.append(_part(key, code, place, amount_minor))
        return parts

    def give_back(
        self, parts: Iterable[BudgetPart], returned: Mapping[str, int]
    ) -> list[BudgetPart]:
        """Take back what was spent for these metrics, the latest first, where it was spent.

        Of each bucket no more than is there. Says what was taken, as negative parts.
        """
        given: list[BudgetPart] = []
        left: dict[tuple[BudgetKey, str], int] = {}
        spent = [part for part in merged(parts) if part.starts_at is not None]
        for part in sorted(spent, key=_place_of, reverse=True):
            place = part.key, part.code
            back = min(left.setdefault(place, returned.get(part.code, 0)), part.amount_minor)
            if not back:
                continue
            left[place] -= back
            part.amount_minor = -back
            given.append(part)
            bucket = self._buckets.get(part.key)
            if bucket is not None and _is_kept(bucket, _place_of(part), self._now):
                self._move_spent(part.key, bucket, _place_of(part), -back)
                rearm(bucket, self._now)
        return given

    def count_event(self, row: EventRow, command: Debit, asset: Asset) -> None:
        """Count what an event was charged in this asset, and remember it of the event."""
        if not self._buckets:
            return
        keys = next(one.items[0].budgets for one in command.choices if one.asset == asset)
        charged = sum(line.amount_minor for line in row.lines)
        self._remember(row.id, self.spend(keys, row.code, charged, asset))

    def give_back_event(self, event: EventState, amount_minor: int) -> None:
        """Take back a reversed part of what an event was charged."""
        self._remember(event.id, self.give_back(event.budgets, {event.code: amount_minor}))

    # -- parts -------------------------------------------------------------------------------------

    def _find(self, key: BudgetKey, asset: Asset) -> BucketState | None:
        bucket = self._buckets.get(key)
        return bucket if bucket is not None and bucket.terms.asset_code == asset.code else None

    def _used(self, bucket: BucketState) -> int:
        return spent_of(bucket, self._now) + bucket.held

    def _move_spent(
        self, key: BudgetKey, bucket: BucketState, place: datetime, amount_minor: int
    ) -> None:
        bucket.spent[place] = bucket.spent.get(place, 0) + amount_minor
        self._effect.budget_moves.append(BudgetMove(key, starts_at=place, spent_minor=amount_minor))

    def _remember(self, event_id: UUID, parts: Iterable[BudgetPart]) -> None:
        self._effect.event_budgets.extend(EventBudget(event_id, part) for part in parts)

    def _body(self, bucket: BucketState, asset: Asset, needed: int) -> PassedBudget:
        terms = bucket.terms
        resets_at = _resets_at(bucket, needed, now=self._now)
        return PassedBudget(
            id=terms.id,
            code=terms.code,
            name=terms.name,
            bucket=bucket.bucket,
            mode="hard" if terms.is_hard else "soft",
            asset_code=asset.code,
            limit=asset.format(terms.limit_minor),
            spent=asset.format(spent_of(bucket, self._now)),
            held=asset.format(bucket.held),
            needed=asset.format(needed),
            resets_at=None if resets_at is None else iso(resets_at),
        )


def buckets_of(command: Command, customer: CustomerState | None) -> set[BudgetKey]:
    """All buckets that judging a command may look at or move.

    Those that its items are counted in, and those that its hold, or the event that it reverses,
    has something in. ``customer`` is whose it is, with those; None before anything was read.
    """
    keys: set[BudgetKey] = set()
    if type(command) is Debit or type(command) is Authorize:
        for choice in command.choices:
            for item in choice.items:
                if item.budgets:
                    keys.update(item.budgets)
        return keys
    match command:
        case Extend() | Capture():
            keys.update(key for item in command.items or () for key in item.budgets)
            if isinstance(command, Capture):
                keys.update(command.budgets)
        case _:
            pass
    if customer is not None:
        keys.update(part.key for part in _parts_of(command, customer))
    return keys


def _parts_of(command: Command, customer: CustomerState) -> list[BudgetPart]:
    match command:
        case Capture() | Extend() | Void() | Expire() | Refund():
            hold = customer.holds.get(command.authorization_id)
            return hold.budgets if hold is not None else []
        case Reverse():
            event = customer.events.get(command.event_id)
            return event.budgets if event is not None else []
        case _:
            return []


def undo_moves(
    effect: Effect,
    buckets: Mapping[BudgetKey, BucketState],
    *,
    now: datetime,
    alert_id: AlertId,
) -> Effect:
    """What takes a refused intent's movements out of its budgets again.

    Its alerts were never told, so they are armed again; what others have spent meanwhile may raise
    them for good.
    """
    undone = Effect(effect.operation_id, effect.customer_id)
    for row in effect.alerts:
        bucket = buckets.get(row.key)
        if bucket is not None:
            bucket.raised = tuple(one for one in bucket.raised if one != row.percentage)
    touched: dict[BudgetKey, BucketState] = {}
    for move in effect.budget_moves:
        bucket = buckets.get(move.key)
        if bucket is None:
            continue
        bucket.held -= move.held_minor
        if move.starts_at is not None:
            spent = bucket.spent.get(move.starts_at, 0)
            bucket.spent[move.starts_at] = spent - move.spent_minor
        undone.budget_moves.append(
            BudgetMove(move.key, -move.held_minor, move.starts_at, -move.spent_minor)
        )
        touched[move.key] = bucket
    for key, bucket in touched.items():
        rearm(bucket, now)
        undone.alerts += raise_alerts(key, bucket, now=now, alert_id=alert_id)
    return undone


# -- parts -----------------------------------------------------------------------------------------


def _by_bucket(needs: Iterable[Need]) -> dict[BudgetKey, int]:
    """What is needed of each bucket, by all items together."""
    needed: dict[BudgetKey, int] = {}
    for keys, amount in needs:
        for key in keys if amount else ():
            needed[key] = needed.get(key, 0) + amount
    return needed


def merged(parts: Iterable[BudgetPart]) -> list[BudgetPart]:
    """Parts of the same bucket, place and metric as one; what is nothing is left out."""
    merged: dict[tuple[BudgetKey, str, datetime | None], BudgetPart] = {}
    for part in parts:
        place = part.key, part.code, part.starts_at
        known = merged.get(place)
        amount = part.amount_minor + (known.amount_minor if known else 0)
        merged[place] = _part(part.key, part.code, part.starts_at, amount)
    return [part for part in merged.values() if part.amount_minor]


def _part(key: BudgetKey, code: str, starts: datetime | None, amount_minor: int) -> BudgetPart:
    return BudgetPart(key.budget_id, key.bucket, key.is_wide, code, starts, amount_minor)


def _place_of(part: BudgetPart) -> datetime:
    return part.starts_at or EPOCH


def _is_kept(bucket: BucketState, place: datetime, now: datetime) -> bool:
    """Whether what was spent there is still looked at by anybody."""
    seconds = kept_s(bucket.terms.window)
    return seconds is None or place > now - timedelta(seconds=seconds)


def _resets_at(bucket: BucketState, needed: int, *, now: datetime) -> datetime | None:
    """When this could pass, if nothing else is spent or held until then.

    The end of a calendar window; of a rolling one, when enough will have left it. None for ever.
    """
    window = bucket.terms.window
    if not isinstance(window, Rolling):
        return ends_at(window, now)
    over = spent_of(bucket, now) + bucket.held + needed - bucket.terms.limit_minor
    for start in sorted(bucket.spent):
        if counts(window, start, now):
            over -= bucket.spent[start]
            if over <= 0:
                return leaves_at(window, start)
    return None
