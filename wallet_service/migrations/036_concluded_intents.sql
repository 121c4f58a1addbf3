-- With a ledger outside Postgres, intents that come to nothing but authorizations and events are concluded by one
-- statement, which is a transaction of its own, instead of five.
-- A new function: locks nothing.

-- `customers` have the versions at which the intents were written. Answers the places of those that somebody else has
-- moved since, or has an intent of that is open still: the ledger may have it since balances were looked up. What was
-- read of these may not be shown. Raises serialization_failure where one of the intents is not open any more, or was
-- written anew: someone else went on, and nothing at all is kept.
create function wallet.conclude_intents(
    customers wallet.version_read[], organization_ids uuid[], kinds text[], keys text[], attempts integer[],
    states text[], authorizations wallet.authorization_now[], events invoicing.new_event[]
) returns integer[] language plpgsql as $$
declare
    moved     integer[];
    concluded bigint;
begin
    with mine as (
        select v.organization_id, v.customer_id, read.place, read.version
        from wallet.customer_versions v
        join unnest(customers) with ordinality as read (organization_id, customer_id, version, place)
            using (organization_id, customer_id)
        order by v.organization_id, v.customer_id
        for no key update of v
    ),
    counted as (
        update wallet.customer_versions v set version = v.version + 1
        from mine
        where v.organization_id = mine.organization_id and v.customer_id = mine.customer_id
        returning mine.place, v.version <> mine.version + 1 as has_moved
    )
    select coalesce(array_agg(place) filter (where has_moved), '{}') into moved
    from counted;

    update wallet.operations o set state = done.state, intent = null,
        reply = case when done.state = 'posted' then o.reply end
    from unnest(organization_ids, kinds, keys, attempts, states)
        as done (organization_id, kind, key, attempt, state)
    where o.organization_id = done.organization_id and o.kind = done.kind and o.key = done.key
      and o.state = 'open' and o.attempt = done.attempt;
    get diagnostics concluded = row_count;
    if concluded <> cardinality(keys) then
        raise serialization_failure using message = 'somebody else has concluded one of these';
    end if;

    insert into wallet.authorizations (
        organization_id, id, customer_id, external_customer_id, transaction_id, status, asset_code, amount_minor,
        captured_minor, overage_minor, refunded_minor, subscription_id, plan_version_id, items, legs, paid, step,
        expires_at, created_at, ended_at, api_key_id, budgets)
    select * from unnest(authorizations)
    on conflict (organization_id, id) do update set
        status = excluded.status, amount_minor = excluded.amount_minor, captured_minor = excluded.captured_minor,
        overage_minor = excluded.overage_minor, refunded_minor = excluded.refunded_minor, items = excluded.items,
        legs = excluded.legs, paid = excluded.paid, step = excluded.step, expires_at = excluded.expires_at,
        ended_at = excluded.ended_at, budgets = excluded.budgets;

    insert into invoicing.events (
        organization_id, id, transaction_id, customer_id, external_customer_id, subscription_id,
        external_subscription_id, code, timestamp, properties, precise_total_amount_cents, rating_status,
        plan_version_id, lines, operation_id, created_at, asset_code, paid, reverses_event_id, unrated_reason)
    select * from unnest(events);
    return moved || array(
        select read.place::integer
        from unnest(customers) with ordinality as read (organization_id, customer_id, version, place)
        where exists (
            select from wallet.operations o
            where o.organization_id = read.organization_id and o.customer_id = read.customer_id and o.state = 'open'));
end
$$;
revoke execute on function wallet.conclude_intents from public;
grant execute on function wallet.conclude_intents to wallet_committer;
