"""Usage that comes late for subscriptions that have ended: with whom it is billed.

With the next moment of the same customer that bills usage in the same currency: of the plan that
took its place where there is one, else of any other. Where no subscription of the customer runs, it
is billed by itself, once nothing more has come in for a day. Either way it is a moment of its own
(`LATE_USAGE`) of the subscription that has ended, with a row in `billed_periods`: so it is claimed
once, drafts compute it anew, and the next look begins where this one ended.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

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
    late = await _last_events(connection, list(at))
    return await _moments(connection, {key: at[key] for key in late if key in at}, now=now)


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
            key: last_at + SETTLING
            for key, last_at in (await _last_events(connection, page)).items()
            if last_at + SETTLING <= until
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
    if ended:
        await _queries.hold_ended(
            connection,
            organization_ids=[one.organization_id for one in ended],
            ids=[one.id for one in ended],
        )


async def _last_events(connection: Connection, keys: Sequence[_Key]) -> dict[_Key, datetime]:
    """When something last came in for ended subscriptions, of those where anything is new.

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
    found: dict[_Key, datetime] = {}
    async for row in rows:
        key = row["organization_id"], row["id"]
        last_at = late[row["organization_id"], row["late_id"]]
        found[key] = max(last_at, found.get(key, last_at))
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
