"""`wallet rerate`: what past periods would have cost under another plan."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
from msgspec import Struct

from wallet_service.cli.connection import find_database
from wallet_service.cli.data_folder import data_option
from wallet_service.cli.numbers import Whole
from wallet_service.cli.organization import choose_organization, organization_of
from wallet_service.cli.stores import explained
from wallet_service.cli.times import Time

if TYPE_CHECKING:
    from wallet_service.rerating import Comparison


class _Options(Struct, frozen=True, kw_only=True):
    """What the command line says."""

    plan: str
    version: int | None
    start: datetime
    end: datetime
    customer: str | None
    subscription: str | None
    by: str
    output: str
    organization_id: UUID | None
    data: Path | None


@click.command("rerate")
@click.option("--plan", metavar="CODE", required=True, help="The plan to try.")
@click.option("--version", type=Whole(1, 2**31 - 1), help="Of the plan.  [default: in force now]")
@click.option("--from", "start", type=Time(), required=True, help="The first moment of usage.")
@click.option("--to", "end", type=Time(), required=True, help="The first moment after it.")
@click.option("--customer", metavar="ID", help="The external id of one customer.")
@click.option("--subscription", metavar="ID", help="The external id of one subscription.")
@click.option(
    "--by",
    type=click.Choice(("subscription", "metric")),
    default="subscription",
    show_default=True,
    help="A line for usage and each kind of fee of a subscription, or for each metric and fee.",
)
@click.option(
    "--format",
    "output",
    type=click.Choice(("table", "json", "csv")),
    default="table",
    show_default=True,
)
@click.option(
    "--organization",
    "organization_id",
    type=click.UUID,
    help="Whose usage.  [default: that of `wallet up`, or the only one]",
)
@data_option
def command(**given: Any) -> None:
    """Say what past periods would have cost under another plan. Changes nothing.

    Each subscription is priced twice, by billing period: as its usage was rated, and by the plan
    that is tried, in its own periods. With usage come fixed charges, minimums, commitments and
    plan fees, the latter three for the days between the times; no coupons or taxes. Times are
    ISO 8601, in UTC where they do not say.
    """
    from invoicing.errors import Invalid, NotFound
    from wallet_service.cli.rerate_report import show

    options = _Options(**given)
    now = datetime.now(UTC)
    if options.start >= options.end:
        raise click.UsageError("--from must be before --to")
    if options.start >= now:
        raise click.UsageError("--from must be in the past")
    database_url = find_database(options.data)
    with explained():
        try:
            comparison = asyncio.run(_compare(database_url, options, now=now))
        except NotFound as error:
            raise click.ClickException(_not_found(error.resource, options)) from None
        except Invalid as error:
            raise click.ClickException(str(error)) from None
    show(comparison, output=options.output, by=options.by)


def _not_found(resource: str, options: _Options) -> str:
    """What is not there, in a line."""
    return {
        "plan": f"there is no plan {options.plan}",
        "plan_version": f"the plan {options.plan} has no version {options.version}",
        "customer": f"there is no customer {options.customer}",
        "subscription": f"there is no subscription {options.subscription}",
    }[resource]


async def _compare(database_url: str, options: _Options, *, now: datetime) -> "Comparison":
    """Ask in one snapshot, in a transaction that cannot write."""
    import asyncpg

    from wallet_service.rerating import Question, compare

    question = Question(
        plan_code=options.plan,
        version=options.version,
        start=options.start,
        end=options.end,
        external_customer_id=options.customer,
        external_subscription_id=options.subscription,
    )
    connection = await asyncpg.connect(database_url, server_settings={"role": "wallet_worker"})
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            organization_id = await choose_organization(
                connection, options.organization_id or organization_of(options.data)
            )
            return await compare(connection, organization_id, question, now=now)
    finally:
        await connection.close()
