"""Usage that comes late for subscriptions that have ended: with whom it is billed.

With the next moment of the same customer that bills usage in the same currency: of the plan that
took its place where there is one, else of any other. Where no subscription of the customer runs, it
is billed by itself, once nothing more has come in for a day. Either way it is a moment of its own
(`LATE_USAGE`) of the subscription that has ended, with a row in `billed_periods`: so it is claimed
once, drafts compute it anew, and the next look begins where this one ended. It is always after
those that were billed before: beside an old moment, whose turn comes late, it is a later one, which
has an invoice of its own.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from msgspec import Struct

from invoicing import billing_schedule
from invoicing.billing_moments import BillingMoment
from invoicing.billing_schedule import DueMoment, find_scheduled
from invoicing.late_usage import LATE_USAGE
from invoicing.records import Connection, load_queries

__all__ = ["SETTLING", "hold", "late_alone", "late_beside"]

_queries: Final[Any] = load_queries(__file__)

SETTLING: Final = timedelta(days=1)
"""What is billed by itself waits so long after the last event: more may be on its way."""

_PAGE: Final = 1_000

_Key: TypeAlias = tuple[UUID, UUID]
"""Organization and id."""

_MOMENT: Final = timedelta(microseconds=1)


class _Late(Struct, frozen=True, kw_only=True):
    """What is new for a subscription that has ended."""

    last_at: datetime
    """When the last of it came in."""
    billed_at: datetime
    """The last moment at which it, or what took its place, was billed or looked at."""

    def beside(self, at: datetime) -> datetime:
        """The moment that is billed with one at that time: nobody has had it, none is after it."""
        return max(at, self.billed_at + _MOMENT)


async def late_beside(
    connection: Connection, due: Sequence[DueMoment], *, now: datetime
) -> list[DueMoment]:
    """Moments of ended subscriptions that are billed beside these of their customers."""
    known = {one.subscription.id for one in due}
    company: dict[tuple[UUID, UUID, str], list[DueMoment]] = {}
    for one in due:
        if one.moment.charges_period is not None:
            it = one.subscription
            place = it.organization_id, it.customer_id, it.amount_currency
            company.setdefault(place, []).append(one)
    customers = sorted({place[:2] for place in company})
    if not customers:
        return []
    rows = _queries.ended_of_customers(
        connection,
        organization_ids=[organization for organization, _ in customers],
        customer_ids=[customer for _, customer in customers],
    )
    at: dict[_Key, datetime] = {}
    for row in [row async for row in rows]:
        place = row["organization_id"], row["customer_id"], row["amount_currency"]
        beside = company.get(place, [])
        followers = [one for one in beside if one.subscription.external_id == row["external_id"]]
        if row["id"] in known or not beside or (row["is_followed"] and not followers):
            continue
        at[row["organization_id"], row["id"]] = (followers or beside)[0].moment.billing_at
    late = await _what_came(connection, list(at))
    times = {key: one.beside(at[key]) for key, one in late.items() if key in at}
    return await _moments(connection, times, now=now)


async def late_alone(
    connection: Connection, *, organization_id: UUID | None, until: datetime
) -> list[DueMoment]:
    """Moments of ended subscriptions that are billed by themselves by then. Looks at all of them.

    They are few: those for which something came in, though nothing of the customer runs any more.
    """
    found: list[DueMoment] = []
    after: UUID | None = None
    while True:
        rows = _queries.ended_page(
            connection, organization_id=organization_id, after_id=after, limit=_PAGE
        )
        page = [(row["organization_id"], row["id"]) async for row in rows]
        settled = {
            key: one.beside(one.last_at + SETTLING)
            for key, one in (await _what_came(connection, page)).items()
            if one.last_at + SETTLING <= until
        }
        alone = _queries.without_company(
            connection,
            organization_ids=[organization for organization, _ in settled],
            ids=[subscription for _, subscription in settled],
        )
        keys = [(row["organization_id"], row["id"]) async for row in alone]
        found += await _moments(connection, {key: settled[key] for key in keys}, now=until)
        if len(page) < _PAGE:
            return found
        after = page[-1][1]


async def hold(connection: Connection, due: Collection[DueMoment]) -> None:
    """Let whoever reads the same late usage at this time start anew."""
    ended = [one.subscription for one in due if one.moment.reason == LATE_USAGE]
    await billing_schedule.hold(connection, {(one.organization_id, one.id) for one in ended})


async def _what_came(connection: Connection, keys: Sequence[_Key]) -> dict[_Key, _Late]:
    """What came in for ended subscriptions, of those where anything is new.

    What is new for one is new for those that took its place and have ended as well.
    """
    rows = _queries.late_of_ended(
        connection,
        organization_ids=[organization for organization, _ in keys],
        ids=[subscription for _, subscription in keys],
    )
    late = {(row["organization_id"], row["id"]): row["last_at"] async for row in rows}
    if not late:
        return {}
    rows = _queries.followers_of_ended(
        connection,
        organization_ids=[organization for organization, _ in late],
        ids=[subscription for _, subscription in late],
    )
    found: dict[_Key, _Late] = {}
    async for row in rows:
        key = row["organization_id"], row["id"]
        one = _Late(
            last_at=late[row["organization_id"], row["late_id"]], billed_at=row["billed_at"]
        )
        other = found.get(key, one)
        found[key] = _Late(
            last_at=max(one.last_at, other.last_at), billed_at=max(one.billed_at, other.billed_at)
        )
    return found


async def _moments(
    connection: Connection, at: dict[_Key, datetime], *, now: datetime
) -> list[DueMoment]:
    return [
        DueMoment(
            one, BillingMoment(billing_at=at[one.organization_id, one.id], reason=LATE_USAGE), None
        )
        for one in await find_scheduled(connection, list(at), now=now)
    ]
