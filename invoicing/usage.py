"""What a subscription has used in a period, and what that costs: one fee a price and group.

Amounts come from rollups (`usage_rollups`) wherever sums are enough. What depends on the order of
events (free tiers, bounds per transaction, days) is rated from the events themselves, as long as
they are not too many; so is what a reversal has left in doubt.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing import passed_units, usage_rollups
from invoicing.periods import Bounds
from invoicing.records import Connection, from_json
from invoicing.usage_events import UsageLine
from invoicing.usage_lines import lines_of
from invoicing.usage_pricing import Bucket, Fee, fee_of
from invoicing.usage_rollups import BEGINNING, StoredUsage, Stretch, UsageKey
from invoicing.usage_versions import (
    PricedCharge,
    PricedVersion,
    VersionName,
    Versions,
    in_force,
    terms_of,
)
from rating.period import Period

__all__ = [
    "EVENTS_MAX",
    "ChargeUsage",
    "PeriodUsage",
    "Question",
    "Wanted",
    "rate_period",
    "rate_periods",
]

EVENTS_MAX: Final = 200_000
"""How many events are rated one by one for an answer: some seconds of work."""

_NOTHING_STORED: Final = StoredUsage()


class Wanted(Struct, frozen=True, kw_only=True):
    """Which usage is asked for; None means all."""

    charge_id: UUID | None = None
    charge_code: str | None = None
    billable_metric_code: str | None = None
    group: dict[str, str] = {}
    """Values of pricing group keys; empty: all groups."""
    presentation_keys: tuple[str, ...] | None = None
    """The presentation group keys to break down by."""

    def takes(self, charge: PricedCharge) -> bool:
        """Whether the charge's usage is asked for."""
        listed = charge.listed
        return (
            self.charge_id in {None, listed.id, charge.rated.id}
            and self.charge_code in {None, listed.code}
            and self.billable_metric_code in {None, listed.billable_metric_code}
            and set(self.group) <= set(charge.rated.pricing_group_keys)
        )

    def takes_group(self, group: str) -> bool:
        """Whether the group's usage is asked for."""
        if not self.group:
            return True
        values: dict[str, str | None] = from_json(group) if group else {}
        return all(values.get(key) == value for key, value in self.group.items())


class ChargeUsage(Struct, frozen=True, kw_only=True):
    """A charge of the plan in one asset, with its fees."""

    charge: PricedCharge
    fees: tuple[Fee, ...]


class PeriodUsage(Struct, frozen=True, kw_only=True):
    """The usage of a subscription in one period."""

    period: Period
    charges: tuple[ChargeUsage, ...]


_ALL: Final = Wanted()


class Question(Struct, frozen=True, kw_only=True):
    """Whose usage of which time is asked for."""

    organization_id: UUID
    subscription_id: UUID
    plan_id: UUID
    bounds: Bounds
    """The billing period."""
    period: Period
    """The part of it that the subscription lived."""
    as_of: datetime
    """Now: which of the plan's charges are listed, used or not."""
    events_max: int = EVENTS_MAX
    """How many events may be rated one by one."""


async def rate_period(
    connection: Connection,
    versions: Versions,
    question: Question,
    wanted: Wanted = _ALL,
) -> PeriodUsage:
    """Price all usage of a period.

    Charges that are in force as of now, or were when the period ended, are listed first. Needs a
    transaction. Raises NotAllowed (`too_many_events`) where order matters and there are more than
    EVENTS_MAX.
    """
    names = await versions.names(connection, question.organization_id, question.plan_id)
    stored = await usage_rollups.read(
        connection,
        question.organization_id,
        question.subscription_id,
        start=question.bounds.start,
        end=question.bounds.end,
    )
    loaded = await _load(connection, versions, question, names, stored)
    carried = await _carried(connection, question, loaded.versions.values())
    (passed,) = await _passed_all(connection, versions, [question], [loaded], [carried])
    return await _rate(
        connection, versions, _Facts(question, names, loaded, stored, carried, passed), wanted
    )


async def rate_periods(
    connection: Connection, versions: Versions, questions: Sequence[Question]
) -> list[PeriodUsage]:
    """As `rate_period`, of many subscriptions at once, in the order of the questions.

    What is stored is read in one statement, and once more where units stay from period to period.
    """
    stored = await usage_rollups.read_all(connection, [_stretch(one) for one in questions])
    names: dict[tuple[UUID, UUID], list[VersionName]] = {}
    loads: list[_Loaded] = []
    for question, usage in zip(questions, stored, strict=True):
        plan = question.organization_id, question.plan_id
        if plan not in names:
            names[plan] = await versions.names(connection, *plan)
        loads.append(await _load(connection, versions, question, names[plan], usage))
    carried = await _carried_all(connection, questions, loads)
    passed = await _passed_all(connection, versions, questions, loads, carried)
    found: list[PeriodUsage] = []
    for at, question in enumerate(questions):
        plan = question.organization_id, question.plan_id
        facts = _Facts(question, names[plan], loads[at], stored[at], carried[at], passed[at])
        found.append(await _rate(connection, versions, facts, _ALL))
    return found


def _stretch(question: Question, *, since: datetime | None = None) -> Stretch:
    bounds = question.bounds
    return Stretch(
        organization_id=question.organization_id,
        subscription_id=question.subscription_id,
        start=bounds.start if since is None else since,
        end=bounds.end if since is None else bounds.start,
    )


class _Loaded(Struct, frozen=True):
    """The versions that a period's usage may be priced by."""

    versions: dict[UUID, PricedVersion]
    begins: UUID
    """In force when the period began."""
    ends: UUID
    """In force when it ended, or now."""


class _Facts(Struct, frozen=True):
    """All that a period's price is told from, but for single events."""

    question: Question
    names: list[VersionName]
    loaded: _Loaded
    stored: dict[UsageKey, StoredUsage]
    carried: dict[UsageKey, StoredUsage]
    passed: Mapping[UsageKey, Sequence[UsageLine]]
    """The events of other subscriptions in it, whose place this one took."""


async def _load(
    connection: Connection,
    versions: Versions,
    question: Question,
    names: Sequence[VersionName],
    stored: Mapping[UsageKey, StoredUsage],
) -> _Loaded:
    bounds = question.bounds
    ends = in_force(names, min(question.as_of, bounds.end - timedelta(microseconds=1))).id
    begins = in_force(names, bounds.start).id
    wanted = {begins, ends} | _used(stored)
    loaded = await versions.load(connection, question.organization_id, wanted)
    return _Loaded(loaded, begins, ends)


async def _rate(
    connection: Connection, versions: Versions, facts: _Facts, wanted: Wanted
) -> PeriodUsage:
    question, stored, carried = facts.question, facts.stored, facts.carried
    loaded = facts.loaded.versions
    missing = _used(carried) - loaded.keys()
    if missing:
        loaded = loaded | await versions.load(connection, question.organization_id, missing)
    ordered = [loaded[name.id] for name in facts.names if name.id in loaded]
    begins = loaded[facts.loaded.begins]
    buckets = [
        bucket
        for key in {**stored, **carried}
        if (bucket := _bucket(key, stored, carried, ordered, begins=begins, period=question.period))
        and wanted.takes(bucket.charge)
        and wanted.takes_group(key.group)
    ]
    lines = await lines_of(connection, question, buckets)
    for key in lines.keys() & facts.passed.keys():
        lines[key] = [*facts.passed[key], *lines[key]]
    fees: dict[UUID, list[Fee]] = {}
    charges: dict[UUID, PricedCharge] = {
        charge.rated.id: charge
        for charge in loaded[facts.loaded.ends].charges
        if wanted.takes(charge)
    }
    for bucket in buckets:
        some = lines.get(bucket.key, [])
        fee = await fee_of(bucket, some, question.period, wanted.presentation_keys)
        fees.setdefault(bucket.key.charge_id, []).append(fee)
        charges.setdefault(bucket.key.charge_id, bucket.charge)
    return PeriodUsage(
        period=question.period,
        charges=tuple(
            ChargeUsage(charge=charge, fees=tuple(sorted(fees.get(charge_id, ()), key=_order)))
            for charge_id, charge in charges.items()
        ),
    )


def _used(stored: Mapping[UsageKey, StoredUsage]) -> set[UUID]:
    """The versions that events were rated with."""
    return {version for usage in stored.values() for version in usage.summaries}


def _order(fee: Fee) -> tuple[str, bool, str]:
    return fee.group, fee.filter_id is None, str(fee.filter_id)


async def _carried(
    connection: Connection, question: Question, versions: Iterable[PricedVersion]
) -> dict[UsageKey, StoredUsage]:
    """What units that stay begin the period with."""
    staying = _staying(versions)
    if not staying:
        return {}
    return await usage_rollups.read(
        connection,
        question.organization_id,
        question.subscription_id,
        start=BEGINNING,
        end=question.bounds.start,
        charge_ids=list(staying),
    )


async def _carried_all(
    connection: Connection, questions: Sequence[Question], loads: Sequence[_Loaded]
) -> list[dict[UsageKey, StoredUsage]]:
    """The same for many; nothing is read for those whose units do not stay."""
    staying = [_staying(loaded.versions.values()) for loaded in loads]
    asked = [at for at, charges in enumerate(staying) if charges]
    stretches = [_stretch(questions[at], since=BEGINNING) for at in asked]
    read = dict(zip(asked, await usage_rollups.read_all(connection, stretches), strict=True))
    return [
        {key: usage for key, usage in read.get(at, {}).items() if key.charge_id in charges}
        for at, charges in enumerate(staying)
    ]


async def _passed_all(
    connection: Connection,
    versions: Versions,
    questions: Sequence[Question],
    loads: Sequence[_Loaded],
    carried: Sequence[dict[UsageKey, StoredUsage]],
) -> list[Mapping[UsageKey, Sequence[UsageLine]]]:
    """What subscriptions of other plans pass on, counted into what is carried."""
    asked = [at for at, loaded in enumerate(loads) if _staying(loaded.versions.values())]
    pairs = {(questions[at].organization_id, questions[at].subscription_id) for at in asked}
    before = await passed_units.predecessors(connection, pairs) if pairs else {}
    found: list[Mapping[UsageKey, Sequence[UsageLine]]] = [{} for _ in questions]
    for at in asked:
        question, loaded = questions[at], loads[at]
        if question.subscription_id not in before:
            continue
        found[at] = await passed_units.passed_lines(
            connection,
            versions,
            question.organization_id,
            before[question.subscription_id],
            loaded.versions[loaded.begins],
            before=question.period.start,
            events_max=question.events_max,
        )
        for key, lines in found[at].items():
            passed_units.count_in(carried[at].setdefault(key, StoredUsage()), lines)
    return found


def _staying(versions: Iterable[PricedVersion]) -> set[UUID]:
    """The charges whose units stay from period to period."""
    return {
        rated.id
        for version in versions
        for pair in version.charges
        for rated in (pair.rated, *pair.rated.alternatives)
        if rated.recurring
    }


def _bucket(
    key: UsageKey,
    stored: Mapping[UsageKey, StoredUsage],
    carried: Mapping[UsageKey, StoredUsage],
    versions: Sequence[PricedVersion],
    *,
    begins: PricedVersion,
    period: Period,
) -> Bucket | None:
    """A key with its prices, or None if it comes to nothing.

    Priced by the versions that its events were rated with. Units that stay and saw no event are
    priced by the version in force when the period began, if that still prices them.
    """
    usage = stored.get(key, _NOTHING_STORED)
    used = {version for version, summary in usage.summaries.items() if summary.events}
    pricing = [version for version in versions if version.id in used] or [begins]
    found = terms_of(pricing, key.charge_id, key.filter_id)
    if found is None:
        return None
    charge, terms = found
    if not used and not terms.recurring:
        return None
    before = carried.get(key, _NOTHING_STORED) if terms.recurring else _NOTHING_STORED
    rated_with = {**usage.summaries, **before.summaries}
    codes = {
        found.listed.billable_metric_code
        for version in versions
        if version.id in rated_with and (found := version.find(key.charge_id))
    }
    return Bucket(
        key=key,
        charge=charge,
        terms=terms,
        stored=usage,
        carried=before,
        codes=frozenset(codes),
        ends_at=period.end,
    )
